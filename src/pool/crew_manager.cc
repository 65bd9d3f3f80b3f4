#include "pool/crew_manager.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <sstream>
#include <utility>

#include "base/sys.h"
#include "cohort/parallelism.h"
#include "pool/command_worker.h"
#include "pool/process_worker.h"
#include "pool/progress.h"
#include "thread/spin.h"

namespace cohort::pool {
namespace {

// So many workers in a row that end before they have begun anything: no more are started for a
// while, and what waits fails.
constexpr int kFailedBootsMax = 3;
constexpr std::chrono::seconds kRest{1};
// A task that takes longer keeps those behind it from nobody who is idle.
constexpr std::chrono::milliseconds kBalanceEvery{1};
constexpr std::chrono::milliseconds kLookAtWidthEvery{500};

std::string text_of(const Exit& exit) {
  std::ostringstream text;
  text << exit;
  for (const std::string& line : exit.stderr_lines()) text << "; " << line;
  return text.str();
}

}  // namespace

CrewManager::CrewManager(ProcessCrew& crew)
    : crew_{crew},
      book_{crew.options_.poison_after},
      min_workers_{crew.options_.min_workers},
      width_{crew.options_.max_workers == 0 ? available_parallelism() : crew.options_.max_workers},
      is_auto_{crew.options_.max_workers == 0},
      alarm_{io_} {}

void CrewManager::run(OwnFd heard) {
  bell_ = std::make_unique<Watch>(loop_, std::move(heard));
  turn();
  io_.run();
}

void CrewManager::woken() {
  std::uint64_t rings = 0;
  sys::read(bell_->fd(), &rings, sizeof rings);
  crew_.sleeps_.store(false, std::memory_order_relaxed);
  turn();
}

void CrewManager::turn() {
  fail_overdue();
  const auto until = Clock::now() + std::chrono::milliseconds{1};
  do {
    bool did = true;
    while (did && Clock::now() < until) {
      did = take_commands();
      did = take_answers() || did;
      did = hand_out() || did;
    }
    // Exits and timers have their turn, too.
    if (did) return loop_.post([this] { turn(); });
  } while (thread::spin_until([this] { return anything(); }));
  set_alarm();
  await_bell();
}

bool CrewManager::anything() const {
  if (!crew_.commands_.empty()) return true;
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const auto& each) { return each.second->has_answers(); });
}

void CrewManager::await_bell() {
  balance();
  end_idle();
  publish_statistics();
  if (ends_ && workers_.empty() && ending_.empty()) {
    alarm_.cancel();
    bell_.reset();
    zygote_.reset();
    return;
  }
  bell_->wait_readable([this] { woken(); });
  crew_.sleeps_.store(true, std::memory_order_seq_cst);
  bool quiet = crew_.commands_.empty();
  for (const auto& [number, worker] : workers_) quiet = worker->wants_a_bell(true) && quiet;
  if (quiet || !crew_.sleeps_.exchange(false)) return;
  loop_.post([this] { turn(); });
}

// --- what is asked

bool CrewManager::take_commands() {
  Command* command = crew_.commands_.take_all();
  const bool any = command != nullptr;
  while (command != nullptr) {
    const std::unique_ptr<Command> taken{std::exchange(command, command->next)};
    if (!taken->job) {
      taken->act(*this);
      continue;
    }
    const auto id = add(std::move(taken->job));
    if (taken->id) *taken->id = id;
  }
  return any;
}

std::uint64_t CrewManager::add(std::unique_ptr<Job> job) {
  const PoolOptions& options = crew_.options_;
  if (options.when_full == WhenFull::DropOldest && book_.waiting() >= options.queue_max)
    book_.drop_oldest(job->priority,
                      make_error(Errc::QueueFull, "run a task", "it waited longest: queue_max"));
  if (!ends_) return book_.add(std::move(job));
  for (; job->left() > 0; ++job->first)
    job->answer(job->first, system_error(ECANCELED, "run a task", "its pool is gone"), 0);
  return 0;
}

