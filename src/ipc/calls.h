// Calls, in both directions, between this process and each of its peers: what waits for an answer,
// and what is being answered.
//
// One per Cluster, shared with replies that outlive it. Loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/loop.h"
#include "cohort/call.h"

namespace cohort::ipc {

class Peer;

class Calls : public std::enable_shared_from_this<Calls> {
 public:
  using Method = std::function<void(const Value& params, Reply reply)>;
  using Notified = std::function<void(Peer& peer, const Value& params)>;
  using Done = std::function<void(Result<Value>)>;

  explicit Calls(const Loop& loop) : loop_{loop} {}

  /// Replaces the method of that name.
  void handle(std::string method, Method task) { methods_[std::move(method)] = std::move(task); }
  /// A message without an answer; one of ours, not of the user's.
  void on_notification(std::string method, Notified task) {
    notifications_[std::move(method)] = std::move(task);
  }
  void when_peer_gone(std::function<void(Peer& peer)> task) { gone_ = std::move(task); }
  /// Asks a peer. `done` is called once, later, also if the peer is gone already.
  std::int64_t call(Peer& peer, const std::string& method, Value params, const CallOptions& options,
                    Done done);
  /// The caller gives up: `done` gets ECANCELED, and the peer is told. Nothing if it is over.
  void cancel(std::int64_t id);

  /// Whether the message was a call, an answer, or a notification that somebody here waits for.
  bool take(Peer& peer, const Value& message);
  /// The peer answers no more, and wants no answers.
  void peer_gone(Peer& peer);
  /// The Cluster ends: methods and callbacks go, nothing is called.
  void abandon();
  bool has_methods() const { return !methods_.empty(); }
  /// Whether any answer is waited for.
  bool waits() const { return !pending_.empty(); }

 private:
  friend class cohort::Reply::Impl;
  struct Pending {
    Peer* peer;  // left before it dies: peer_gone
    std::string method;
    Done done;
    std::unique_ptr<boost::asio::steady_timer> deadline;
  };
  using Served = std::pair<const Peer*, std::string>;  // peer, id as JSON

  void finish(std::int64_t id, Result<Value> result);
  void give_up(std::int64_t id, Error why);
  void serve(Peer& peer, const Value& id, std::string_view method, const Value& params);
  void cancelled(const Served& served);

  Loop loop_;
  std::map<std::string, Method, std::less<>> methods_;
  std::map<std::string, Notified, std::less<>> notifications_;
  std::function<void(Peer&)> gone_;
  std::map<std::int64_t, Pending> pending_;
  std::int64_t last_id_ = 0;
  std::map<Served, std::weak_ptr<Reply::Impl>> served_;  // owned by the handles
};

}  // namespace cohort::ipc
