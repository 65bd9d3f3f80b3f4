// What one worker has under way, as it publishes it in memory that it shares: port by port. And how
// many requests it has answered, which others say in a message.
//
// Owned by the ForkedWorker; loop's executor only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cohort/worker.h"
#include "net/load.h"

namespace cohort::cluster {

class WorkerLoads {
 public:
  void publish(const std::string& key, std::shared_ptr<const net::Load> load) {
    open_[key] = std::move(load);
  }
  /// The worker closed the port; its connections may go on.
  void close(const std::string& key);
  /// It has answered so many requests, as it says itself: in a message, not in shared memory. They
  /// never become fewer.
  void said_requests(std::uint64_t count) { said_ = std::max(said_.value_or(0), count); }
  /// Of all ports together; nothing if it publishes nothing.
  std::optional<WorkerLoad> sum() const;
  /// That it has answered, in whichever way it is known.
  std::optional<std::uint64_t> requests() const;

 private:
  std::map<std::string, std::shared_ptr<const net::Load>> open_;  // by port
  std::vector<std::shared_ptr<const net::Load>> closed_;          // whose connections go on
  std::uint64_t accepted_before_ = 0;                             // by those that are gone
  std::optional<std::uint64_t> requests_before_;                  // the same
  std::optional<std::uint64_t> said_;
};

}  // namespace cohort::cluster
