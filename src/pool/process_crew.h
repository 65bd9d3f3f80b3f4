// The processes of a pool, and the thread that looks after them.
//
// Whoever gives a task puts it on a list and, if that thread sleeps, rings an eventfd; workers ring
// the same one. The thread decides by the TaskBook, and carries it out.
//
// Shared by everybody who gives tasks; any thread, but for the destructor.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "cohort/fd.h"
#include "cohort/pool.h"
#include "pool/task_book.h"
#include "thread/stack.h"

namespace cohort::pool {

class CrewManager;

/// What the thread is asked for.
struct Command {
  Command* next = nullptr;
  std::unique_ptr<Job> job{};
  std::function<void(CrewManager&)> act{};  ///< If there is no job.
};

class ProcessCrew {
 public:
  explicit ProcessCrew(const PoolOptions& options);
  /// Kills the workers; what they had fails with ECANCELED.
  ~ProcessCrew();
  ProcessCrew(const ProcessCrew&) = delete;
  ProcessCrew& operator=(const ProcessCrew&) = delete;

  void give(const std::shared_ptr<detail::StateOf<Value>>& state, const std::string& name,
            Value arguments);
  /// Blocks until all are answered; `take` is called on this thread.
  void map(const std::string& name, std::size_t count,
           const std::function<Value(std::size_t)>& input,
           const std::function<void(std::size_t, Result<Value>)>& take);
  void resize(unsigned min_workers, unsigned max_workers);
  void add_to(PoolStatistics& sum);

 private:
  void send(std::unique_ptr<Command> command);
  bool has_room(Error& problem);

  const PoolOptions options_;
  OwnFd bell_;
  thread::Stack<Command> commands_;
  std::atomic<bool> sleeps_ = false;
  std::atomic<std::size_t> waiting_ = 0;
  std::atomic<std::uint32_t> room_ = 0;  // a futex word
  std::mutex statistics_mutex_;          // of `statistics_`
  PoolStatistics statistics_;            // as the thread has left them when it last slept
  std::thread thread_;

  friend class CrewManager;
};

}  // namespace cohort::pool
