#include "ipc/channel.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <tuple>
#include <utility>

#include "base/descriptor_messages.h"
#include "base/sys.h"

namespace cohort::ipc {
namespace {

constexpr std::size_t kReadSize = 65536;
// What a message has besides its bytes: a line end, or a length.
constexpr std::size_t kFrameSizeMax = 4;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

ssize_t write_to(int socket, const Outbox::Batch& batch) {
  if (batch.count == 1 && batch.fds.empty())
    return sys::send(socket, batch.data[0].iov_base, batch.data[0].iov_len);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(batch.data.data());
  message.msg_iovlen = batch.count;
  DescriptorSpace<kDescriptorsMax> space;
  lend_descriptors(message, space.bytes, batch.fds);
  return sys::sendmsg(socket, message);
}

}  // namespace

Error channel_full(std::size_t waiting, std::size_t queue_size_max) {
  return make_error(Errc::ChannelFull, "send",
                    std::to_string(waiting) + " bytes wait for the other process to read, and " +
                        "queue_size_max is " + std::to_string(queue_size_max) +
                        ": send again after drain");
}

Channel::Channel(const Loop& loop, OwnFd socket, Serialization serialization,
                 const ChannelLimits& limits, ChannelUser& user)
    : loop_{loop},
      watch_{std::make_unique<Watch>(loop, std::move(socket))},
      user_{&user},
      serialization_{serialization},
      limits_{limits},
      decoder_{limits.message_size_max, serialization},
      read_buffer_{new char[kReadSize]} {}

void Channel::start() { wait_readable(); }

void Channel::set_ref(bool ref) {
  if (watch_) watch_->set_ref(ref);
}

// Writing.

// Encodes the message to the end of a lane. Its size; on an error nothing has changed.
Result<std::size_t> Channel::enqueue(Lane lane, const Value& message, bool bounded, Done done) {
  std::string& text = outbox_.tail(lane);
  const std::size_t before = text.size();
  attached_.clear();
  const auto encoded =
      encode_message(message, serialization_, text, limits_.message_size_max, &attached_);
  if (!encoded) return encoded.error();
  std::size_t size = text.size() - before;
  for (const Attached& attached : attached_) size += attached.bytes.size();
  if (const auto why = bounded ? full(size) : std::nullopt) {
    text.resize(before);
    attached_.clear();
    return *why;
  }
  if (attached_.empty()) {
    outbox_.added(lane, size, std::move(done));
    return size;
  }
  Parcel parcel{.text = text.substr(before), .attached = std::move(attached_)};
  text.resize(before);
  for (Attached& attached : parcel.attached) attached.position -= before;
  if (done) parcel.done.push_back(std::move(done));
  outbox_.push(lane, std::move(parcel));
  share_memory();
  return size;
}

// Why a message of that size is not taken now.
std::optional<Error> Channel::full(std::size_t size) {
  const std::size_t waiting = outbox_.data_waiting();
  if (waiting == 0 || waiting + size <= limits_.queue_size_max) return std::nullopt;
  drain_due_ = true;
  return channel_full(waiting, limits_.queue_size_max);
}

Result<bool> Channel::send(const Value& message, Done done) {
  if (!open_) return make_error(Errc::ChannelClosed, "send");
  const auto size = enqueue(Lane::Data, message, true, std::move(done));
  if (!size) return size.error();
  write_soon();
  return keeps_up();
}

Result<bool> Channel::send_encoded(std::string_view message, Done done) {
  if (!open_) return make_error(Errc::ChannelClosed, "send");
  if (message.size() > limits_.message_size_max + kFrameSizeMax)
    return make_error(Errc::MessageTooLarge, "send " + std::to_string(message.size()) + " bytes",
                      "message_size_max is " + std::to_string(limits_.message_size_max));
  outbox_.tail(Lane::Data).append(message);
  outbox_.added(Lane::Data, message.size(), std::move(done));
  write_soon();
  return keeps_up();
}

Result<bool> Channel::send_own(const Value& message, Lane lane) {
  if (!open_) return make_error(Errc::ChannelClosed, "send");
  if (const auto size = enqueue(lane, message); !size) return size.error();
  write_soon();
  return keeps_up();
}

Result<bool> Channel::send_descriptors(const Value& wrapped, std::vector<int> fds,
                                       Answered answered, Lane lane) {
  if (!open_) return make_error(Errc::ChannelClosed, "send a handle");
  Parcel parcel{.fds = std::move(fds), .answered = std::move(answered)};
  const auto encoded = encode_message(wrapped, serialization_, parcel.text,
                                      limits_.message_size_max, &parcel.attached);
  if (!encoded) return encoded.error();
  if (const auto why = lane == Lane::Data ? full(parcel.size()) : std::nullopt) return *why;
  outbox_.push(lane, std::move(parcel));
  write_now();
  // If it has to wait, then for longer than the caller may keep the descriptors.
  Parcel* const waiting = outbox_.last(lane);
  for (std::size_t i = 0; waiting != nullptr && i < waiting->fds.size(); ++i) {
    OwnFd own = sys::duplicate(waiting->fds[i]);
    if (!own) {
      Error failed = errno_error("send a handle");
      outbox_.pop(lane);
      return failed;
    }
    waiting->fds[i] = own.get();
    waiting->own.push_back(std::move(own));
  }
  return keeps_up();
}

bool Channel::keeps_up() {
  if (outbox_.data_waiting() < kHighWaterMark) return true;
  drain_due_ = true;
  return false;
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
  Outbox::Batch batch;
  while (!outbox_.empty() && outbox_.next(batch))
    if (!write_batch(batch)) return;
  if (closing_ && outbox_.empty()) end(std::nullopt);
}

// False if nothing more can be written now.
bool Channel::write_batch(const Outbox::Batch& batch) {
  const ssize_t size = write_to(watch_->fd(), batch);
  if (size < 0) {
    if (would_block(errno))
      wait_writable();
    else
      fail_writes(errno_error("send"));
    return false;
  }
  outbox_.written(static_cast<std::size_t>(size), done_);
  for (Done& done : done_) loop_.post([done = std::move(done)] { done(std::nullopt); });
  done_.clear();
  drained();
  return true;
}

void Channel::want_drained() {
  drain_due_ = true;
  drained();
}

void Channel::drained() {
  if (!drain_due_ || outbox_.data_waiting() > kHighWaterMark / 2) return;
  drain_due_ = false;
  loop_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && self->open_ && self->user_ != nullptr) self->user_->channel_drained();
  });
}

