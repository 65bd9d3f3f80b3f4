// Publish and subscribe by topic, through the primary.
//
// Every process keeps its own handlers. A worker tells its primary of its first handler for a topic
// and of the end of it, and publishes by asking the primary, which passes on to each worker that
// subscribed. The messages are notifications (docs/calls.md), so that Node workers may take part.
//
// Owned by the Cluster. Loop's executor only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "cohort/value.h"
#include "cohort/worker.h"
#include "ipc/calls.h"

namespace cohort::cluster {

class Topics {
 public:
  using Handler = std::function<void(const Value& data)>;

  /// `parent` is whoever this process is a worker of; null in a primary.
  Topics(ipc::Calls& calls, ipc::Peer* parent);

  void subscribe(const std::string& topic, Handler handler);
  void unsubscribe(const std::string& topic);
  SendResult publish(const std::string& topic, const Value& data);
  /// Whether anybody here waits for messages from elsewhere.
  bool has_handlers() const { return !handlers_.empty(); }

 private:
  void deliver(const std::string& topic, const Value& data);
  void pass_on(const std::string& topic, const Value& data);
  void peer_gone(ipc::Peer& peer);

  ipc::Peer* parent_;
  // Shared with a delivery that is under way; a deque, since handlers may add others meanwhile.
  std::map<std::string, std::shared_ptr<std::deque<Handler>>> handlers_;
  std::map<std::string, std::set<ipc::Peer*>> subscribers_;  // left before they die: peer_gone
};

}  // namespace cohort::cluster
