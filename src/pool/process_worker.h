// A worker that is this program again: rings in shared memory (worker_link.h).
//
// Owned by the crew; its thread only.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "base/loop.h"
#include "cohort/child_process.h"
#include "cohort/pool.h"
#include "pool/pool_worker.h"
#include "pool/worker_link.h"
#include "process/child_impl.h"
#include "process/zygote.h"

namespace cohort::pool {

class ProcessWorker final : public PoolWorker {
 public:
  /// `bell`: what it rings when there are answers. `ended`: once, later.
  /// `spawner`: what makes the process.
  static Result<std::unique_ptr<PoolWorker>> start(const Loop& loop, int number, int bell,
                                                   const PoolOptions& options,
                                                   const ChildImpl::Spawner& spawner, Ended ended);
  /// What workers of a pool with a Preload are forks of.
  static Result<std::unique_ptr<process::Zygote>> start_zygote(const Loop& loop,
                                                               const PoolOptions& options,
                                                               std::function<void()> changed);

  std::size_t in_flight() const override { return given_.size(); }
  bool has_worked() const override { return has_worked_; }
  Result<bool> give(const Job& job) override;
  std::optional<std::uint64_t> take_back_newest() override;
  bool take_back(std::uint64_t id) override;
  std::optional<std::uint64_t> begun() const override;
  std::optional<Answer> next_answer() override;
  std::optional<Answer> last_answer() override;
  bool has_answers() const override { return !link_.answers.is_empty(); }
  bool is_malformed() const override { return is_malformed_; }
  bool wants_a_bell(bool wants) override;
  void forget(std::uint64_t id) override;
  void end() override;
  void kill() override { child_->kill(SIGKILL); }

 private:
  ProcessWorker(int number, std::shared_ptr<std::byte> memory)
      : PoolWorker{number}, link_{std::move(memory)} {}

  void wake();
  Answer read(const Record& record, std::string_view text);
  std::size_t first_of(std::uint64_t id) const;
  std::optional<Answer> read_frames(const Record& record, std::string_view text);

  struct Given {
    std::uint64_t id = 0;
    std::size_t first = 0;  ///< The input that its record begins with.
    Record* record = nullptr;
    std::optional<Lane> lane;
  };

  WorkerLink link_;
  std::optional<ChildProcess> child_;
  std::deque<Given> given_;  // the oldest first
  ipc::CloneDecoder decoder_;
  bool has_worked_ = false;
  bool is_malformed_ = false;
};

}  // namespace cohort::pool
