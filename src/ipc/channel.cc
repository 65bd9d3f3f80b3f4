#include "ipc/channel.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <iterator>

#include "base/sys.h"

namespace cohort::ipc {
namespace {

constexpr std::size_t kReadSize = 65536;
// What one recvmsg may bring; the kernel's own limit of SCM_RIGHTS is 253.
constexpr std::size_t kDescriptorsPerRead = 64;
// A segment that is this long gets no more messages, so that memory is freed as it is written.
constexpr std::size_t kSegmentSize = 65536;
constexpr std::size_t kSegmentsPerWrite = 16;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

std::vector<OwnFd> take_descriptors(msghdr& message) {
  std::vector<OwnFd> fds;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

Channel::Channel(const Loop& loop, OwnFd socket, Serialization serialization,
                 std::size_t message_size_max, ChannelUser& user)
    : loop_{loop},
      watch_{std::make_unique<Watch>(loop, std::move(socket))},
      user_{&user},
      serialization_{serialization},
      message_size_max_{message_size_max},
      decoder_{message_size_max, serialization},
      read_buffer_{new char[kReadSize]} {}

void Channel::start() { wait_readable(); }

void Channel::set_ref(bool ref) {
  if (watch_) watch_->set_ref(ref);
}

// Writing.

bool Channel::Segment::takes_more() const {
  return fd < 0 && attached.empty() && text.size() < kSegmentSize;
}

std::string& Channel::plain_tail() {
  if (queue_.empty() || !queue_.back().takes_more()) queue_.emplace_back();
  return queue_.back().text;
}

// Encodes the message behind `text`, which is that of the last segment, and makes segments of its
// own for bytes that are sent from where they lie. Its size; on an error nothing has changed.
Result<std::size_t> Channel::append(const Value& message, std::string& text) {
  const std::size_t before = text.size();
  attached_.clear();
  const auto encoded = encode_message(message, serialization_, text, message_size_max_, &attached_);
  if (!encoded) return encoded.error();
  std::size_t size = text.size() - before;
  std::vector<Segment> behind;  // cut off `text`, the last first
  for (auto attached = attached_.rbegin(); attached != attached_.rend(); ++attached) {
    if (text.size() > attached->position)
      behind.push_back({.text = text.substr(attached->position)});
    text.resize(attached->position);
    size += attached->bytes.size();
    behind.push_back({.attached = attached->bytes, .keeper = std::move(attached->keeper)});
  }
  attached_.clear();
  std::move(behind.rbegin(), behind.rend(), std::back_inserter(queue_));
  return size;
}

Result<bool> Channel::send(const Value& message, Done done) {
  if (!open_) return make_error(Errc::ChannelClosed, "send");
  const auto size = append(message, plain_tail());
  if (!size) return size.error();
  return queued(*size, std::move(done));
}

Result<bool> Channel::send_encoded(std::string_view message, Done done) {
  if (!open_) return make_error(Errc::ChannelClosed, "send");
  plain_tail().append(message);
  return queued(message.size(), std::move(done));
}

Result<bool> Channel::send_descriptor(const Value& wrapped, int fd, Answered answered) {
  if (!open_) return make_error(Errc::ChannelClosed, "send");
  const std::size_t first = queue_.size();
  queue_.emplace_back();
  const auto size = append(wrapped, queue_.back().text);
  if (!size) {
    queue_.pop_back();
    return size.error();
  }
  const std::size_t before = queue_.size();
  queue_[first].fd = fd;
  queued_ += *size;
  write_now();
  const std::size_t gone = before - queue_.size();
  if (gone <= first && open_ && queue_[first - gone].fd == fd) {
    // It has to wait, for longer than the caller may keep the descriptor.
    Segment& waiting = queue_[first - gone];
    waiting.own = sys::duplicate(fd);
    if (!waiting.own) {
      queue_.resize(first - gone);
      queued_ -= *size;
      return errno_error("send a descriptor");
    }
    waiting.fd = waiting.own.get();
  }
  unanswered_.push_back(std::move(answered));
  return queued_ - written_ < kHighWaterMark;
}

Result<bool> Channel::queued(std::size_t size, Done done) {
  queued_ += size;
  if (done) waiting_.push_back({queued_, std::move(done)});
  write_soon();
  return queued_ - written_ < kHighWaterMark;
}

// The first message of a turn is written at once, the others by a task at its end.
void Channel::write_soon() {
  if (corked_ || writable_wanted_) return;
  corked_ = true;
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->corked_ = false;
      self->write_now();
    }
  });
  write_now();
}

void Channel::write_now() {
  if (!watch_ || writable_wanted_) return;
  while (!queue_.empty())
    if (!write_some()) return;
  if (closing_) end(std::nullopt);
}

// Writes what the socket takes, up to the next descriptor; false if nothing more can be written
// now.
bool Channel::write_some() {
  std::array<iovec, kSegmentsPerWrite> data;
  std::size_t count = 0;
  for (const Segment& segment : queue_) {
    if (count == data.size() || (count > 0 && segment.fd >= 0)) break;
    const std::string_view rest = segment.bytes().substr(count == 0 ? front_offset_ : 0);
    data[count++] = {const_cast<char*>(rest.data()), rest.size()};
  }
  Segment& front = queue_.front();
  msghdr message{};
  message.msg_iov = data.data();
  message.msg_iovlen = count;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (front.fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &front.fd, sizeof front.fd);
  }
  const ssize_t size = sys::sendmsg(watch_->fd(), message);
  if (size < 0) {
    if (would_block(errno))
      wait_writable();
    else
      fail_writes(errno_error("send"));
    return false;
  }
  front.fd = -1;  // it went with the first byte
  front.own.reset();
  written(static_cast<std::size_t>(size));
  return true;
}

