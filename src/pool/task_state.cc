// Tasks and those who wait for them.
#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/prefer.hpp>
#include <cerrno>
#include <climits>
#include <exception>
#include <mutex>

#include "base/loop.h"
#include "base/sys.h"
#include "cohort/pool.h"
#include "pool/progress.h"
#include "pool/thread_crew.h"
#include "thread/spin.h"

namespace cohort {

std::uint64_t TimeHistogram::count() const {
  std::uint64_t sum = 0;
  for (const auto each : counts) sum += each;
  return sum;
}

std::chrono::nanoseconds TimeHistogram::quantile(double share) const {
  const auto all = static_cast<double>(count());
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    below += counts[i];
    if (below > 0 && static_cast<double>(below) >= share * all)
      return std::chrono::nanoseconds{std::int64_t{2} << i};
  }
  return std::chrono::nanoseconds{0};
}

namespace {

thread_local detail::TaskState* t_task = nullptr;

}  // namespace

detail::Running::Running(TaskState* task) : before_{std::exchange(t_task, task)} {}
detail::Running::~Running() { t_task = before_; }

std::stop_token ThisTask::stop_token() {
  return t_task == nullptr ? std::stop_token{} : t_task->stop_token();
}

void ThisTask::progress(const Value& value) {
  if (t_task != nullptr) t_task->tell_progress(value);
}

namespace detail {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kHelpEvery{1};

// Helping helps on top of what waits already: so deep it takes what this thread has given itself,
// for that may be what is waited for.
constexpr int kHelpDepth = 16;
thread_local int t_help_depth = 0;

bool help() {
  ++t_help_depth;
  const bool helped = pool::ThreadCrew::help(t_help_depth > kHelpDepth);
  --t_help_depth;
  return helped;
}

// A continuation that has been called already stands here.
std::function<void()> called;

// Stop sources are made when somebody asks for one, which few do.
std::mutex stop_mutex;

}  // namespace

Error error_of_exception() {
  const auto failed = [](std::string what) {
    return make_error(Errc::CallFailed, "run a task", std::move(what));
  };
  try {
    throw;
  } catch (const Exception& error) {
    return error.error();
  } catch (const std::exception& error) {
    return failed(error.what());
  } catch (...) {
    return failed("an exception that is no std::exception");
  }
}

Error error_of(Work::Act act) {
  return act == Work::Act::Refuse
             ? make_error(Errc::QueueFull, "run a task", "it had waited longest: queue_max")
             : system_error(ECANCELED, "run a task", "its pool is gone");
}

bool TaskState::begin() noexcept {
  std::uint32_t waiting = kWaiting;
  return phase_.compare_exchange_strong(waiting, kRunning, std::memory_order_acq_rel);
}

bool TaskState::claim(bool* ran) noexcept {
  auto phase = phase_.load(std::memory_order_relaxed);
  while (phase < kClaimed) {
    if (!phase_.compare_exchange_weak(phase, kClaimed, std::memory_order_acq_rel)) continue;
    if (ran != nullptr) *ran = phase == kRunning;
    return true;
  }
  return false;
}

void TaskState::publish() {
  const auto kept = shared_from_this();  // whoever waits may let it go
  phase_.store(kDone, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) sys::futex_wake(phase_, INT_MAX, false);
  const std::unique_ptr<std::function<void()>> next{
      next_.exchange(&called, std::memory_order_acq_rel)};
  if (next != nullptr) (*next)();
}

bool TaskState::wait(std::chrono::nanoseconds timeout) const {
  if (is_done()) return true;
  const bool for_ever = timeout.count() < 0;
  const auto deadline = for_ever ? Clock::time_point::max() : Clock::now() + timeout;
  const bool helps = pool::ThreadCrew::is_worker();
  const auto has_time = [&] { return for_ever || Clock::now() < deadline; };
  while (!is_done() && has_time()) {
    if (helps && help()) continue;
    if (thread::spin_until([this] { return is_done(); })) break;
    // Who helps looks again soon: what is waited for may be given to this very thread.
    auto left = helps ? std::chrono::nanoseconds{kHelpEvery} : std::chrono::nanoseconds{-1};
    if (!for_ever) left = helps ? std::min(left, deadline - Clock::now()) : deadline - Clock::now();
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    const auto phase = phase_.load(std::memory_order_seq_cst);
    if (phase != kDone && (for_ever || left.count() > 0))
      sys::futex_wait(phase_, phase, left, false);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }
  return is_done();
}

void TaskState::then(std::function<void()> next) {
  auto* const given = new std::function<void()>{std::move(next)};
  std::function<void()>* none = nullptr;
  if (next_.compare_exchange_strong(none, given, std::memory_order_acq_rel)) return;
  const std::unique_ptr<std::function<void()>> now{given};
  (*now)();
}

void TaskState::cancel() {
  if (is_done()) return;
  request_stop();
  std::uint32_t waiting = kWaiting;
  if (phase_.compare_exchange_strong(waiting, kClaimed, std::memory_order_acq_rel))
    end(system_error(ECANCELED, "run a task"));
  else if (waiting == kRunning && on_cancel)
    on_cancel();
}

std::stop_token TaskState::stop_token() {
  const std::lock_guard lock{stop_mutex};
  if (!stop_.stop_possible()) {
    stop_ = std::stop_source{};
    // Nobody has it yet: no callback runs under the lock.
    if (stop_wanted_.load(std::memory_order_relaxed)) stop_.request_stop();
  }
  return stop_.get_token();
}

void TaskState::request_stop() {
  std::stop_source stop{std::nostopstate};
  {
    const std::lock_guard lock{stop_mutex};
    stop_wanted_.store(true, std::memory_order_relaxed);
    stop = stop_;
  }
  stop.request_stop();  // its callbacks may do anything
}

void TaskState::tell_progress(const Value& value) const {
  if (options.on_progress) pool::tell_progress(options.on_progress, value);
}

void TaskState::ended_late() {
  if (on_late) on_late();
}

// `work` goes last, and of its parts the one that keeps the io_context running: no copy of its
// executor outlives the io_context, whichever thread drops them. (A work guard of Asio has another
// copy, which goes after that.)
struct LoopTurn::Kept {
  explicit Kept(const Loop& of)
      : work{boost::asio::prefer(of.executor(), boost::asio::execution::outstanding_work.tracked)},
        loop{of} {}
  boost::asio::any_io_executor work;
  Loop loop;
};

LoopTurn::LoopTurn(const LoopRef& loop) : kept_{std::make_shared<Kept>(loop.loop())} {}

void LoopTurn::run(std::function<void()> task) const { kept_->loop.post(std::move(task)); }

}  // namespace detail
}  // namespace cohort
