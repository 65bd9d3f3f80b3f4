#include "ipc/calls.h"

#include <cerrno>
#include <exception>
#include <tuple>
#include <vector>

#include "ipc/peer.h"
#include "ipc/rpc.h"

namespace cohort {

using ipc::Calls;
using ipc::Peer;

// What a Reply refers to.
class Reply::Impl {
 public:
  Impl(std::weak_ptr<Calls> calls, Peer& peer, Value id, std::string_view method)
      : calls_{std::move(calls)},
        peer_{peer.weak_from_this()},
        key_{&peer, to_json(id)},
        caller_{peer.id()},
        id_{std::move(id)},
        method_{method} {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { fail(ipc::kMethodFailed, method_ + " ended without an answer"); }

  void answer(Value result) { send(ipc::rpc_result(id_, std::move(result))); }
  void fail(int code, const std::string& text) { send(ipc::rpc_failure(id_, code, text)); }
  int caller() const { return caller_; }
  bool cancelled() const { return cancelled_; }
  void on_cancel(std::function<void()> handler) {
    if (!over_) handlers_.push_back(std::move(handler));
  }
  void cancel() {
    if (std::exchange(over_, true)) return;
    cancelled_ = true;
    for (const auto& handler : std::exchange(handlers_, {})) handler();
  }

 private:
  void send(const Value& message) {
    if (std::exchange(over_, true)) return;
    handlers_.clear();
    if (const auto calls = calls_.lock()) calls->served_.erase(key_);
    const auto peer = peer_.lock();
    if (!peer) return;
    const auto sent = peer->send_own(message);
    if (!sent && sent.error().code != Errc::ChannelClosed)
      std::ignore =
          peer->send_own(ipc::rpc_failure(id_, ipc::kMethodFailed, sent.error().message()));
  }

  std::weak_ptr<Calls> calls_;
  std::weak_ptr<Peer> peer_;
  std::pair<const Peer*, std::string> key_;
  int caller_;
  Value id_;
  std::string method_;
  bool over_ = false;
  bool cancelled_ = false;
  std::vector<std::function<void()>> handlers_;
};

void Reply::operator()(Value result) const { impl_->answer(std::move(result)); }
void Reply::fail(const std::string& message) const { impl_->fail(ipc::kMethodFailed, message); }
int Reply::caller() const { return impl_->caller(); }
bool Reply::cancelled() const { return impl_->cancelled(); }
void Reply::on_cancel(Callback<void()> handler) const { impl_->on_cancel(std::move(handler)); }

}  // namespace cohort

namespace cohort::ipc {
namespace {

// As in the Language Server Protocol, which has the same need.
constexpr std::string_view kCancel = "$/cancelRequest";

Value cancel_message(std::int64_t id) {
  return rpc_notification(kCancel, Value::object({{"id", id}}));
}

}  // namespace

std::int64_t Calls::call(Peer& peer, const std::string& method, Value params,
                         const CallOptions& options, Done done) {
  const std::int64_t id = ++last_id_;
  Pending& pending = pending_[id];
  pending = {&peer, method, std::move(done), nullptr};
  const auto sent = peer.send(rpc_request(id, method, std::move(params)));
  if (!sent) {
    loop_.post([weak = weak_from_this(), id, error = sent.error()] {
      if (const auto self = weak.lock()) self->finish(id, error);
    });
  } else if (options.timeout.count() > 0) {
    pending.deadline = std::make_unique<boost::asio::steady_timer>(loop_.executor());
    pending.deadline->expires_after(options.timeout);
    pending.deadline->async_wait([weak = weak_from_this(), id, timeout = options.timeout](auto e) {
      const auto self = weak.lock();
      if (e || !self) return;
      self->give_up(id, system_error(ETIMEDOUT, "",
                                     "no answer in " + std::to_string(timeout.count()) + " ms"));
    });
  }
  return id;
}

void Calls::cancel(std::int64_t id) { give_up(id, system_error(ECANCELED, "")); }

void Calls::give_up(std::int64_t id, Error why) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return;
  std::ignore = found->second.peer->send_own(cancel_message(id));
  finish(id, std::move(why));
}

void Calls::finish(std::int64_t id, Result<Value> result) {
  auto entry = pending_.extract(id);
  if (entry.empty()) return;
  const Pending& pending = entry.mapped();
  if (!result) {
    Error error = result.error();
    error.op = "call " + pending.method;
    result = std::move(error);
  }
  pending.peer->waits_changed();  // one reason less to keep the loop running
  pending.done(std::move(result));
}

bool Calls::take(Peer& peer, const Value& message) {
  const auto rpc = parse_rpc(message);
  if (!rpc) return false;
  switch (rpc->kind) {
    case Rpc::Kind::Request:
      if (methods_.empty()) return false;
      serve(peer, rpc->id, rpc->method, rpc->content);
      return true;
    case Rpc::Kind::Notification: {
      if (rpc->method == kCancel && !methods_.empty()) {
        cancelled({&peer, to_json(rpc->content["id"])});
        return true;
      }
      const auto found = notifications_.find(rpc->method);
      if (found == notifications_.end()) return false;
      found->second(peer, rpc->content);
      return true;
    }
    case Rpc::Kind::Result:
    case Rpc::Kind::Failure:
      break;
  }
  const std::int64_t id = rpc->id.int64_or(-1);
  const auto found = pending_.find(id);
  // An answer that comes after we gave up is nobody's; one to a call that we never made is a
  // message like any other.
  if (found == pending_.end() || found->second.peer != &peer) return id > 0 && id <= last_id_;
  if (rpc->kind == Rpc::Kind::Result) {
    finish(id, rpc->content);
  } else {
    const bool unknown = rpc->content["code"] == kMethodNotFound;
    finish(id, make_error(unknown ? Errc::NoSuchMethod : Errc::CallFailed, "",
                          std::string{rpc->content["message"].string_or("")}));
  }
  return true;
}

void Calls::serve(Peer& peer, const Value& id, std::string_view method, const Value& params) {
  const auto found = methods_.find(method);
  if (found == methods_.end()) {
    std::ignore = peer.send_own(
        rpc_failure(id, kMethodNotFound, "there is no method " + std::string{method}));
    return;
  }
  const auto impl = std::make_shared<Reply::Impl>(weak_from_this(), peer, id, method);
  served_[{&peer, to_json(id)}] = impl;
  const Method task = found->second;  // it may replace itself
  try {
    task(params, Reply{impl});
  } catch (const std::exception& error) {
    impl->fail(kMethodFailed, error.what());
  }
}

void Calls::cancelled(const Served& served) {
  const auto entry = served_.extract(served);
  if (entry.empty()) return;
  if (const auto impl = entry.mapped().lock()) impl->cancel();
}

void Calls::peer_gone(Peer& peer) {
  std::vector<std::int64_t> ids;
  for (const auto& [id, pending] : pending_)
    if (pending.peer == &peer) ids.push_back(id);
  for (const std::int64_t id : ids)
    finish(id, make_error(Errc::ChannelClosed, "", peer.describe() + " is gone"));
  std::vector<Served> served;
  for (const auto& [key, impl] : served_)
    if (key.first == &peer) served.push_back(key);
  for (const Served& key : served) cancelled(key);
  if (gone_) gone_(peer);
}

void Calls::abandon() {
  pending_.clear();
  served_.clear();
  methods_.clear();
  notifications_.clear();
  gone_ = nullptr;
}

}  // namespace cohort::ipc
