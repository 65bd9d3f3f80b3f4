#include "map/job_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/sys.h"

namespace cohort::map {
namespace {

constexpr std::size_t kInMemoryMax = std::size_t{64} << 10, kPiece = std::size_t{64} << 10;

std::string temporary_directory() {
  const char* const wanted = std::getenv("TMPDIR");
  return wanted == nullptr || *wanted == '\0' ? "/tmp" : wanted;
}

// Not every file system has files without a name.
OwnFd temporary_file(const std::string& directory) {
  OwnFd file = sys::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return file;
  std::string name = directory + "/cohort-map-XXXXXX";
  file = OwnFd{::mkostemp(name.data(), O_CLOEXEC)};
  if (file) sys::unlink(name.c_str());
  return file;
}

std::string with_tags(std::string_view text, std::string_view tag, bool& at_begin) {
  std::string tagged;
  while (!text.empty()) {
    if (at_begin) tagged += tag;
    const auto end = std::min(text.find('\n'), text.size() - 1);
    at_begin = text[end] == '\n';
    tagged += text.substr(0, end + 1);
    text.remove_prefix(end + 1);
  }
  return tagged;
}

}  // namespace

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = sys::write(fd, bytes.data(), bytes.size());
    if (written > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      sys::poll(fd, POLLOUT, -1);  // somebody has made it non-blocking, for all
    } else if (errno != EINTR) {
      return errno_error("write to " + std::string{fd == STDERR_FILENO ? "stderr" : "stdout"});
    }
  }
  return {};
}

Result<OwnFd> file_of(std::string_view bytes) {
  OwnFd file = temporary_file(temporary_directory());
  const auto failed = [] { return errno_error("make a file for a job's stdin"); };
  if (!file) return failed();
  while (!bytes.empty()) {
    const ssize_t written = sys::write(file.get(), bytes.data(), bytes.size());
    if (written < 0) return failed();
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::lseek(file.get(), 0, SEEK_SET) < 0) return failed();
  return file;
}

Result<JobOutput> JobOutput::open() {
  JobOutput output;
  const std::string directory = temporary_directory();
  for (Stream& stream : output.streams_) {
    stream.file = temporary_file(directory);
    if (!stream.file) return errno_error("make a file in " + directory + " (TMPDIR names another)");
  }
  return output;
}

Result<JobOutput> JobOutput::open_in(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return system_error(error.value(), "make the directory " + directory);
  JobOutput output;
  const char* const names[] = {"/stdout", "/stderr"};
  for (std::size_t i = 0; i < output.streams_.size(); ++i) {
    constexpr mode_t kAll = 0666;
    const std::string path = directory + names[i];
    output.streams_[i].file = sys::open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, kAll);
    if (!output.streams_[i].file) return errno_error("write " + path);
  }
  return output;
}

Result<void> JobOutput::settle() {
  for (Stream& stream : streams_) {
    const auto end = ::lseek(stream.file.get(), 0, SEEK_END);
    if (end < 0 || ::lseek(stream.file.get(), 0, SEEK_SET) < 0)
      return errno_error("read what a job has written");
    stream.size = static_cast<std::uint64_t>(end);
    if (stream.size > kInMemoryMax) continue;
    stream.text.resize(stream.size);
    std::size_t got = 0;
    for (ssize_t part = 1; got < stream.size && part > 0; got += static_cast<std::size_t>(part)) {
      part = sys::read(stream.file.get(), stream.text.data() + got, stream.size - got);
      if (part < 0) return errno_error("read what a job has written");
    }
    stream.text.resize(got);
    stream.file.reset();
  }
  return {};
}

Result<void> JobOutput::print(std::string_view tag, bool end_line) const {
  if (const auto done = print(streams_[0], STDOUT_FILENO, tag, end_line); !done) return done;
  return print(streams_[1], STDERR_FILENO, tag, end_line);
}

Result<void> JobOutput::print(const Stream& stream, int fd, std::string_view tag, bool end_line) {
  bool at_begin = true;
  const auto write = [&](std::string_view text) {
    if (!tag.empty()) return write_all(fd, with_tags(text, tag, at_begin));
    if (!text.empty()) at_begin = text.ends_with('\n');
    return write_all(fd, text);
  };
  if (const auto done = write(stream.text); !done) return done;
  if (stream.file) {
    std::vector<char> piece(kPiece);
    for (;;) {
      const ssize_t size = sys::read(stream.file.get(), piece.data(), piece.size());
      if (size < 0) return errno_error("read what a job has written");
      if (size == 0) break;
      if (const auto done = write({piece.data(), static_cast<std::size_t>(size)}); !done)
        return done;
    }
  }
  return end_line && !at_begin ? write_all(fd, "\n") : Result<void>{};
}

}  // namespace cohort::map
