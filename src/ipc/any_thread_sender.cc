#include "ipc/any_thread_sender.h"

#include <string>
#include <utility>

namespace cohort::ipc {

void AnyThreadSender::open(const std::shared_ptr<Channel>& channel) {
  channel_ = channel;
  serialization_ = channel->serialization();
  take_limits();
  open_ = true;
}

void AnyThreadSender::take_limits() {
  const auto channel = channel_.lock();
  if (!channel) return;
  message_size_max_ = channel->limits().message_size_max;
  queue_size_max_ = channel->limits().queue_size_max;
}

Result<bool> AnyThreadSender::send(const Value& message, Channel::Done done) {
  const Result<bool> sent = !open_              ? make_error(Errc::ChannelClosed, "send")
                            : loop_.runs_here() ? send_here(message, done)
                                                : hand_over(message, done);
  if (!sent && done) loop_.post([done = std::move(done), why = sent.error()] { done(why); });
  return sent;
}

Result<bool> AnyThreadSender::send_here(const Value& message, const Channel::Done& done) {
  catch_up();
  const auto channel = channel_.lock();
  if (!channel) return make_error(Errc::ChannelClosed, "send");
  return channel->send(message, done);
}

// Its contents are not guarded, so it is encoded before anything else happens.
Result<bool> AnyThreadSender::hand_over(const Value& message, const Channel::Done& done) {
  std::string bytes;
  if (const auto encoded = encode_message(message, serialization_, bytes, message_size_max_);
      !encoded)
    return encoded.error();
  const std::size_t size = bytes.size();
  const std::size_t before = on_the_way_.fetch_add(size);
  const bool full = before > 0 && before + size > queue_size_max_;
  if (full) on_the_way_ -= size;
  if (full || before + size >= Channel::kHighWaterMark) {
    drain_wanted_ = true;
    // Perhaps all the others have arrived meanwhile, and nothing more would.
    if (on_the_way_ == 0) loop_.post([self = shared_from_this()] { self->tell_if_drained(); });
  }
  if (full) return channel_full(before, queue_size_max_);
  bool first = false;
  {
    const std::lock_guard lock{mutex_};
    if (!open_) {
      on_the_way_ -= size;
      return make_error(Errc::ChannelClosed, "send");
    }
    first = queue_.empty();
    queue_.push_back({std::move(bytes), done});
    queued_ = true;
  }
  // At once where the loop rests and this thread runs it: a handler beside its strand.
  if (first) loop_.run_here([self = shared_from_this()] { self->catch_up(); });
  return before + size < Channel::kHighWaterMark;
}

void AnyThreadSender::catch_up() {
  if (!queued_) return;
  std::vector<Message> taken;
  {
    const std::lock_guard lock{mutex_};
    taken.swap(queue_);
    queued_ = false;
  }
  for (const Message& message : taken) give(message);
}

void AnyThreadSender::close() {
  {
    const std::lock_guard lock{mutex_};
    open_ = false;
  }
  catch_up();
}

// `done` never runs within the call that makes us catch up.
void AnyThreadSender::give(const Message& message) {
  const auto written = [self = shared_from_this(), size = message.bytes.size(),
                        done = message.done](std::optional<Error> error) {
    self->arrived(size);
    if (done) done(std::move(error));
  };
  const auto channel = channel_.lock();
  const auto sent = channel ? channel->send_encoded(message.bytes, written)
                            : Result<bool>(make_error(Errc::ChannelClosed, "send"));
  if (!sent) loop_.post([written, why = sent.error()] { written(why); });
}

void AnyThreadSender::arrived(std::size_t size) {
  on_the_way_ -= size;
  tell_if_drained();
}

void AnyThreadSender::tell_if_drained() {
  if (on_the_way_ > Channel::kHighWaterMark / 2 || !drain_wanted_.exchange(false)) return;
  if (const auto channel = channel_.lock()) channel->want_drained();
}

}  // namespace cohort::ipc