void CrewManager::cancel(std::uint64_t id, const Error& error) {
  const auto number = book_.worker_of(id);
  if (number) {
    const auto found = workers_.find(*number);
    // What it has begun ends with it only; those behind go to others.
    if (found != workers_.end() && !found->second->take_back(id)) {
      why_killed_[*number] = error.message();
      found->second->kill();
    }
  }
  book_.fail(id, error);
}

void CrewManager::end() {
  ends_ = true;
  book_.fail_all(system_error(ECANCELED, "run a task", "its pool is gone"));
  for (const auto& [number, worker] : workers_) worker->kill();
  for (const auto& [number, worker] : ending_) worker->kill();
}

void CrewManager::resize(unsigned min_workers, unsigned max_workers) {
  min_workers_ = min_workers;
  is_auto_ = max_workers == 0;
  width_ = is_auto_ ? available_parallelism() : max_workers;
}

// --- what is answered

bool CrewManager::take_answers() {
  bool any = false;
  for (const auto& [number, worker] : workers_) any = take_answers_of(*worker) || any;
  return any;
}

bool CrewManager::take_answers_of(PoolWorker& worker) {
  bool any = false;
  while (auto answer = worker.next_answer()) {
    any = true;
    take_answer(worker, *std::move(answer));
  }
  if (worker.is_malformed()) worker.kill();
  return any;
}

void CrewManager::take_answer(PoolWorker& worker, PoolWorker::Answer answer) {
  Job* const job = book_.find(answer.id);
  if (job == nullptr || book_.worker_of(answer.id) != worker.number())
    return worker.forget(answer.id);  // it has failed meanwhile, or is another's
  if (answer.is_progress) {
    if (job->on_progress && answer.result) tell_progress(job->on_progress, *answer.result);
    return;
  }
  if (job->since != 0) {
    const auto now = Clock::now().time_since_epoch().count();
    const auto ran = static_cast<std::int64_t>(answer.time_ns);
    ran_.add(ran);
    waited_.add(now - job->since - ran);
    job->since = 0;
  }
  const bool was_last = answer.count > 0 ? book_.answered(answer.id, answer.input, answer.count,
                                                          std::move(answer.frames), answer.time_ns)
                                         : book_.answered(answer.id, answer.input,
                                                          std::move(answer.result), answer.time_ns);
  if (was_last) worker.forget(answer.id);
}

void CrewManager::died(int number, const Exit& exit, const std::optional<Error>& why_not) {
  const auto taken = workers_.extract(number);
  ending_.erase(number);
  idle_since_.erase(number);
  const auto why = why_killed_.extract(number);
  if (!taken.empty()) {
    PoolWorker& worker = *taken.mapped();
    // What it has published counts, whatever came after.
    take_answers_of(worker);
    if (auto last = worker.last_answer()) take_answer(worker, *std::move(last));
    if (!ends_ && why.empty()) ++crashes_;
    const auto begun = why_not ? std::nullopt : worker.begun();
    const bool has_failed = !worker.has_worked() && !begun && why.empty();
    failed_boots_ = has_failed ? failed_boots_ + 1 : 0;
    const std::string op = "run a task of the pool " + crew_.options_.name;
    std::string how = worker.complaint();
    how += (how.empty() ? "" : "; ") + text_of(exit);
    book_.died(number, begun, make_error(Errc::WorkerDied, op, how));
    // What had loaded may have died meanwhile: it is loaded again.
    const bool is_tried_again =
        why_not && why_not->code == Errc::PreloadFailed && failed_boots_ < kFailedBootsMax;
    if (why_not && !is_tried_again) {
      cannot_start(*why_not);
    } else if (failed_boots_ >= kFailedBootsMax) {
      cannot_start(make_error(
          Errc::WorkerDied, op,
          "its workers end before they begin (" + how + ')' +
              (is_command() ? "" : ": does main call cohort::run_as_pool_worker() first?")));
    }
  }
  turn();
}

