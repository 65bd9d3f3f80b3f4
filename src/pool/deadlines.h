// Calls what is due, on a thread that exists once it is needed, and sleeps until then.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace cohort::pool {

/// Any thread. The destructor drops what is left.
class Deadlines {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit Deadlines(std::string name) : name_{std::move(name)} {}
  ~Deadlines();
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  void add(TimePoint when, std::function<void()> task);

 private:
  void run();

  const std::string name_;
  std::mutex mutex_;
  std::condition_variable sooner_;
  std::multimap<TimePoint, std::function<void()>> tasks_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace cohort::pool
