// Opens ports: of which kind, on a socket that is bound, given or inherited, and why so.
//
// Owned by the Listeners; loop's executor only.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/loop.h"
#include "cluster/port.h"
#include "cluster/wire.h"
#include "cohort/cluster.h"
#include "cohort/error.h"

namespace cohort::cluster {

/// What `Cluster::set_policy` was given.
struct ChosenPolicy {
  Policy policy = Policy::Auto;
  std::optional<std::chrono::milliseconds> rescue_after{};
  std::function<std::optional<std::size_t>(const Arrival&)> pick{};  // Policy::Own
  std::size_t peek_size = 0;
};

class PortOpener {
 public:
  /// How connections to an address come to the workers, and why so.
  using Decided = std::function<void(const Address&, Policy, const std::string& why)>;

  PortOpener(const Loop& loop, ChosenPolicy policy, Decided decided);

  /// Of the kind that the policy wants, or the next best one. Errors as `net::bind_socket`,
  /// `bind_datagram`, `listen_on` and `SlotGroup::open`.
  Result<std::unique_ptr<Port>> open(const QueryServer& query, std::string key);
  /// For workers that are started with the descriptor. InvalidArgument: the policy hands
  /// connections over.
  Result<std::unique_ptr<Port>> open_lent(const Address& address, std::string key);

 private:
  Result<std::unique_ptr<Port>> open(const QueryServer& query, Port::Asked asked);
  Result<std::unique_ptr<Port>> open_slots(const QueryServer& query, Port::Asked asked,
                                           Policy policy);
  Result<std::unique_ptr<Port>> open_one(const QueryServer& query, Port::Asked asked, Policy policy,
                                         OwnFd given);
  Result<OwnFd> open_padded(const QueryServer& query) const;
  Policy policy_for(const QueryServer& query, bool given) const;
  bool is_limited(const QueryServer& query) const;
  std::string why(const QueryServer& query, Policy policy, bool given) const;
  void say_without_slots(Policy wanted, Policy instead, const std::string& reason);

  Loop loop_;
  ChosenPolicy policy_;
  Decided decided_;
  bool complained_ = false;  // of a kernel that does not steer
};

}  // namespace cohort::cluster
