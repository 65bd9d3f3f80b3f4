// What one worker has under way, as it publishes it in memory that it shares: port by port.
//
// Owned by the ForkedWorker; loop's executor only.
#pragma once

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
  /// Of all ports together; nothing if it publishes nothing.
  std::optional<WorkerLoad> sum() const;

 private:
  std::map<std::string, std::shared_ptr<const net::Load>> open_;  // by port
  std::vector<std::shared_ptr<const net::Load>> closed_;          // whose connections go on
  std::uint64_t accepted_before_ = 0;                             // by those that are gone
};

}  // namespace cohort::cluster
