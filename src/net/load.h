// What a worker has under way on one of its ports, published: in memory that its primary reads at
// any moment, while the worker is blocked, and after it was killed.
//
// One writer, the worker's loop; each number is right by itself, all together need not be. A Load
// is of one server's time on one port: nobody inherits a dead worker's numbers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "cohort/error.h"
#include "cohort/fd.h"

namespace cohort::net {

struct Load {
  std::atomic<std::uint64_t> accepted{0};     ///< Taken from the listening socket, ever.
  std::atomic<std::uint32_t> counts_open{0};  ///< 1: those that follow are kept.
  std::atomic<std::uint32_t> arriving{0};     ///< 1 from before `accept` until they are counted.
  std::atomic<std::uint32_t> connections{0};  ///< Open.
  std::atomic<std::uint32_t> in_flight{0};    ///< Of these, with something not yet answered.
  std::atomic<std::uint32_t> counts_requests{0};  ///< 1: what follows is kept.
  std::atomic<std::uint64_t> requests{0};         ///< Answered, ever.

  /// Writes one of them, or reads it.
  template <class Number, class Value>
  static void set(std::atomic<Number>& number, Value value) {
    number.store(static_cast<Number>(value), std::memory_order_relaxed);
  }
  template <class Number>
  static Number get(const std::atomic<Number>& number) {
    return number.load(std::memory_order_relaxed);
  }
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

struct SharedLoad {
  std::shared_ptr<Load> load;
  OwnFd fd;  ///< For `map_load` in another process.
};
Result<SharedLoad> share_load();
/// Errors as `map_sealed_memory`.
Result<std::shared_ptr<const Load>> map_load(OwnFd fd);

}  // namespace cohort::net
