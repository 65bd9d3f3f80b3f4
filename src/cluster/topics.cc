#include "cluster/topics.h"

#include <tuple>

#include "ipc/peer.h"
#include "ipc/rpc.h"

namespace cohort::cluster {
namespace {

constexpr const char* kSubscribe = "cohort.subscribe";
constexpr const char* kUnsubscribe = "cohort.unsubscribe";
constexpr const char* kPublish = "cohort.publish";
constexpr const char* kPublished = "cohort.published";

Value about(const char* method, const std::string& topic) {
  return ipc::rpc_notification(method, Value::object({{"topic", topic}}));
}

Value with_data(const char* method, const std::string& topic, const Value& data) {
  return ipc::rpc_notification(method, Value::object({{"topic", topic}, {"data", data}}));
}

std::string topic_of(const Value& params) { return std::string{params["topic"].string_or("")}; }

}  // namespace

Topics::Topics(ipc::Calls& calls, ipc::Peer* parent) : parent_{parent} {
  if (parent_ != nullptr) {
    calls.on_notification(kPublished, [this](ipc::Peer& peer, const Value& params) {
      if (&peer == parent_) deliver(topic_of(params), params["data"]);
    });
    return;
  }
  calls.when_peer_gone([this](ipc::Peer& peer) { peer_gone(peer); });
  calls.on_notification(kSubscribe, [this](ipc::Peer& peer, const Value& params) {
    subscribers_[topic_of(params)].insert(&peer);
  });
  calls.on_notification(kUnsubscribe, [this](ipc::Peer& peer, const Value& params) {
    const auto found = subscribers_.find(topic_of(params));
    if (found != subscribers_.end() && found->second.erase(&peer) != 0 && found->second.empty())
      subscribers_.erase(found);
  });
  calls.on_notification(kPublish, [this](ipc::Peer&, const Value& params) {
    pass_on(topic_of(params), params["data"]);
  });
}

void Topics::subscribe(const std::string& topic, Handler handler) {
  auto& handlers = handlers_[topic];
  const bool first = handlers == nullptr;
  if (first) handlers = std::make_shared<std::deque<Handler>>();
  handlers->push_back(std::move(handler));
  if (first && parent_ != nullptr) std::ignore = parent_->send_own(about(kSubscribe, topic));
}

void Topics::unsubscribe(const std::string& topic) {
  if (handlers_.erase(topic) != 0 && parent_ != nullptr)
    std::ignore = parent_->send_own(about(kUnsubscribe, topic));
}

SendResult Topics::publish(const std::string& topic, const Value& data) {
  if (parent_ != nullptr) return parent_->send(with_data(kPublish, topic, data));
  pass_on(topic, data);
  return SendResult::queued(true);
}

void Topics::pass_on(const std::string& topic, const Value& data) {
  const auto found = subscribers_.find(topic);
  if (found != subscribers_.end()) {
    const Value message = with_data(kPublished, topic, data);
    for (ipc::Peer* peer : found->second) std::ignore = peer->send(message);
  }
  deliver(topic, data);
}

void Topics::deliver(const std::string& topic, const Value& data) {
  const auto found = handlers_.find(topic);
  if (found == handlers_.end()) return;
  const auto handlers = found->second;
  for (std::size_t i = 0, count = handlers->size(); i < count; ++i) (*handlers)[i](data);
}

void Topics::peer_gone(ipc::Peer& peer) {
  for (auto entry = subscribers_.begin(); entry != subscribers_.end();) {
    entry->second.erase(&peer);
    entry = entry->second.empty() ? subscribers_.erase(entry) : std::next(entry);
  }
}

}  // namespace cohort::cluster
