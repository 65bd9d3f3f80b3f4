// The thread of a pool of processes: gives tasks to workers, takes their answers, replaces the
// dead.
//
// On the stack of that thread; its loop's only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <optional>

#include "base/loop.h"
#include "pool/histogram.h"
#include "pool/pool_worker.h"
#include "pool/process_crew.h"
#include "process/zygote.h"

namespace cohort::pool {

class CrewManager {
 public:
  explicit CrewManager(ProcessCrew& crew);
  /// Until the crew ends. `heard`: the crew's bell.
  void run(OwnFd heard);

  // Commands.
  void end();
  void cancel(std::uint64_t id, const Error& error);
  void resize(unsigned min_workers, unsigned max_workers);
  std::uint64_t add(std::unique_ptr<Job> job);
  void publish_statistics();

 private:
  using Clock = std::chrono::steady_clock;
  using Workers = std::map<int, std::unique_ptr<PoolWorker>>;

  void woken();
  void turn();
  bool take_commands();
  bool take_answers();
  bool take_answers_of(PoolWorker& worker);
  void take_answer(PoolWorker& worker, PoolWorker::Answer answer);
  bool hand_out();
  PoolWorker* freest(std::size_t below);
  bool start_workers();
  void start_one();
  bool may_fork();
  void zygote_changed();
  void died(int number, const Exit& exit, const std::optional<Error>& why_not);
  void cannot_start(const Error& why);
  void balance();
  void fail_overdue();
  void set_alarm();
  void look_at_width();
  void end_idle();
  bool anything() const;
  void await_bell();
  bool is_command() const { return crew_.options_.isolation == Isolation::Command; }
  std::size_t depth() const;

  ProcessCrew& crew_;
  boost::asio::io_context io_{1};
  Loop loop_{io_, io_.get_executor()};
  std::unique_ptr<Watch> bell_;
  TaskBook book_;
  Workers workers_;
  std::unique_ptr<process::Zygote> zygote_;            // of a pool with a preload
  std::map<int, std::unique_ptr<PoolWorker>> ending_;  // told to end, or killed
  std::map<int, std::string> why_killed_;
  int last_number_ = 0;
  unsigned min_workers_;
  unsigned width_;
  bool is_auto_;
  Clock::time_point width_seen_{};
  int failed_boots_ = 0;
  std::optional<Clock::time_point> rests_until_{};  // before workers are started again
  std::map<int, Clock::time_point> idle_since_;
  boost::asio::steady_timer alarm_;
  Histogram waited_, ran_;
  std::uint64_t crashes_ = 0;
  bool ends_ = false;
};

}  // namespace cohort::pool
