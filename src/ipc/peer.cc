#include "ipc/peer.h"

#include <boost/asio/append.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "ipc/calls.h"

namespace cohort::ipc {

Peer::Peer(const Loop& loop, PeerUser& user, Early early, std::shared_ptr<Calls> calls, int id)
    : loop_{loop},
      user_{&user},
      calls_{std::move(calls)},
      id_{id},
      early_{early},
      sender_{std::make_shared<AnyThreadSender>(loop)},
      traffic_{std::make_shared<HandleTraffic>(loop)} {}

Peer::~Peer() {
  if (channel_) channel_->abandon();
}

// Life.

void Peer::open(OwnFd socket, Serialization serialization, const ChannelLimits& limits) {
  channel_ = std::make_shared<Channel>(loop_, std::move(socket), serialization, limits,
                                       static_cast<ChannelUser&>(*this));
  sender_->open(channel_);
}

void Peer::start() {
  if (channel_) channel_->start();
}

void Peer::announce() {
  if (channel_) channel_->announce();
}

void Peer::set_ref(bool ref) {
  if (channel_) channel_->set_ref(ref);
}

void Peer::close() {
  sender_->close();
  if (channel_) channel_->close();
}

void Peer::read_available() {
  if (const auto channel = channel_) channel->read_available();
}

void Peer::has_ended() {
  sender_->close();
  if (channel_) channel_->peer_ended();
  forget_channel();
}

void Peer::abandon() {
  user_ = nullptr;
  sender_->close();
  if (channel_) channel_->abandon();
  channel_.reset();
  early_messages_.clear();
  deferred_.clear();
}

void Peer::channel_closed(std::optional<Error> why) {
  const auto self = shared_from_this();
  sender_->close();
  forget_channel();
  if (calls_) calls_->peer_gone(*this);
  if (user_ != nullptr) user_->channel_closed(std::move(why));
}

void Peer::forget_channel() {
  was_cohort_ = is_cohort();
  ended_ = true;
  channel_.reset();
  message_.abort();
  drain_.abort();
}

void Peer::end_events(boost::system::error_code why) {
  const auto self = shared_from_this();
  if (calls_) calls_->peer_gone(*this);
  message_.abort(why);
  drain_.abort(why);
  const auto ended_drain = std::exchange(drain_, {});
  // Messages that wait still come to their handlers, if there will be any.
  if (early_messages_.empty()) drop_handlers();
}

// Out of the object first: the last handle may be in one of them.
void Peer::drop_handlers() {
  const auto ended = std::exchange(message_, {});
  const auto ended_too = std::exchange(on_handle_, {});
}

// Sending.

Result<bool> Peer::send(const Value& message, Handle handle, HandleTraffic::Done done) {
  sender_->catch_up();
  return traffic_->send(connected() ? channel_ : nullptr, message, std::move(handle),
                        std::move(done));
}

Result<bool> Peer::send_own(const Value& message, Lane lane) {
  sender_->catch_up();
  return channel_ ? channel_->send_own(message, lane)
                  : Result<bool>(make_error(Errc::ChannelClosed, "send"));
}

Result<bool> Peer::send_descriptors(const Value& wrapped, std::vector<int> fds,
                                    Channel::Answered answered, Lane lane) {
  return channel_ ? channel_->send_descriptors(wrapped, std::move(fds), std::move(answered), lane)
                  : Result<bool>(make_error(Errc::ChannelClosed, "send a descriptor"));
}

WritableBuffer Peer::make_buffer(std::size_t size) {
  if (auto shared = channel_ ? channel_->allocate(size) : nullptr)
    return {{shared.get(), size}, std::move(shared)};
  auto own = std::make_shared_for_overwrite<std::byte[]>(size);
  return {{own.get(), size}, std::move(own)};
}

void Peer::hurry() {
  if (channel_) channel_->hurry();
}

void Peer::flush(Clock::time_point deadline) {
  sender_->catch_up();
  if (const auto channel = channel_) channel->flush_all(deadline);
}

// Receiving.

void Peer::message(Incoming incoming) {
  has_spoken_ = true;
  const bool is_next =
      blocking_ == nullptr ? deferred_.empty() : !blocking_->came && blocking_->awaited(incoming);
  if (!is_next) return keep(deferred_, std::move(incoming));
  if (blocking_ != nullptr) blocking_->came = true;
  handle(incoming);
}

void Peer::handle(Incoming& incoming) {
  const auto self = shared_from_this();
  switch (incoming.kind) {
    case MessageKind::User:
      return user_message(incoming);
    case MessageKind::Cluster:
      if (user_ != nullptr) user_->cluster_message(incoming);
      return;
    case MessageKind::Cohort:
      return sender_->take_limits();
    default:  // NODE_ commands that we do not know are ignored, as Node does
      return traffic_->answer(channel_, incoming);
  }
}

bool Peer::take_call(const Incoming& incoming) {
  return calls_ && !incoming.has_descriptors() && calls_->take(*this, incoming.value);
}

void Peer::user_message(Incoming& incoming) {
  if (take_call(incoming)) return;
  const bool waits = !wants_messages() || !early_messages_.empty();
  if (waits && early_ == Early::Waits)
    keep(early_messages_, std::move(incoming));
  else
    emit(incoming);
}

void Peer::emit(Incoming& incoming) {
  Handle handle = traffic_->receive(channel_, incoming);
  if (user_ != nullptr) user_->user_message(incoming.value, handle);
  message_.emit(incoming.value);
  on_handle_(incoming.value, handle);
}

// A peer of cohort sends only so much more than was taken.
void Peer::keep(std::deque<Incoming>& for_later, Incoming incoming) {
  if (channel_) channel_->withhold(incoming.size);
  for_later.push_back(std::move(incoming));
}

Incoming Peer::take_first(std::deque<Incoming>& kept) {
  Incoming first = std::move(kept.front());
  kept.pop_front();
  if (channel_) channel_->consumed(first.size);
  return first;
}

bool Peer::receive_until(const Awaited& awaited, Clock::time_point deadline) {
  const auto channel = channel_;
  if (!channel) return false;
  Blocking blocking{awaited};
  blocking_ = &blocking;
  while (!blocking.came && channel->flush(deadline) && channel->read_blocking(deadline)) {
  }
  blocking_ = nullptr;
  deliver_deferred();
  return blocking.came;
}

// One in a turn. It leaves when it has been handled, whatever its handler throws: what comes
// meanwhile is behind those that are left.
void Peer::deliver_deferred() {
  if (deferred_.empty()) return;
  loop_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->deferred_.empty()) return;
    struct Leaves {
      Peer& peer;
      ~Leaves() {
        if (!peer.deferred_.empty()) peer.deferred_.pop_front();
        peer.deliver_deferred();
      }
    };
    const Leaves leaves{*self};
    if (self->channel_) self->channel_->consumed(self->deferred_.front().size);
    Incoming first = std::move(self->deferred_.front());
    self->handle(first);
  });
}

