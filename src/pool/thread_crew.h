// The threads of a pool, and what waits for them.
//
// Work from outside waits in a lane of the thread that gave it (lane_queue.h), and in one queue for
// each other priority; work that a worker gives waits in that
// worker's own, the newest of which it takes next (depth first), while others may steal the oldest.
// Who finds nothing looks a while (thread/spin.h), then sleeps on a futex. Whoever gives work wakes
// one sleeper, unless somebody is looking already, or those who are awake are soon done: tasks have
// been short. Should this one not be, a sleeper finds out that looks now and then while others
// work.
//
// Shared by everybody who gives work; any thread, but for the destructor, which no worker calls.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/this_thread.h"
#include "cohort/pool.h"
#include "pool/histogram.h"
#include "pool/lane_queue.h"
#include "pool/work_queue.h"

namespace cohort::pool {

class ThreadCrew {
 public:
  explicit ThreadCrew(const PoolOptions& options);
  ~ThreadCrew();
  ThreadCrew(const ThreadCrew&) = delete;
  ThreadCrew& operator=(const ThreadCrew&) = delete;

  /// Waits for those that run; what waits, and what is given later, is cancelled. Once.
  void end();
  /// QueueFull; ECANCELED. The work is the caller's still.
  Result<void> give(Work& work, Priority priority);
  /// Calls `chunk` for all of [0, count), on this thread and others, and waits.
  Result<void> for_each(std::size_t count,
                        const std::function<void(std::size_t begin, std::size_t end)>& chunk);
  void resize(unsigned min_workers, unsigned max_workers);
  void add_to(PoolStatistics& sum) const;

  /// Of a thread that is a worker of any pool: runs something else, if there is anything.
  static bool help(bool only_own);
  static bool is_worker();

 private:
  struct Worker;

  using LanePointer = std::shared_ptr<LaneQueue>;

  bool is_here() const;
  LaneQueue* own_lane();
  WorkQueue& queue_of(Priority priority) { return given_[static_cast<std::size_t>(priority)]; }
  bool has_room(Error& problem);
  void cancel_all();
  bool drop_oldest();
  /// What was given from outside and waits.
  std::size_t waiting() const;
  void tell_one(std::size_t waiting);
  void start_one();
  void work(Worker& self);
  bool find(Worker& self, Work& work);
  static void keep(Worker& self, const Work* taken, std::size_t count, Work& work);
  template <class Queue>
  static std::size_t size_when_worth_it(const Worker& self, const Queue& queue);
  void measure(Worker& self);
  bool take_given(Worker& self, Work& work);
  bool steal(Worker& self, Work& work);
  bool anything() const;
  /// False: this worker ends.
  bool rest();
  bool doze(std::uint32_t seen);
  /// Then it counts no more.
  bool is_one_too_many(unsigned enough);
  void run(Worker& self, Work& work);
  void look_at_width(std::int64_t now);

  const std::string name_;
  const std::size_t queue_max_;
  const WhenFull when_full_;
  const std::chrono::milliseconds idle_timeout_;
  std::atomic<unsigned> min_workers_;
  std::atomic<bool> is_auto_;
  std::atomic<unsigned> width_;

  const bool sleepers_pay_;         // for the barrier between giving and looking who sleeps
  const std::uint64_t id_;          // of this crew, never used again
  std::array<WorkQueue, 3> given_;  // by priority
  static constexpr std::size_t kLanesMax = 64;
  std::mutex lanes_mutex_;
  std::atomic<std::size_t> lane_count_ = 0;
  std::array<LanePointer, kLanesMax> lanes_;  // a list that only grows; shared with their threads
  alignas(64) std::atomic<unsigned> searching_ = 0;
  std::atomic<unsigned> sleeping_ = 0;
  std::atomic<std::uint32_t> calls_ = 0;  // the sleepers' word
  std::atomic<std::size_t> waiting_for_room_ = 0;
  std::atomic<std::uint32_t> room_ = 0;             // their word
  std::atomic<bool> watched_ = false;               // a sleeper looks now and then
  alignas(64) std::atomic<std::int64_t> mean_ = 0;  // of a task, as it was last; 0: not known
  std::atomic<std::int64_t> width_seen_ = 0;
  std::atomic<bool> ends_ = false;

  // The workers: a list that only grows, so that thieves need no lock. An ended one's place is
  // taken again.
  static constexpr std::size_t kWorkersMax = 1024;
  std::mutex starting_;
  std::atomic<unsigned> live_ = 0;
  std::atomic<std::size_t> known_ = 0;
  std::array<std::unique_ptr<Worker>, kWorkersMax> workers_;
};

}  // namespace cohort::pool
