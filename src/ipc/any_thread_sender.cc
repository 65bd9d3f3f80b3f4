#include "ipc/any_thread_sender.h"

#include <string>
#include <utility>

namespace cohort::ipc {

void AnyThreadSender::open(const std::shared_ptr<Channel>& channel) {
  channel_ = channel;
  serialization_ = channel->serialization();
  limits_ = channel->limits();
  open_ = true;
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
  if (const auto encoded = encode_message(message, serialization_, bytes, limits_.message_size_max);
      !encoded)
    return encoded.error();
  const std::size_t size = bytes.size();
  const std::size_t before = on_the_way_.fetch_add(size);
  if (before > 0 && before + size > limits_.queue_size_max) {
    on_the_way_ -= size;
    drain_wanted_ = true;
    return channel_full(before, limits_.queue_size_max);
  }
  const bool keeps_up = before + size < Channel::kHighWaterMark;
  if (!keeps_up) drain_wanted_ = true;
  loop_.post([self = shared_from_this(), bytes = std::move(bytes), done] {
    self->on_the_way_ -= bytes.size();
    const auto channel = self->channel_.lock();
    const auto sent = channel ? channel->send_encoded(bytes, done)
                              : Result<bool>(make_error(Errc::ChannelClosed, "send"));
    if (!sent && done) done(sent.error());
    if (channel && self->drain_wanted_.exchange(false)) channel->want_drained();
  });
  return keeps_up;
}

}  // namespace cohort::ipc
