#include "base/line_output.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/sys.h"

namespace cohort {

using namespace std::chrono_literals;

std::string gap_text(std::uint64_t lines) {
  return std::to_string(lines) + (lines == 1 ? " line was" : " lines were") +
         " dropped: stderr did not take them in time";
}

LineOutput::LineOutput(const Loop& loop, int fd, Gap gap)
    : loop_{loop}, fd_{fd}, gap_{std::move(gap)} {}

void LineOutput::write(std::string_view lines) {
  if (!watch_ && !waiting_.empty()) flush();
  // Once one is missing, all are until that can be said in its place.
  if (dropped_ > 0 || waiting_.size() + lines.size() > kWaitingMax) {
    dropped_ += static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
    return;
  }
  waiting_ += lines;
  if (!watch_) flush();
}

void LineOutput::flush() {
  if (!output_) output_.emplace(fd_);
  while (!waiting_.empty()) {
    const ssize_t size = output_->write_some(waiting_);
    if (size == -1 && errno == EAGAIN) return wait();
    // A full disk: nothing says when there is room again. The next line tries.
    if (size == -1 && (errno == ENOSPC || errno == EDQUOT)) return;
    // Nobody reads it any more: there is nobody to tell either.
    taken(size == -1 ? waiting_.size() : static_cast<std::size_t>(size));
  }
  output_.reset();
}

void LineOutput::wait() {
  OwnFd room = readable_while_writable(fd_);
  if (!room) return;  // no descriptor left: the next line tries again
  watch_.emplace(loop_, std::move(room));
  watch_->set_ref(false);
  watch_->wait_readable([this] {
    watch_.reset();
    flush();
  });
}

void LineOutput::taken(std::size_t size) {
  waiting_.erase(0, size);
  if (dropped_ > 0 && waiting_.size() < kWaitingMax / 2)
    waiting_ += gap_(std::exchange(dropped_, 0));
}

void LineOutput::finish() {
  // Waited for once: an end has several places that call this.
  LastPatience patience = waiting_.size() == stuck_at_ ? LastPatience{0ms} : LastPatience{};
  while (!waiting_.empty()) {
    const std::size_t size = write_out(*output_, waiting_, patience);
    if (size == 0) break;
    taken(size);
  }
  stuck_at_ = waiting_.size();
}

}  // namespace cohort
