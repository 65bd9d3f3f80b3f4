// The simulation's only source of chance: the same seed gives the same run on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cohort::cluster::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_{seed} {}

  /// From here on as if it had begun with these: what comes does not depend on what came.
  void begin_again(std::uint64_t seed, int step) {
    state_ = seed * 0x9e3779b97f4a7c15 + static_cast<std::uint64_t>(step);
    state_ = next();
  }
  /// 0 to `count` - 1. The bias of the remainder does not matter here, the portability does.
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(next() % count); }
  bool chance(unsigned per_mille) { return below(1000) < per_mille; }

 private:
  // SplitMix64 (Steele, Lea, Flood 2014): a schedule of 60 events is over before an engine of the
  // standard library has filled its state.
  std::uint64_t next() {
    std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }

  std::uint64_t state_;
};

}  // namespace cohort::cluster::sim
