#include "map/job_source.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/sys.h"

namespace cohort::map {
namespace {

constexpr std::size_t kPieceOfInput = std::size_t{64} << 10;
constexpr std::size_t kAheadMax = std::size_t{16} << 20;
// What xargs puts into one command line; the kernel takes more.
constexpr std::size_t kCommandLineMax = std::size_t{128} << 10;
constexpr const char* kStdin = "-";

Grouping grouping_of(const MapOptions& options) {
  return {.rows = options.rows,
          .bytes_max = options.fill ? std::optional{kCommandLineMax} : std::nullopt,
          .jobs = options.jobs};
}

std::size_t size_of(const JobInput& input) {
  std::size_t size = sizeof input + input.bytes.size();
  for (const std::string& value : input.values) size += value.size() + sizeof value;
  return size;
}

OwnFd open_input(const std::string& name) {
  return name == kStdin ? sys::duplicate(STDIN_FILENO)
                        : sys::open(name.c_str(), O_RDONLY | O_CLOEXEC);
}

std::string name_of(const std::string& file) { return file == kStdin ? "stdin" : file; }

}  // namespace

JobSource::JobSource(const Loop& loop, const MapOptions& options, std::function<void()> more)
    : loop_{loop},
      more_{std::move(more)},
      records_{options.record_end},
      maker_{grouping_of(options)} {
  if (options.block > 0) blocks_.emplace(options.record_end, options.block);
}

Result<std::unique_ptr<JobSource>> JobSource::open(const Loop& loop, const MapOptions& options,
                                                   std::function<void()> more) {
  std::unique_ptr<JobSource> source{new JobSource(loop, options, std::move(more))};
  if (!options.column_separator.empty()) {
    try {
      source->separator_.emplace(options.column_separator);
    } catch (const std::regex_error& error) {
      return make_error(Errc::InvalidArgument,
                        "read --colsep " + options.column_separator + " as a regular expression",
                        error.what());
    }
  }
  if (!options.lists.empty() || options.files.size() > 1) {
    if (const auto read = source->read_all(options); !read) return read.error();
  } else {
    const std::string file = options.files.empty() ? kStdin : options.files.front();
    source->stream_name_ = name_of(file);
    source->stream_ = open_input(file);
    if (!source->stream_) return errno_error("read " + source->stream_name_);
  }
  return source;
}

Result<void> JobSource::read_all(const MapOptions& options) {
  std::vector<std::vector<std::string>> lists;
  for (const std::string& file : options.files) {
    const OwnFd input = open_input(file);
    if (!input) return errno_error("read " + name_of(file));
    RecordReader reader{options.record_end};
    std::vector<char> piece(kPieceOfInput);
    for (ssize_t size = 1; size > 0;) {
      size = sys::read(input.get(), piece.data(), piece.size());
      if (size < 0) return errno_error("read " + name_of(file));
      reader.feed({piece.data(), static_cast<std::size_t>(size)});
    }
    reader.finish();
    auto& list = lists.emplace_back();
    while (auto record = reader.next()) list.push_back(*std::move(record));
  }
  lists.insert(lists.end(), options.lists.begin(), options.lists.end());
  combinations_.emplace(std::move(lists));
  return {};
}

void JobSource::add(std::vector<std::string> row) {
  if (separator_ && row.size() == 1) row = columns_of(row.front(), *separator_);
  maker_.add(std::move(row));
}

void JobSource::feed(std::string_view bytes) {
  if (blocks_)
    blocks_->feed(bytes);
  else
    records_.feed(bytes);
  collect();
}

void JobSource::end() {
  stream_.reset();
  records_.finish();
  if (blocks_) blocks_->finish();
  collect();
  maker_.finish();
  collect();
  saw_end_ = true;
}

void JobSource::collect() {
  while (auto record = records_.next()) add({*std::move(record)});
  while (auto values = maker_.next()) add_ready({.values = *std::move(values)});
  if (!blocks_) return;
  while (auto block = blocks_->next()) add_ready({.bytes = *std::move(block)});
}

void JobSource::add_ready(JobInput input) {
  ready_bytes_ += size_of(input);
  ready_.push_back(std::move(input));
}

// False: nothing is there now, or never.
bool JobSource::read_some() {
  if (saw_end_) return false;
  if (combinations_) {
    if (auto row = combinations_->next()) {
      add(*std::move(row));
      collect();
    } else {
      end();
    }
    return true;
  }
  if (watch_ || sys::poll(stream_.get(), POLLIN, 0) == 0) return false;
  std::vector<char> piece(kPieceOfInput);
  const ssize_t size = sys::read(stream_.get(), piece.data(), piece.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (size < 0) failure_ = errno_error("read " + stream_name_);
  if (size <= 0) {
    end();
  } else {
    feed({piece.data(), static_cast<std::size_t>(size)});
  }
  return true;
}

void JobSource::wait() {
  if (saw_end_ || watch_ || !stream_) return;
  watch_.emplace(loop_, std::move(stream_));
  watch_->wait_readable([this] {
    stream_ = watch_->release();
    watch_.reset();
    more_();
  });
}

std::optional<JobInput> JobSource::next() {
  while (ready_.empty() && read_some()) {
  }
  if (ready_.empty()) {
    wait();
    return std::nullopt;
  }
  JobInput input = std::move(ready_.front());
  ready_.pop_front();
  ready_bytes_ -= size_of(input);
  return input;
}

void JobSource::look_ahead() {
  while (ready_bytes_ < kAheadMax && read_some()) {
  }
}

}  // namespace cohort::map
