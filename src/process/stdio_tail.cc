#include "process/stdio_tail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/sys_output.h"

namespace cohort::process {
namespace {

// A program that crashes leaves its last words in its pipe: Node, whose writes to pipes do not
// wait, loses what does not fit. Best effort: an unprivileged user gets so many pages for all
// pipes.
constexpr int kPipeSize = 1 << 20;

// Where the next bytes will be: the child writes by itself, perhaps with others.
off_t end_of(int fd) {
  struct ::stat info{};
  if (sys::fstat(fd, info) == -1) return 0;
  const bool appends = (sys::status_flags(fd) & O_APPEND) != 0;
  const off_t position = appends ? info.st_size : sys::position(fd);
  return std::clamp<off_t>(position, 0, info.st_size);
}

// Our own descriptor of it is mostly for writing only (2>file).
OwnFd open_to_read(int fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return sys::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

Result<StderrPlan> through_pipe(int copy_to) {
  StderrPlan plan;
  OwnFd ends[2];
  if (sys::pipe(ends) == -1) return errno_error("pipe for the last lines of stderr");
  sys::set_pipe_size(ends[1].get(), kPipeSize);
  plan.source = std::move(ends[0]);
  plan.child_end = std::move(ends[1]);
  plan.copy_to = copy_to;
  return plan;
}

}  // namespace

Result<StderrPlan> plan_stderr(int fd, StderrWish wish) {
  struct ::stat info{};
  if (fd < 0 || sys::fstat(fd, info) == -1) return through_pipe(-1);
  if (S_ISFIFO(info.st_mode)) return through_pipe(fd);
  StderrPlan plan;
  if (S_ISREG(info.st_mode)) plan.file = open_to_read(fd);
  if (!plan.file && wish == StderrWish::LastLines) return through_pipe(fd);
  plan.copy_to = fd;
  plan.file_start = end_of(fd);
  return plan;
}

std::unique_ptr<StderrTail> StderrTail::start(const Loop& loop, StderrPlan plan) {
  if (!plan.source && !plan.file) return nullptr;
  auto tail = std::make_unique<StderrTail>();
  if (plan.source) tail->relay_ = StderrRelay::start(loop, std::move(plan.source), plan.copy_to);
  tail->file_ = std::move(plan.file);
  tail->file_start_ = plan.file_start;
  return tail;
}

void StderrTail::drain_now() {
  if (relay_) return relay_->child_ended();
  struct ::stat info{};
  if (!file_ || sys::fstat(file_.get(), info) == -1) return;
  // A log that was cut meanwhile has begun anew.
  const off_t start = info.st_size < file_start_ ? 0 : file_start_;
  // One more than is kept: whether the byte before ends a line decides.
  char text[LineTail::kSizeMax + 1];
  const off_t from = std::max(start, info.st_size - static_cast<off_t>(sizeof text));
  const ssize_t size = sys::pread(file_.get(), text, sizeof text, from);
  read_back_ = LineTail{};
  if (size > 0) read_back_.append({text, static_cast<std::size_t>(size)});
}

std::vector<std::string> StderrTail::last_lines(std::size_t count) const {
  return relay_ ? relay_->last_lines(count) : read_back_.last_lines(count);
}

}  // namespace cohort::process