void Channel::wait_writable() {
  writable_wanted_ = true;
  watch_->wait_writable([this] {
    const auto self = shared_from_this();
    writable_wanted_ = false;
    write_now();
  });
}

// The peer does not read any more. What it wrote before may still be there: reading finds the end.
void Channel::fail_writes(const Error& error) {
  open_ = false;
  for (auto& done : outbox_.drop()) loop_.post([done = std::move(done), error] { done(error); });
  if (closing_) end(std::nullopt);
}

bool Channel::flush_all(std::chrono::steady_clock::time_point deadline) {
  outbox_.hurry();
  outbox_.set_descriptors_may_follow();
  return flush(deadline);
}

bool Channel::flush(std::chrono::steady_clock::time_point deadline) {
  const auto self = shared_from_this();
  confirm_batch();
  for (;;) {
    writable_wanted_ = false;
    write_now();
    if (!watch_ || !writable_wanted_) return open_;
    if (!sys::wait_for(watch_->fd(), POLLOUT, deadline)) return false;
  }
}

// Reading.

// The watch, which is ours, drops its callbacks when it goes.
void Channel::wait_readable() {
  watch_->wait_readable([this] {
    const auto self = shared_from_this();
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
  DescriptorSpace<kDescriptorsMax> control;
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
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
      confirm(incoming.has_descriptors());
      if (!incoming.has_descriptors()) continue;
    }
    // What a handler throws leaves the loop in a turn of its own: the messages behind this one are
    // not lost.
    try {
      if (incoming.kind == MessageKind::HandleAck)
        answered(Delivery::Received);
      else if (incoming.kind == MessageKind::HandleNack)
        answered(Delivery::Refused);
      else if (incoming.kind != MessageKind::Cohort || take_cohort(incoming))
        user_->message(std::move(incoming));
    } catch (...) {
      loop_.post([thrown = std::current_exception()] { std::rethrow_exception(thrown); });
    }
  }
  confirm_batch();
  report_processed();
  corked_ = outer;
  if (!corked_) write_now();
}

// Exactly one answer to each. A Node peer sends nothing more until then; a cohort peer gets those
// of one read together.
void Channel::confirm(bool arrived) {
  if (arrived && greeted_) {
    ++unconfirmed_;
    return;
  }
  confirm_batch();
  if (open_) std::ignore = enqueue(Lane::Answer, handle_answer(arrived));
}

void Channel::confirm_batch() {
  const std::size_t count = std::exchange(unconfirmed_, 0);
  if (count == 0 || !open_) return;
  std::ignore = enqueue(Lane::Answer,
                        count == 1 ? handle_answer(true) : cohort_message("descriptors", count));
}

// For the oldest descriptor. What its callback throws leaves the loop in a turn of its own, too.
bool Channel::answered(Delivery delivery) {
  try {
    return outbox_.answer(delivery);
  } catch (...) {
    loop_.post([thrown = std::current_exception()] { std::rethrow_exception(thrown); });
    return true;
  }
}

// Between cohort processes.

void Channel::announce() {
  announced_ = true;
  peer_is_cohort_ = true;
  Value hello = cohort_message("version", 1);
  hello["window"] = kWindow;
  std::ignore = send_own(hello, Lane::Control);
}

