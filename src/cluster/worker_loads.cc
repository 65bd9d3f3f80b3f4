#include "cluster/worker_loads.h"

namespace cohort::cluster {
namespace {

void add_requests(std::optional<std::uint64_t>& sum, const net::Load& load) {
  if (net::Load::get(load.counts_requests) != 0)
    sum = sum.value_or(0) + net::Load::get(load.requests);
}

}  // namespace

std::optional<WorkerLoad> WorkerLoads::sum() const {
  if (open_.empty() && closed_.empty()) return std::nullopt;
  WorkerLoad sum{
      .accepted = accepted_before_, .connections = 0, .in_flight = 0, .requests = requests_before_};
  const auto add = [&sum](const net::Load& load) {
    sum.accepted += net::Load::get(load.accepted);
    add_requests(sum.requests, load);
    if (!sum.connections || net::Load::get(load.counts_open) == 0) {
      sum.connections.reset();
      sum.in_flight.reset();
      return;
    }
    const auto arriving = net::Load::get(load.arriving);
    *sum.connections += net::Load::get(load.connections) + arriving;
    *sum.in_flight += net::Load::get(load.in_flight) + arriving;
  };
  for (const auto& [key, load] : open_) add(*load);
  for (const auto& load : closed_) add(*load);
  return sum;
}

std::optional<std::uint64_t> WorkerLoads::requests() const {
  const auto load = sum();
  const auto counted = load ? load->requests : std::nullopt;
  return std::max(counted, said_);  // nothing is less than any number
}

void WorkerLoads::close(const std::string& key) {
  if (const auto found = open_.find(key); found != open_.end()) {
    closed_.push_back(found->second);
    open_.erase(found);
  }
  std::erase_if(closed_, [this](const auto& load) {
    if (net::Load::get(load->connections) > 0) return false;
    accepted_before_ += net::Load::get(load->accepted);
    add_requests(requests_before_, *load);
    return true;
  });
}

}  // namespace cohort::cluster