void Channel::written(std::size_t size) {
  written_ += size;
  front_offset_ += size;
  while (!queue_.empty() && front_offset_ >= queue_.front().bytes().size()) {
    front_offset_ -= queue_.front().bytes().size();
    queue_.pop_front();
  }
  while (!waiting_.empty() && waiting_.front().end <= written_) {
    loop_.post([done = std::move(waiting_.front().done)] { done(std::nullopt); });
    waiting_.pop_front();
  }
}

void Channel::wait_writable() {
  writable_wanted_ = true;
  watch_->wait_writable([this, self = weak_from_this()] {
    const auto alive = self.lock();
    if (!alive) return;
    writable_wanted_ = false;
    write_now();
  });
}

// The peer does not read any more. What it wrote before may still be there: reading finds the end.
void Channel::fail_writes(Error error) {
  open_ = false;
  queue_.clear();
  front_offset_ = 0;
  queued_ = written_;
  for (auto& waiting : std::exchange(waiting_, {}))
    loop_.post([done = std::move(waiting.done), error] { done(error); });
  if (closing_) end(std::nullopt);
}

bool Channel::flush(std::chrono::steady_clock::time_point deadline) {
  const auto self = shared_from_this();
  writable_wanted_ = false;
  while (watch_ && !queue_.empty()) {
    write_now();
    if (!watch_ || queue_.empty()) break;
    writable_wanted_ = false;
    if (!sys::wait_for(watch_->fd(), POLLOUT, deadline)) return false;
  }
  return open_;
}

// Reading.

void Channel::wait_readable() {
  watch_->wait_readable([this, weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    read_once();
    if (watch_) wait_readable();
  });
}

void Channel::read_available() {
  const auto self = shared_from_this();
  while (watch_ && read_once()) {
  }
}

bool Channel::read_blocking(std::chrono::steady_clock::time_point deadline) {
  const auto self = shared_from_this();
  if (!watch_ || !sys::wait_for(watch_->fd(), POLLIN, deadline)) return false;
  read_once();
  return watch_ != nullptr;
}

// One recvmsg and its messages; false if there is nothing to read now.
bool Channel::read_once() {
  const std::span<char> space = decoder_.space();
  iovec data =
      space.empty() ? iovec{read_buffer_.get(), kReadSize} : iovec{space.data(), space.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kDescriptorsPerRead * sizeof(int))];
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = sys::recvmsg(watch_->fd(), message);
  if (size > 0) {
    deliver({static_cast<char*>(data.iov_base), static_cast<std::size_t>(size)},
            take_descriptors(message));
    return watch_ != nullptr;
  }
  if (size < 0 && would_block(errno)) return false;
  end(std::nullopt);  // any error is the end, as in Node: ECONNRESET if it left messages unread
  return false;
}

void Channel::deliver(std::string_view bytes, std::vector<OwnFd> fds) {
  const bool outer = std::exchange(corked_, true);  // the answers leave together
  decoder_.feed(bytes, std::move(fds));
  while (watch_) {
    auto next = decoder_.next();
    if (!next) {
      end(next.error());
      break;
    }
    if (!*next) break;
    Incoming& incoming = **next;
    if (incoming.was_handle) {
      // Exactly one answer to each, before anything else: a Node peer sends nothing more until
      // then.
      if (open_) std::ignore = send(handle_answer(static_cast<bool>(incoming.fd)));
      if (!incoming.fd) continue;
    }
    // What a handler throws leaves the loop in a turn of its own: the messages behind this one are
    // not lost.
    try {
      if (incoming.kind == MessageKind::HandleAck)
        answered(Delivery::Received);
      else if (incoming.kind == MessageKind::HandleNack)
        answered(Delivery::Refused);
      else
        user_->message(std::move(incoming));
    } catch (...) {
      loop_.post([thrown = std::current_exception()] { std::rethrow_exception(thrown); });
    }
  }
  corked_ = outer;
  if (!corked_) write_now();
}

// For the oldest descriptor; one that nobody sent is ignored.
void Channel::answered(Delivery delivery) {
  if (unanswered_.empty()) return;
  const Answered answered = std::move(unanswered_.front());
  unanswered_.pop_front();
  if (answered) answered(delivery);
}

// Ending.

void Channel::close() {
  if (closing_ || ended_) return;
  open_ = false;
  closing_ = true;
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->write_now();
  });
}

void Channel::end(std::optional<Error> why) {
  if (std::exchange(ended_, true)) return;
  open_ = false;
  if (why) queue_.clear();
  fail_writes(make_error(Errc::ChannelClosed, "send"));
  watch_.reset();
  loop_.post([self = shared_from_this(), why = std::move(why)] {
    while (!self->unanswered_.empty()) self->answered(Delivery::PeerGone);
    if (self->user_ != nullptr) self->user_->channel_closed(why);
  });
}

void Channel::abandon() {
  user_ = nullptr;
  ended_ = true;
  open_ = false;
  queue_.clear();
  waiting_.clear();
  unanswered_.clear();
  watch_.reset();
}

}  // namespace cohort::ipc
