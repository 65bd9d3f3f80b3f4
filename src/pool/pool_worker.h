// One worker of a pool of processes, whatever it is and however it is spoken to.
//
// Owned by the CrewManager; its thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cohort/error.h"
#include "cohort/exit.h"
#include "cohort/value.h"
#include "pool/task_book.h"

namespace cohort::pool {

class PoolWorker {
 public:
  /// Called once, later, when it has ended. `why_not`: it could not be started.
  using Ended = std::function<void(const Exit& exit, const std::optional<Error>& why_not)>;

  struct Answer {
    std::uint64_t id = 0;       ///< Of the job.
    std::size_t input = 0;      ///< Which of its inputs, from the beginning of the job.
    std::uint64_t time_ns = 0;  ///< How long it ran; 0: not known.
    bool is_progress = false;
    std::size_t count = 0;  ///< Not 0: of so many inputs, in frames (worker_link.h).
    std::string frames{};
    Result<Value> result;
  };

  explicit PoolWorker(int number) : number_{number} {}
  virtual ~PoolWorker() = default;
  PoolWorker(const PoolWorker&) = delete;
  PoolWorker& operator=(const PoolWorker&) = delete;

  int number() const { return number_; }
  /// Jobs that it has and that are not answered.
  virtual std::size_t in_flight() const = 0;
  /// It has answered something, at some time.
  virtual bool has_worked() const = 0;
  /// False: there is no room for it now. An error: it cannot be sent at all.
  virtual Result<bool> give(const Job& job) = 0;
  /// Takes the newest back that it has not begun. Nothing: there is none, or nobody can know.
  virtual std::optional<std::uint64_t> take_back_newest() = 0;
  /// Takes this one back. False: it has begun it.
  virtual bool take_back(std::uint64_t id) = 0;
  /// Of those that it has, the one that it has begun.
  virtual std::optional<std::uint64_t> begun() const = 0;
  /// What it has answered, one after the other; nothing: no more for now.
  virtual std::optional<Answer> next_answer() = 0;
  /// It is dead: what it had answered besides, and not told of yet.
  virtual std::optional<Answer> last_answer() { return std::nullopt; }
  virtual bool has_answers() const = 0;
  /// It has broken the rules, and is to be killed.
  virtual bool is_malformed() const = 0;
  /// What it did wrong, for its last task's error; empty: nothing that its exit does not say.
  virtual std::string complaint() const { return {}; }
  /// Before the pool's thread sleeps: whether it is to be rung for. False: there are answers now.
  virtual bool wants_a_bell(bool wants) = 0;
  /// A job that has been answered, or taken back.
  virtual void forget(std::uint64_t id) = 0;
  /// It ends when it has done what it has.
  virtual void end() = 0;
  virtual void kill() = 0;

 private:
  const int number_;
};

}  // namespace cohort::pool
