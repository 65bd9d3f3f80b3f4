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
#include <optional>
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
  std::shared_ptr<std::uint64_t> id{};      ///< Gets the job's, if somebody wants it.
  std::function<void(CrewManager&)> act{};  ///< If there is no job.
};

/// Shared with the tasks that may be cancelled.
class ProcessCrew : public std::enable_shared_from_this<ProcessCrew> {
 public:
  explicit ProcessCrew(const PoolOptions& options);
  ~ProcessCrew();
  ProcessCrew(const ProcessCrew&) = delete;
  ProcessCrew& operator=(const ProcessCrew&) = delete;

  /// Kills the workers; what they had, and what is given later, fails with ECANCELED. Once.
  void end();
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
  void drop_commands();
  void ring() const;
  bool has_room(Error& problem);

  const PoolOptions options_;
  OwnFd bell_;
  thread::Stack<Command> commands_;
  std::atomic<bool> sleeps_ = false;
  std::atomic<std::size_t> waiting_ = 0;
  std::atomic<std::uint32_t> room_ = 0;  // a futex word
  std::mutex statistics_mutex_;          // of `statistics_`
  PoolStatistics statistics_;            // as the thread has left them when it last slept
  std::optional<Error> broken_;          // it has no thread
  std::atomic<bool> ended_ = false;
  std::thread thread_;

  friend class CrewManager;
};

}  // namespace cohort::pool
