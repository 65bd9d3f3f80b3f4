// Who waits until what was written to a connection has been handed to the system. Pure.
//
// A member of its Connection; each of its answers has a number.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace cohort::http {

class DrainWaiters {
 public:
  using Callback = std::function<void()>;

  bool empty() const { return waiting_.empty(); }
  void add(std::uint64_t serial, Callback callback) {
    waiting_.push_back({serial, std::move(callback)});
  }
  void clear() { waiting_.clear(); }
  /// The last write of the current answer told its writer to stop, or not to; none does once the
  /// answer has ended.
  void told_to_stop(bool stop) { told_to_stop_ = stop; }
  /// All has been handed over: whom to call, in the order of addition. Those who wait for a later
  /// write of answer `current`, which is still being made, go on waiting.
  std::vector<Callback> take(std::uint64_t current, bool answering);

 private:
  struct One {
    std::uint64_t serial;
    Callback callback;
  };
  std::vector<One> waiting_;
  bool told_to_stop_ = false;  // and was not told to go on
};

}  // namespace cohort::http
