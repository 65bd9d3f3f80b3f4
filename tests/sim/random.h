// The simulation's only source of chance: the same seed gives the same run on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

namespace cohort::cluster::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_{seed} {}

  /// 0 to `count` - 1. The bias of the remainder does not matter here, the portability does.
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(engine_() % count); }
  bool chance(unsigned per_mille) { return below(1000) < per_mille; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace cohort::cluster::sim
