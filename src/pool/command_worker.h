// A worker that is another program: messages of Node's channel, or lines of JSON
// (command_message.h).
//
// What it has begun, nobody but itself knows: the oldest call that it has not answered counts as
// begun, and no call can be taken back. A job with several inputs is a call for each, one after the
// other, so that they are answered in order.
//
// Owned by the CrewManager; its loop's only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "cohort/child_process.h"
#include "cohort/pool.h"
#include "pool/command_message.h"
#include "pool/pool_worker.h"

namespace cohort::pool {

class CommandWorker final : public PoolWorker {
 public:
  /// `came`: there may be answers. An error: `options` have no command.
  static Result<std::unique_ptr<PoolWorker>> start(const Loop& loop, int number,
                                                   const PoolOptions& options,
                                                   std::function<void()> came, Ended ended);

  /// One that is to end takes no more: it has as many as nobody may have.
  std::size_t in_flight() const override { return ends_ ? SIZE_MAX : given_.size(); }
  bool has_worked() const override { return has_worked_; }
  Result<bool> give(const Job& job) override;
  std::optional<std::uint64_t> take_back_newest() override { return std::nullopt; }
  bool take_back(std::uint64_t id) override;
  std::optional<std::uint64_t> begun() const override;
  std::optional<Answer> next_answer() override;
  bool has_answers() const override { return !answers_.empty(); }
  bool is_malformed() const override { return is_malformed_; }
  std::string complaint() const override { return *complaint_; }
  bool wants_a_bell(bool wants) override { return !wants || answers_.empty(); }
  void forget(std::uint64_t id) override;
  void end() override;
  void kill() override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Given {
    std::uint64_t id = 0;
    std::string name;
    Value inputs;
    std::size_t next = 0;       ///< The input that it works on; past the end: it has answered all.
    std::uint64_t call = 0;     ///< Of that input.
    Clock::time_point since{};  ///< When that was sent.
    bool is_wanted = true;
  };

  CommandWorker(const Loop& loop, int number, const PoolOptions& options);
  void launch(const Loop& loop, std::function<void()> came, Ended ended);
  ChildProcess start_child(const Loop& loop) const;

  void call_next(Given& given);
  std::optional<Error> send(std::uint64_t call, const Given& given) const;
  bool take(CommandMessage message);
  void malformed(std::string why);
  const Given* oldest() const;
  void drop_if_unwanted();
  void kill_after(std::chrono::seconds time, std::string why);

  const PoolOptions& options_;
  const bool by_lines_;
  std::optional<ChildProcess> child_;
  boost::asio::steady_timer timer_;
  LineReader lines_;
  std::deque<Given> given_;  // in the order in which they were given
  std::deque<Answer> answers_;
  std::uint64_t last_call_ = 0;
  Clock::time_point idle_since_{};  // when it answered last
  std::shared_ptr<std::string> complaint_ = std::make_shared<std::string>();  // with the timer
  bool has_worked_ = false;
  bool is_malformed_ = false;
  bool ends_ = false;
  bool is_killed_ = false;
};

}  // namespace cohort::pool
