// A pool: its workers, and what comes between them and those who give tasks.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cohort/pool.h"
#include "pool/deadlines.h"
#include "pool/process_crew.h"
#include "pool/thread_crew.h"

namespace cohort::pool {

/// Shared by the Pool and its views; any thread.
class PoolImpl {
 public:
  explicit PoolImpl(PoolOptions options);

  bool in_threads() const { return options_.isolation == Isolation::Thread; }
  void give(const std::shared_ptr<detail::TaskState>& state, Work work);
  void give_named(const std::shared_ptr<detail::StateOf<Value>>& state, const std::string& name,
                  Value arguments);
  Result<void> post(Work work);
  /// Tasks by name: of processes.
  ProcessCrew& processes() { return *processes_; }
  ThreadCrew& threads() { return *threads_; }
  PoolStatistics statistics() const;
  void resize(unsigned min_workers, unsigned max_workers);
  /// The Pool is gone, its views may not be.
  void close();

  const PoolOptions& options() const { return options_; }

 private:
  void watch(const std::shared_ptr<detail::TaskState>& state);

  const PoolOptions options_;
  std::atomic<int> overdue_ = 0;  // below zero for a moment: one ended before it was counted
  std::unique_ptr<ThreadCrew> threads_;
  std::shared_ptr<ProcessCrew> processes_;  // shared with tasks that may be cancelled
  Deadlines deadlines_;                     // of threads
};

}  // namespace cohort::pool