// --- who does what

// What a command has begun is not known, so it has one.
std::size_t CrewManager::depth() const {
  const unsigned given = crew_.options_.depth;
  return given > 0 ? given : is_command() ? 1 : 8;
}

PoolWorker* CrewManager::freest(std::size_t below) {
  PoolWorker* best = nullptr;
  for (const auto& [number, worker] : workers_) {
    if (worker->in_flight() >= below) continue;
    if (best == nullptr || worker->in_flight() < best->in_flight()) best = worker.get();
  }
  return best;
}

bool CrewManager::hand_out() {
  bool any = start_workers();
  while (book_.anybody_waits()) {
    PoolWorker* const worker = freest(depth());
    Job* const job = worker == nullptr ? nullptr : book_.next_for(worker->number());
    if (job == nullptr) break;
    const auto given = worker->give(*job);
    if (!given) {
      book_.fail(job->id, given.error());
    } else if (!*given) {
      book_.give_back(job->id);
      break;
    }
    idle_since_.erase(worker->number());
    any = true;
  }
  return any;
}

bool CrewManager::start_workers() {
  look_at_width();
  if (rests_until_ && Clock::now() >= *rests_until_) rests_until_.reset();
  const bool rests = rests_until_.has_value();
  if (ends_ || rests || !book_.anybody_waits()) return false;
  if (!may_fork()) return false;
  // One for each task that nobody is free for.
  std::size_t free = 0;
  for (const auto& [number, worker] : workers_) free += worker->in_flight() == 0 ? 1 : 0;
  bool any = false;
  for (std::size_t waiting = book_.waiting();
       workers_.size() < width_ && (waiting > free || workers_.size() < min_workers_); ++free) {
    const auto before = workers_.size();
    start_one();
    if (workers_.size() == before) break;
    any = true;
  }
  return any;
}

void CrewManager::start_one() {
  const int number = ++last_number_;
  const PoolOptions& options = crew_.options_;
  const auto ended = [this, number](const Exit& exit, const std::optional<Error>& why_not) {
    died(number, exit, why_not);
  };
  const auto came = [this] {
    crew_.sleeps_.store(false, std::memory_order_relaxed);
    turn();
  };
  const auto spawner = [this](const process::SpawnRequest& request) {
    return zygote_ ? zygote_->spawn(request) : process::spawn(request);
  };
  auto started = is_command() ? CommandWorker::start(loop_, number, options, came, ended)
                              : ProcessWorker::start(loop_, number, crew_.bell_.get(), options,
                                                     spawner, ended);
  if (started) {
    workers_.emplace(number, *std::move(started));
  } else {
    cannot_start(started.error());
  }
}

// A pool with a preload: not before that is loaded.
bool CrewManager::may_fork() {
  if (crew_.options_.preload.empty() || is_command()) return true;
  if (zygote_) return zygote_->state() == process::Zygote::State::Ready;
  auto started = ProcessWorker::start_zygote(loop_, crew_.options_, [this] { zygote_changed(); });
  if (started)
    zygote_ = *std::move(started);
  else
    cannot_start(started.error());
  return false;
}

// One that dies later is started again when it is needed.
void CrewManager::zygote_changed() {
  if (zygote_->state() == process::Zygote::State::Gone) {
    const bool had_loaded = zygote_->has_loaded();
    const Error why = zygote_->why();
    zygote_.reset();
    if (had_loaded)
      rests_until_ = Clock::now() + kRest;
    else
      cannot_start(why);
  }
  turn();
}

// What waits is not to wait in vain; what is given later tries it again.
void CrewManager::cannot_start(const Error& why) {
  failed_boots_ = 0;
  rests_until_ = Clock::now() + kRest;
  // Those who work go on.
  if (workers_.empty()) book_.fail_waiting(why);
}

