// Calls what is due, on a thread that exists once it is needed, and sleeps until then.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace cohort::pool {

/// Any thread. The destructor drops what is left. Those whose owner is gone are not called, and are
/// dropped once they are half of all.
class Deadlines {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit Deadlines(std::string name) : name_{std::move(name)} {}
  ~Deadlines();
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  void add(TimePoint when, std::weak_ptr<const void> owner, std::function<void()> task);

 private:
  struct Entry {
    std::weak_ptr<const void> owner;
    std::function<void()> task;
  };
  void drop_orphans();
  void run();

  static constexpr std::size_t kLookMin = 1024;

  const std::string name_;
  std::mutex mutex_;
  std::condition_variable sooner_;
  std::multimap<TimePoint, Entry> tasks_;
  std::size_t look_at_ = kLookMin;  // so many: those whose owner is gone are looked for
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace cohort::pool
