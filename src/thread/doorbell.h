// How another thread wakes a loop: one descriptor for each loop, however many ports it has.
//
// Whoever has something for the loop puts itself on a list (`ring`); the first one that finds the
// loop asleep writes to an eventfd. While the loop is awake nobody makes a system call.
//
// Shared by the loop and by everything that may ring; `ring` by any thread, all else on the loop's
// executor. Once the io_context is gone nobody is answered any more.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "base/loop.h"
#include "cohort/fd.h"
#include "thread/stack.h"

namespace cohort::thread {

class Doorbell;

/// Something that can be waited for at a doorbell.
class Visitor {
 public:
  virtual ~Visitor() = default;
  /// On the loop, once for all the rings since the last time. What it throws leaves the loop's
  /// `run`; it is called again if it rings again.
  virtual void answered() = 0;
  /// Of one that has moved in: the io_context ends.
  virtual void abandoned() = 0;

  Visitor* next = nullptr;  // of Stack

 private:
  friend class Doorbell;
  std::atomic<bool> rung_ = false;
  std::shared_ptr<Visitor> self_;  // while it is on the list
};

class Doorbell : public std::enable_shared_from_this<Doorbell> {
 public:
  /// That of a loop. Null: no descriptors are left.
  static std::shared_ptr<Doorbell> of(const Loop& loop);

  explicit Doorbell(OwnFd bell);
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  void ring(const std::shared_ptr<Visitor>& visitor);
  /// Those that are told when the io_context ends.
  void move_in(Visitor* visitor) { residents_.insert(visitor); }
  void move_out(Visitor* visitor) { residents_.erase(visitor); }
  /// Whoever waits keeps the loop running.
  void count_ref(int change);
  /// The io_context ends.
  void shut();
  void start(const Loop& loop, OwnFd bell);

 private:
  struct Rearm;
  void woken();
  void answer();
  void answer_all();
  void wait();
  void wake() const;
  void drop_all();

  Stack<Visitor> rung_;
  std::atomic<bool> asleep_ = false;
  std::atomic<bool> shut_ = false;
  std::mutex dropping_;  // of rings that come when the loop is gone
  OwnFd bell_;           // for whoever rings; the loop waits for a duplicate
  std::optional<Loop> loop_;
  std::unique_ptr<Watch> watch_;
  std::set<Visitor*> residents_;
  Visitor* answering_ = nullptr;  // those that are left of this round
  std::ptrdiff_t refs_ = 0;
};

}  // namespace cohort::thread