// A worker that is busy for long gives what it has not begun to one that has nothing to do.
void CrewManager::balance() {
  if (book_.anybody_waits()) return;
  PoolWorker* busiest = nullptr;
  std::size_t idle = 0;
  for (const auto& [number, worker] : workers_) {
    if (worker->in_flight() == 0) ++idle;
    if (worker->in_flight() > 1 &&
        (busiest == nullptr || worker->in_flight() > busiest->in_flight()))
      busiest = worker.get();
  }
  if (busiest == nullptr || (idle == 0 && workers_.size() >= width_)) return;
  if (const auto id = busiest->take_back_newest()) book_.give_back(*id);
  loop_.post([this] {
    if (hand_out()) turn();
  });
}

// However much there is to do.
void CrewManager::fail_overdue() {
  const auto next = book_.next_deadline();
  if (!next || *next > Clock::now()) return;
  for (const std::uint64_t id : book_.expired(Clock::now()))
    cancel(id, system_error(ETIMEDOUT, "run a task of the pool " + crew_.options_.name,
                            "its deadline is over"));
}

void CrewManager::set_alarm() {
  fail_overdue();
  const auto now = Clock::now();
  auto next = book_.next_deadline().value_or(Clock::time_point::max());
  const bool somebody_queues = std::any_of(workers_.begin(), workers_.end(), [](const auto& each) {
    return each.second->in_flight() > 1;
  });
  // A worker that had no room for what waits may have it soon, and does not say so.
  const bool somebody_could = book_.anybody_waits() && freest(depth()) != nullptr;
  if (somebody_queues || somebody_could) next = std::min(next, now + kBalanceEvery);
  if (rests_until_ && book_.anybody_waits()) next = std::min(next, *rests_until_);
  const auto idle_timeout = crew_.options_.idle_timeout;
  if (idle_timeout.count() > 0)
    for (const auto& [number, since] : idle_since_)
      if (workers_.size() > min_workers_) next = std::min(next, since + idle_timeout);
  if (next == Clock::time_point::max()) {
    alarm_.cancel();
    return;
  }
  alarm_.expires_at(next);
  alarm_.async_wait([this](boost::system::error_code error) {
    if (!error) turn();
  });
}

void CrewManager::look_at_width() {
  const auto now = Clock::now();
  if (!is_auto_ || now - width_seen_ < kLookAtWidthEvery) return;
  width_seen_ = now;
  width_ = available_parallelism();
}

// Those that are too many, or have had nothing to do for long.
void CrewManager::end_idle() {
  const auto now = Clock::now();
  const auto timeout = crew_.options_.idle_timeout;
  std::vector<int> leaving;
  for (const auto& [number, worker] : workers_) {
    if (worker->in_flight() > 0) continue;
    const auto since = idle_since_.try_emplace(number, now).first->second;
    const auto left = workers_.size() - leaving.size();
    const bool is_too_many = left > width_;
    const bool is_idle = timeout.count() > 0 && left > min_workers_ && now - since >= timeout;
    if (is_too_many || is_idle) leaving.push_back(number);
  }
  for (const int number : leaving) {
    auto taken = workers_.extract(number);
    taken.mapped()->end();
    idle_since_.erase(number);
    ending_.emplace(number, std::move(taken.mapped()));
  }
}

void CrewManager::publish_statistics() {
  const std::lock_guard lock{crew_.statistics_mutex_};
  PoolStatistics& sum = crew_.statistics_;
  sum = {};
  sum.workers = static_cast<unsigned>(workers_.size());
  sum.width = width_;
  sum.waiting = book_.waiting();
  sum.done = book_.done();
  sum.crashes = crashes_;
  sum.retried = book_.retried();
  sum.poison.assign(book_.poison().begin(), book_.poison().end());
  waited_.add_to(sum.waited);
  ran_.add_to(sum.ran);
}

}  // namespace cohort::pool
