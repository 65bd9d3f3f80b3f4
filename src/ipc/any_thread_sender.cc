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
  loop_.post([self = shared_from_this(), bytes = std::move(bytes), done] {
    const auto written = [self, size = bytes.size(), done](std::optional<Error> error) {
      self->arrived(size);
      if (done) done(std::move(error));
    };
    const auto channel = self->channel_.lock();
    const auto sent = channel ? channel->send_encoded(bytes, written)
                              : Result<bool>(make_error(Errc::ChannelClosed, "send"));
    if (!sent) written(sent.error());
  });
  return before + size < Channel::kHighWaterMark;
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