void Peer::look_again() {
  waits_changed();
  if (early_messages_.empty()) return;
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->deliver_early();
  });
}

void Peer::deliver_early() {
  std::deque<Incoming> passed_over;
  while (!early_messages_.empty() && (wants_messages() || (calls_ && calls_->has_methods()))) {
    Incoming incoming = take_first(early_messages_);
    try {
      if (take_call(incoming)) continue;
      if (wants_messages())
        emit(incoming);
      else
        keep(passed_over, std::move(incoming));
    } catch (...) {
      // The others come all the same.
      loop_.post([thrown = std::current_exception()] { std::rethrow_exception(thrown); });
    }
  }
  while (!passed_over.empty()) {
    early_messages_.push_front(std::move(passed_over.back()));
    passed_over.pop_back();
  }
  if (ended_ && early_messages_.empty()) drop_handlers();
}

void Peer::on_message(std::function<void(const Value&)> handler) {
  message_.on(std::move(handler));
  look_again();
}

void Peer::on_message(std::function<void(const Value&, Handle&)> handler) {
  on_handle_.add(std::move(handler));
  look_again();
}

void Peer::wait_message(Event<const Value&>::Waiting handler) {
  if (!early_messages_.empty() && !wants_messages()) {
    const Incoming incoming = take_first(early_messages_);
    boost::asio::post(loop_.executor(),
                      boost::asio::append(std::move(handler), boost::system::error_code{},
                                          Value{incoming.value}));
    return;
  }
  message_.once(loop_, std::move(handler), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->look_again();
  });
  if (ended_)
    message_.abort();
  else
    look_again();
}

void Peer::wait_drain(Event<>::Waiting handler) {
  drain_.once(loop_, std::move(handler));
  if (channel_)
    channel_->want_drained();
  else
    drain_.abort();
}

// For calls.

std::string Peer::describe() const {
  return user_ == nullptr ? "the peer" : user_->describe_peer();
}

void Peer::waits_changed() {
  if (user_ != nullptr) user_->waits_changed();
}

}  // namespace cohort::ipc
