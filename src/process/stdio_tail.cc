#include "process/stdio_tail.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>

#include "base/sys.h"

namespace cohort::process {
namespace {

constexpr std::size_t kReadSize = 16 * 1024;

// A descriptor for writing to what `fd` is open on, that does not block if possible. O_NONBLOCK
// belongs to the open file, which our shell shares; opening a pipe or a terminal anew gives one of
// our own.
OwnFd open_copy(int fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  if (type == std::filesystem::file_type::fifo || type == std::filesystem::file_type::character)
    if (OwnFd own = sys::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY)) return own;
  return sys::duplicate(fd);
}

}  // namespace

void LineTail::append(std::string_view bytes) {
  // One more than the limit: whether the byte before the rest ends a line decides.
  text_ += bytes.substr(bytes.size() - std::min(bytes.size(), size_max_ + 1));
  if (text_.size() <= size_max_) return;
  const std::size_t cut = text_.size() - size_max_;
  starts_mid_line_ = text_[cut - 1] != '\n';
  text_.erase(0, cut);
}

std::vector<std::string> LineTail::last_lines(std::size_t count) const {
  std::string_view rest = text_;
  if (starts_mid_line_) {
    const std::size_t newline = rest.find('\n');
    if (newline != rest.npos && newline + 1 < rest.size()) rest.remove_prefix(newline + 1);
  }
  if (rest.ends_with('\n'))
    rest.remove_suffix(1);
  else if (rest.empty())
    return {};
  std::vector<std::string> lines;
  for (bool more = true; more && lines.size() < count;) {
    const std::size_t newline = rest.rfind('\n');
    more = newline != rest.npos;
    lines.emplace_back(more ? rest.substr(newline + 1) : rest);
    rest = rest.substr(0, more ? newline : 0);
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

// Writes without blocking; what does not fit waits, up to a limit.
class StderrTail::Copy {
 public:
  Copy(const Loop& loop, OwnFd fd) : watch_{loop, std::move(fd)} { watch_.set_ref(false); }

  void write(std::string_view bytes) {
    const std::size_t room = kBacklogSizeMax - std::min(kBacklogSizeMax, backlog_.size());
    const std::size_t taken = closed_ ? 0 : std::min(bytes.size(), room);
    dropped_ += bytes.size() - taken;
    backlog_ += bytes.substr(0, taken);
    flush();
  }

  void flush() {
    std::size_t written = 0;
    while (!closed_ && written < backlog_.size() && writable()) {
      // A blocking pipe that polls as writable takes this much at once.
      const std::size_t size = std::min<std::size_t>(backlog_.size() - written, PIPE_BUF);
      const ssize_t result = sys::write(watch_.fd(), backlog_.data() + written, size);
      if (result == -1 && errno == EAGAIN) break;
      if (result == -1) closed_ = true;
      if (result > 0) written += static_cast<std::size_t>(result);
    }
    backlog_.erase(0, written);
    if (closed_) {
      dropped_ += backlog_.size();
      backlog_.clear();
    }
    if (backlog_.empty() || waiting_) return;
    waiting_ = true;
    watch_.wait_writable([this] {
      waiting_ = false;
      flush();
    });
  }

  std::uint64_t dropped() const { return dropped_; }

 private:
  // Asked before each write: one to a pipe that nobody reads would raise SIGPIPE.
  bool writable() {
    const int ready = sys::poll(watch_.fd(), POLLOUT, 0);
    if (ready > 0 && (ready & (POLLERR | POLLHUP | POLLNVAL)) != 0) closed_ = true;
    return !closed_ && ready > 0;
  }

  Watch watch_;
  std::string backlog_;
  std::uint64_t dropped_ = 0;
  bool waiting_ = false;
  bool closed_ = false;
};

StderrTail::StderrTail(const Loop& loop, OwnFd pipe_read_end, int copy_to_fd) {
  sys::set_nonblocking(pipe_read_end.get(), true);
  source_.emplace(loop, std::move(pipe_read_end));
  source_->set_ref(false);
  if (copy_to_fd >= 0)
    if (OwnFd fd = open_copy(copy_to_fd)) copy_ = std::make_unique<Copy>(loop, std::move(fd));
  wait();
}

StderrTail::~StderrTail() {
  if (copy_) copy_->flush();
}

void StderrTail::wait() {
  source_->wait_readable([this] {
    read_some(kReadSize);
    if (source_) wait();
  });
}

std::size_t StderrTail::read_some(std::size_t size_max) {
  char buffer[kReadSize];
  const ssize_t size = sys::read(source_->fd(), buffer, std::min(size_max, sizeof buffer));
  if (size == -1 && errno == EAGAIN) return 0;
  if (size <= 0) {
    source_.reset();
    return 0;
  }
  const std::string_view bytes{buffer, static_cast<std::size_t>(size)};
  lines_.append(bytes);
  if (copy_) copy_->write(bytes);
  return bytes.size();
}

void StderrTail::drain_now() {
  // Counted first: a grandchild that goes on writing does not keep us here.
  int waiting = 0;
  if (!source_ || sys::bytes_readable(source_->fd(), waiting) == -1) return;
  for (auto rest = static_cast<std::size_t>(waiting); rest > 0 && source_;) {
    const std::size_t size = read_some(rest);
    if (size == 0) return;
    rest -= size;
  }
}

std::uint64_t StderrTail::dropped() const { return copy_ ? copy_->dropped() : 0; }

}  // namespace cohort::process
