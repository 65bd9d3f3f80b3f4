#include "base/write_queue.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/sys.h"

namespace cohort {
namespace {

constexpr std::size_t kHighWaterMark = 64 * 1024;

// MSG_DONTWAIT: a descriptor that is shared with a child may be blocking.
Result<std::size_t> send_now(int fd, std::string_view data) {
  const ssize_t size = sys::send(fd, data.data(), data.size(), MSG_DONTWAIT);
  if (size >= 0) return static_cast<std::size_t>(size);
  if (errno == EAGAIN) return std::size_t{0};
  return errno_error("write");
}

}  // namespace

Result<std::size_t> WriteQueue::write(const Loop& loop, int fd, std::string_view data, Done done) {
  std::size_t sent = 0;
  if (empty() && !data.empty()) {
    const auto taken = send_now(fd, data);
    if (!taken) {
      chunks_.push_back({{}, std::move(done)});
      return taken.error();
    }
    sent = *taken;
  }
  if (empty() && sent == data.size()) {
    if (done) loop.post([done = std::move(done)] { done(std::nullopt); });
    return sent;
  }
  chunks_.push_back({std::string{data.substr(sent)}, std::move(done)});
  size_ += data.size() - sent;
  return sent;
}

Result<std::size_t> WriteQueue::send_some(int fd) {
  Chunk& chunk = chunks_.front();
  const auto taken = send_now(fd, std::string_view{chunk.data}.substr(chunk.sent));
  if (!taken) return taken.error();
  chunk.sent += *taken;
  size_ -= *taken;
  if (chunk.sent < chunk.data.size()) return *taken;
  const Done done = std::move(chunk.done);
  chunks_.pop_front();
  if (done) done(std::nullopt);
  return *taken;
}

void WriteQueue::fail(const Error& why) {
  size_ = 0;
  for (const Chunk& chunk : std::exchange(chunks_, {}))
    if (chunk.done) chunk.done(why);
}

// Out of the object first: they may own its stream.
void WriteQueue::clear() {
  size_ = 0;
  const auto dropped = std::exchange(chunks_, {});
}

bool WriteQueue::keeps_up() {
  if (size_ > kHighWaterMark) need_drain_ = true;
  return size_ <= kHighWaterMark;
}

}  // namespace cohort