// True if the user is to have it, too: a greeting.
bool Channel::take_cohort(Incoming& incoming) {
  const Value& message = std::as_const(incoming.value);
  if (message["version"].is_number()) {
    greet(message);
    return true;
  }
  if (!greeted_) return false;
  outbox_.processed(message["processed"].uint64_or(0));
  const std::uint64_t count = message["descriptors"].uint64_or(0);
  for (std::uint64_t i = std::min<std::uint64_t>(count, outbox_.unanswered()); i > 0; --i)
    answered(Delivery::Received);
  for (const Value& offset : message["freed"].elements())
    if (pool_) pool_->give_back(offset.uint64_or(0));
  if (incoming.fd && !inbox_) {
    auto inbox = SharedInbox::map(loop_, std::move(incoming.fd), message["memory"].uint64_or(0),
                                  limits_.shared_memory_max, [weak = weak_from_this()] {
                                    const auto self = weak.lock();
                                    if (self && self->inbox_) self->give_back_memory();
                                  });
    if (inbox) inbox_ = *std::move(inbox);
    std::ignore = enqueue(Lane::Answer, cohort_message("mapped", static_cast<bool>(inbox_)));
  } else if (pool_ && message["mapped"].bool_or(false)) {
    outbox_.set_pool(pool_.get());
  }
  return false;
}

void Channel::greet(const Value& hello) {
  if (std::exchange(greeted_, true)) return;
  peer_is_cohort_ = true;
  outbox_.set_descriptors_may_follow();
  outbox_.set_window(hello["window"].uint64_or(0));
  decoder_.set_lend([this](std::size_t offset, std::size_t size) {
    return inbox_ ? inbox_->lend(offset, size) : nullptr;
  });
  if (announced_) {
    limits_.message_size_max = hello["message_size_max"].uint64_or(limits_.message_size_max);
    limits_.queue_size_max = hello["queue_size_max"].uint64_or(limits_.queue_size_max);
    limits_.shared_memory_max = hello["shared_memory_max"].uint64_or(limits_.shared_memory_max);
    decoder_.set_message_size_max(limits_.message_size_max);
    return;
  }
  Value answer = cohort_message("version", 1);
  answer["window"] = kWindow;
  answer["message_size_max"] = limits_.message_size_max;
  answer["queue_size_max"] = limits_.queue_size_max;
  answer["shared_memory_max"] = limits_.shared_memory_max;
  std::ignore = enqueue(Lane::Answer, answer);
}

// Large data waits: is there memory for it, the peer gets its descriptor, and what waits until it
// has it takes the socket.
void Channel::share_memory() {
  if (!greeted_ || limits_.shared_memory_max == 0 || std::exchange(pool_asked_, true)) return;
  auto pool = SharedPool::create(limits_.shared_memory_max);
  if (!pool) return;  // as without it, only slower
  pool_ = *std::move(pool);
  std::ignore =
      send_descriptor(wrap_handle("cohort.Memory", cohort_message("memory", pool_->size())),
                      pool_->fd(), {}, Lane::Control);
}

std::shared_ptr<std::byte> Channel::allocate(std::size_t size) {
  if (serialization_ == Serialization::Json || size < kAttachedSizeMin) return nullptr;
  share_memory();
  return pool_ ? pool_->allocate(size) : nullptr;
}

void Channel::give_back_memory() {
  Value offsets = Value::array();
  for (const std::size_t offset : inbox_->take_freed()) offsets.push_back(offset);
  std::ignore = send_own(cohort_message("freed", std::move(offsets)), Lane::Answer);
}

// Not for every message: what the sender must know is that it may go on.
void Channel::report_processed() {
  const std::uint64_t processed = decoder_.message_end() - withheld_;
  if (!greeted_ || !open_ || processed < reported_ + kWindow / 4) return;
  reported_ = processed;
  std::ignore = enqueue(Lane::Answer, cohort_message("processed", processed));
}

void Channel::consumed(std::size_t size) {
  withheld_ -= size;
  report_processed();
  if (!corked_) write_now();
}

// Ending.

void Channel::close() {
  if (closing_ || ended_) return;
  hurry();
  open_ = false;
  closing_ = true;
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->write_now();
  });
}

void Channel::end(std::optional<Error> why) {
  if (std::exchange(ended_, true)) return;
  open_ = false;
  fail_writes(make_error(Errc::ChannelClosed, "send"));
  watch_.reset();
  outbox_.set_pool(nullptr);
  pool_.reset();
  inbox_.reset();
  loop_.post([self = shared_from_this(), why = std::move(why)] {
    while (self->answered(Delivery::PeerGone)) {
    }
    if (self->user_ != nullptr) self->user_->channel_closed(why);
  });
}

void Channel::peer_ended() {
  user_ = nullptr;
  end(std::nullopt);
}

void Channel::abandon() {
  user_ = nullptr;
  ended_ = true;
  open_ = false;
  outbox_ = {};
  watch_.reset();
  pool_.reset();
  inbox_.reset();
}

}  // namespace cohort::ipc
