#include "pool/thread_crew.h"

#include <pthread.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <exception>
#include <utility>

#include "base/signals_blocked.h"
#include "base/sys.h"
#include "cohort/parallelism.h"
#include "thread/spin.h"

namespace cohort::pool {
namespace {

using Clock = std::chrono::steady_clock;
using Act = Work::Act;

constexpr int kSampleEvery = 64;
constexpr std::size_t kTakeMax = 64;
// What is taken at once is about so long.
constexpr std::int64_t kTakeTime = 20'000;
// Those who are awake are done with what waits within that.
constexpr std::int64_t kSoon = 20'000;
// Tasks that are shorter are taken many at a time: whoever looks too often disturbs who gives them.
constexpr std::int64_t kShort = 500;
constexpr std::size_t kMany = 8;
constexpr std::chrono::nanoseconds kWatchMin = std::chrono::microseconds{200};
constexpr std::chrono::nanoseconds kWatchMax = std::chrono::milliseconds{5};
// A worker whose own work does not end looks at what came from outside after so many. More than are
// taken at once: those begin in the order in which they were given.
constexpr unsigned kFairEvery = 4 * kTakeMax;
constexpr std::int64_t kWidthEvery = 500'000'000;
constexpr std::size_t kWaitingMax = 1 << 20;
constexpr std::chrono::milliseconds kLookForRoom{100};
// Chunks of a loop are about so long.
constexpr std::int64_t kChunkTime = 20'000;

std::int64_t now_ns() { return Clock::now().time_since_epoch().count(); }

}  // namespace

// Owned by the crew; its own thread's, but for what is atomic and the queue.
struct alignas(64) ThreadCrew::Worker {
  WorkQueue own;
  ThreadCrew& crew;
  std::size_t index;
  ThreadIdentity identity;
  std::thread thread{};
  std::atomic<bool> lives = false;
  Histogram waited{}, ran{};
  std::atomic<std::uint64_t> done = 0;
  std::int64_t mean = kTakeTime;  // of a task, as it was last
  std::int64_t taken_at = 0;      // since when it is busy with what it took
  std::size_t taken = 0;
  std::size_t victim = 0;
  std::size_t lane = 0;
  unsigned turns = 0;
};

namespace {

thread_local void* t_worker = nullptr;

std::atomic<std::uint64_t> last_crew = 0;

// The lanes of a thread: one for each crew that it has given something. Left when it ends.
struct OwnLanes {
  ~OwnLanes() {
    for (const auto& [crew, lane] : all)
      if (lane) lane->is_owned.store(false, std::memory_order_release);
  }
  std::uint64_t last_crew = 0;  // whose lane is `last`
  LaneQueue* last = nullptr;
  std::vector<std::pair<std::uint64_t, std::shared_ptr<LaneQueue>>> all;
};
thread_local OwnLanes t_lanes;

}  // namespace

ThreadCrew::ThreadCrew(const PoolOptions& options)
    : name_{options.name},
      queue_max_{options.queue_max},
      when_full_{options.when_full},
      idle_timeout_{options.idle_timeout},
      min_workers_{options.min_workers},
      is_auto_{options.max_workers == 0},
      width_{options.max_workers == 0 ? available_parallelism() : options.max_workers},
      sleepers_pay_{sys::has_memory_barrier_everywhere()},
      id_{++last_crew} {}

ThreadCrew::~ThreadCrew() { end(); }

void ThreadCrew::end() {
  {
    // From now on nobody starts one.
    const std::lock_guard lock{starting_};
    if (ends_.exchange(true, std::memory_order_seq_cst)) return;
  }
  calls_.fetch_add(1, std::memory_order_seq_cst);
  sys::futex_wake(calls_, INT_MAX, false);
  for (std::size_t i = 0; i < known_.load(); ++i)
    if (workers_[i]->thread.joinable()) workers_[i]->thread.join();
  room_.fetch_add(1, std::memory_order_seq_cst);
  sys::futex_wake(room_, INT_MAX, false);
  // Whoever gives now sees that it ends, or what he gave is seen here.
  if (sleepers_pay_) sys::memory_barrier_everywhere();
  cancel_all();
}

// What nobody will run.
void ThreadCrew::cancel_all() {
  Work work;
  for (WorkQueue& queue : given_)
    while (queue.take(&work, 1) == 1) work(Act::Cancel);
  for (std::size_t i = 0; i < lane_count_.load(std::memory_order_acquire); ++i)
    while (lanes_[i]->size() > 0)  // another thread may be taking, and miss what came last
      if (lanes_[i]->take(&work, 1) == 1) work(Act::Cancel);
  for (std::size_t i = 0; i < known_.load(std::memory_order_acquire); ++i)
    while (workers_[i]->own.take(&work, 1) == 1) work(Act::Cancel);
}

bool ThreadCrew::is_worker() { return t_worker != nullptr; }

bool ThreadCrew::is_here() const {
  return t_worker != nullptr && &static_cast<Worker*>(t_worker)->crew == this;
}

// --- giving

Result<void> ThreadCrew::give(Work& work, Priority priority) {
  if (ends_.load(std::memory_order_relaxed))
    return system_error(ECANCELED, "give a task to the pool " + name_, "it is gone");
  thread_local unsigned count = 0;
  if (++count % kSampleEvery == 0) work.since = now_ns();
  // What a task gives is never refused, and never waits: its pool could stand still.
  if (is_here()) {
    WorkQueue& queue =
        priority == Priority::Normal ? static_cast<Worker*>(t_worker)->own : queue_of(priority);
    queue.push(work);
    tell_one(queue.size());
    return {};
  }
  LaneQueue* const lane = priority == Priority::Normal ? own_lane() : nullptr;
  WorkQueue& queue = queue_of(priority);
  // To count all lanes takes its time: a part of what may wait goes uncounted.
  if (lane == nullptr || lane->is_due(queue_max_ / (2 * kLanesMax))) {
    Error problem;
    if (waiting() >= queue_max_ && !has_room(problem)) return problem;
    if (lane != nullptr) lane->counted();
  }
  if (lane == nullptr) {
    queue.push(work);
    tell_one(queue.size());
  } else {
    lane->push(work);
    // Who goes to sleep makes every thread go through a barrier before it looks here; or it is
    // ours.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (!sleepers_pay_) sleeping_.fetch_add(0, std::memory_order_seq_cst);
    tell_one(1);
  }
  if (ends_.load(std::memory_order_seq_cst)) cancel_all();
  return {};
}

LaneQueue* ThreadCrew::own_lane() {
  OwnLanes& own = t_lanes;
  if (own.last_crew == id_) return own.last;
  const auto known = std::find_if(own.all.begin(), own.all.end(),
                                  [this](const auto& each) { return each.first == id_; });
  LanePointer lane = known == own.all.end() ? nullptr : known->second;
  if (known == own.all.end()) {
    const std::lock_guard lock{lanes_mutex_};
    const std::size_t count = lane_count_.load();
    // One whose thread has ended, first.
    for (std::size_t i = 0; i < count && lane == nullptr; ++i)
      if (bool owned = false; lanes_[i]->is_owned.compare_exchange_strong(owned, true))
        lane = lanes_[i];
    if (lane == nullptr && count < kLanesMax) {
      lane = lanes_[count] = std::make_shared<LaneQueue>();
      lane_count_.store(count + 1, std::memory_order_release);
    }
    // Those of crews that are gone.
    std::erase_if(own.all, [](const auto& each) { return each.second.use_count() == 1; });
    own.all.emplace_back(id_, lane);  // none: there are too many of them
  }
  own.last_crew = id_;
  own.last = lane.get();
  return own.last;
}

bool ThreadCrew::has_room(Error& problem) {
  if (when_full_ == WhenFull::Refuse) {
    problem = make_error(Errc::QueueFull, "give a task to the pool " + name_,
                         std::to_string(queue_max_) + " wait already: queue_max");
    return false;
  }
  if (when_full_ == WhenFull::DropOldest) {
    while (waiting() >= queue_max_ && drop_oldest()) continue;
    return true;
  }
  waiting_for_room_.fetch_add(1, std::memory_order_seq_cst);
  for (;;) {
    const auto seen = room_.load(std::memory_order_acquire);
    if (waiting() < queue_max_ || ends_.load(std::memory_order_seq_cst)) break;
    sys::futex_wait(room_, seen, kLookForRoom, false);
  }
  waiting_for_room_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

// Of the lowest priority that there is; of several lanes, any.
bool ThreadCrew::drop_oldest() {
  Work oldest;
  const auto drop = [&](auto& queue) {
    if (queue.take(&oldest, 1) == 0) return false;
    oldest(Act::Refuse);
    return true;
  };
  if (drop(queue_of(Priority::Low)) || drop(queue_of(Priority::Normal))) return true;
  const std::size_t lanes = lane_count_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < lanes; ++i)
    if (drop(*lanes_[i])) return true;
  return drop(queue_of(Priority::High));
}

std::size_t ThreadCrew::waiting() const {
  std::size_t sum = 0;
  for (const WorkQueue& queue : given_) sum += queue.size();
  const std::size_t lanes = lane_count_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < lanes; ++i) sum += lanes_[i]->size();
  return sum;
}

void ThreadCrew::tell_one(std::size_t waiting) {
  if (searching_.load(std::memory_order_seq_cst) > 0) return;
  const auto sleeping = sleeping_.load(std::memory_order_seq_cst);
  const auto live = live_.load(std::memory_order_relaxed);
  const auto mean = mean_.load(std::memory_order_relaxed);
  if (mean > 0 && live > sleeping && watched_.load(std::memory_order_relaxed) &&
      static_cast<std::int64_t>(std::min(waiting, kWaitingMax)) * mean < kSoon * (live - sleeping))
    return;
  if (sleeping > 0) {
    calls_.fetch_add(1, std::memory_order_release);
    // Who counts as a sleeper may be on its way already, to another task.
    if (sys::futex_wake(calls_, 1, false) == 0 && live < width_.load(std::memory_order_relaxed))
      start_one();
  } else if (live < width_.load(std::memory_order_relaxed)) {
    start_one();
  }
}

void ThreadCrew::start_one() {
  const std::lock_guard lock{starting_};
  if (live_.load() >= std::min<std::size_t>(width_.load(), kWorkersMax) || ends_.load()) return;
  std::size_t index = 0;
  const std::size_t known = known_.load();
  while (index < known && workers_[index]->lives.load()) ++index;
  if (index == kWorkersMax) return;
  if (index == known)
    workers_[index].reset(new Worker{.own = {},
                                     .crew = *this,
                                     .index = index,
                                     .identity = {.name = name_ + '-' + std::to_string(index)}});
  Worker& worker = *workers_[index];
  if (worker.thread.joinable()) worker.thread.join();  // that has ended
  worker.lives.store(true);
  live_.fetch_add(1);
  const SignalsBlocked blocked;
  try {
    worker.thread = std::thread{[this, &worker] { work(worker); }};
  } catch (const std::system_error& error) {
    worker.lives.store(false);
    live_.fetch_sub(1);
    if (live_.load() > 0) return;  // those that there are do it
    std::fprintf(stderr, "cohort: pool %s has no thread: %s\n", name_.c_str(), error.what());
    cancel_all();
    return;
  }
  if (index == known) known_.store(known + 1, std::memory_order_release);
}

void ThreadCrew::resize(unsigned min_workers, unsigned max_workers) {
  min_workers_.store(min_workers);
  is_auto_.store(max_workers == 0);
  width_.store(max_workers == 0 ? available_parallelism() : max_workers);
  // Those that are too many find out.
  calls_.fetch_add(1, std::memory_order_release);
  sys::futex_wake(calls_, INT_MAX, false);
  if (const std::size_t left = waiting(); left > 0) tell_one(left);
}

// --- working

void ThreadCrew::work(Worker& self) {
  t_worker = &self;
  t_this_thread = &self.identity;
  ::pthread_setname_np(::pthread_self(), self.identity.name.substr(0, 15).c_str());
  Work work;
  do {
    while (!ends_.load(std::memory_order_relaxed) && find(self, work)) run(self, work);
  } while (!ends_.load(std::memory_order_relaxed) && rest());
  t_worker = nullptr;
  self.lives.store(false, std::memory_order_release);
}

bool ThreadCrew::is_one_too_many(unsigned enough) {
  auto live = live_.load(std::memory_order_seq_cst);
  while (live > enough)
    if (live_.compare_exchange_weak(live, live - 1)) return true;
  return false;
}

bool ThreadCrew::find(Worker& self, Work& work) {
  if (++self.turns > kFairEvery) {
    self.turns = 0;
    if (take_given(self, work)) return true;
  }
  if (self.own.pop_newest(work)) return true;
  self.turns = 0;
  measure(self);
  return take_given(self, work) || steal(self, work);
}

// How long those took that it took last, from elsewhere.
void ThreadCrew::measure(Worker& self) {
  if (self.taken == 0) return;
  const auto now = now_ns();
  self.mean =
      std::max<std::int64_t>((now - self.taken_at) / static_cast<std::int64_t>(self.taken), 1);
  self.taken = 0;
  mean_.store(self.mean, std::memory_order_relaxed);
  look_at_width(now);
}

// A batch from elsewhere: the first is to be run, the others wait here.
void ThreadCrew::keep(Worker& self, const Work* taken, std::size_t count, Work& work) {
  self.taken_at = now_ns();
  self.taken = count;
  work = taken[0];
  if (count > 1) self.own.push_reversed(taken + 1, count - 1);
  // Whoever gave the others may have relied on this one.
  if (const std::size_t left = count - 1 + self.crew.waiting(); left > 0) self.crew.tell_one(left);
}

// Where tasks are short, whoever looks too often disturbs those who give them.
template <class Queue>
std::size_t ThreadCrew::size_when_worth_it(const Worker& self, const Queue& queue) {
  const std::size_t size = queue.size();
  if (size == 0 || size >= kMany || self.mean >= kShort) return size;
  for (int i = 0; i < 8; ++i) thread::pause();
  return queue.size();
}

bool ThreadCrew::take_given(Worker& self, Work& work) {
  const auto take = [&](auto& queue) {
    const std::size_t waiting = size_when_worth_it(self, queue);
    if (waiting == 0) return false;
    // Its share of what there is, and no more than is done soon: the others wait here for it.
    const auto soon = static_cast<std::size_t>(std::max<std::int64_t>(kTakeTime / self.mean, 1));
    const std::size_t share = std::max<std::size_t>(waiting / std::max(1U, width_.load()), 1);
    Work taken[kTakeMax];
    const std::size_t count = queue.take(taken, std::min({soon, share, kTakeMax}));
    if (count == 0) return false;
    // A full barrier: whoever waits for room has seen what was taken, or is seen.
    if (waiting_for_room_.fetch_add(0, std::memory_order_seq_cst) > 0) {
      room_.fetch_add(1, std::memory_order_release);
      sys::futex_wake(room_, static_cast<int>(count), false);
    }
    keep(self, taken, count, work);
    return true;
  };
  for (std::size_t i = 0; i < given_.size(); ++i) {
    if (take(given_[i])) return true;
    if (i != static_cast<std::size_t>(Priority::Normal)) continue;
    const std::size_t lanes = lane_count_.load(std::memory_order_acquire);
    for (std::size_t k = 0; k < lanes; ++k) {
      if (take(*lanes_[self.lane++ % lanes])) return true;
    }
  }
  return false;
}

bool ThreadCrew::steal(Worker& self, Work& work) {
  const std::size_t known = known_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < known; ++i) {
    Worker& other = *workers_[self.victim++ % known];
    if (&other == &self) continue;
    Work taken[kTakeMax];
    const std::size_t half = std::min((size_when_worth_it(self, other.own) + 1) / 2, kTakeMax);
    const std::size_t count = half == 0 ? 0 : other.own.take(taken, half);
    if (count == 0) continue;
    --self.victim;
    keep(self, taken, count, work);
    return true;
  }
  return false;
}

bool ThreadCrew::anything() const {
  if (waiting() > 0) return true;
  const std::size_t known = known_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < known; ++i)
    if (workers_[i]->own.size() > 0) return true;
  return false;
}

bool ThreadCrew::rest() {
  if (is_one_too_many(width_.load(std::memory_order_relaxed))) return false;
  searching_.fetch_add(1, std::memory_order_seq_cst);
  const bool found = thread::spin_until([this] { return anything() || ends_.load(); });
  const bool was_last = searching_.fetch_sub(1, std::memory_order_seq_cst) == 1;
  if (found) {
    // Whoever gives more from now on relied on this one.
    if (was_last) {
      if (const std::size_t left = waiting(); left > 0) tell_one(left);
    }
    return true;
  }
  const auto seen = calls_.load(std::memory_order_seq_cst);
  sleeping_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_pay_) sys::memory_barrier_everywhere();
  const bool goes_on = doze(seen);
  sleeping_.fetch_sub(1, std::memory_order_seq_cst);
  if (goes_on || ends_.load(std::memory_order_relaxed)) return true;
  // It counts no more; but somebody may have tried to wake it.
  if (sleepers_pay_) sys::memory_barrier_everywhere();
  if (!anything()) return false;
  live_.fetch_add(1, std::memory_order_seq_cst);
  return true;
}

bool ThreadCrew::doze(std::uint32_t seen) {
  const bool may_end = idle_timeout_.count() > 0 && live_.load() > min_workers_.load();
  const auto until = may_end ? Clock::now() + idle_timeout_ : Clock::time_point::max();
  auto period = kWatchMin;
  bool watches = false;
  bool goes_on = true;
  while (!anything() && !ends_.load(std::memory_order_seq_cst)) {
    auto timeout = may_end ? until - Clock::now() : std::chrono::nanoseconds{-1};
    if (may_end && timeout.count() <= 0) {
      goes_on = !is_one_too_many(min_workers_.load());
      break;
    }
    // Only while somebody works: where nobody does, nobody wakes.
    const bool somebody_works = live_.load() > sleeping_.load(std::memory_order_seq_cst);
    if (watches && !somebody_works) {
      watches = false;
      watched_.store(false, std::memory_order_seq_cst);
      // Those who relied on the watch are seen now.
      if (sleepers_pay_) sys::memory_barrier_everywhere();
      continue;
    }
    watches = watches || (somebody_works && !watched_.exchange(true));
    if (watches) {
      timeout = may_end ? std::min(timeout, period) : period;
      period = std::min(2 * period, kWatchMax);
    }
    if (sys::futex_wait(calls_, seen, timeout, false) != -1 || errno != ETIMEDOUT) break;
  }
  if (watches) watched_.store(false, std::memory_order_seq_cst);
  return goes_on;
}

void ThreadCrew::run(Worker& self, Work& work) {
  const std::int64_t since = work.since;
  const std::int64_t begun = since == 0 ? 0 : now_ns();
  try {
    work(Act::Run);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cohort: a task that was posted to the pool %s: %s\n", name_.c_str(),
                 error.what());
  } catch (...) {
    std::fprintf(stderr, "cohort: a task that was posted to the pool %s threw\n", name_.c_str());
  }
  if (since != 0) {
    const auto now = now_ns();
    self.waited.add(begun - since);
    self.ran.add(now - begun);
    look_at_width(now);
  }
  self.done.store(self.done.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

// A container's quota may change: looked at while there is work, so that who is idle never wakes.
void ThreadCrew::look_at_width(std::int64_t now) {
  if (!is_auto_.load(std::memory_order_relaxed)) return;
  auto seen = width_seen_.load(std::memory_order_relaxed);
  if (now - seen < kWidthEvery || !width_seen_.compare_exchange_strong(seen, now)) return;
  width_.store(available_parallelism(), std::memory_order_relaxed);
}

bool ThreadCrew::help(bool only_own) {
  Worker& self = *static_cast<Worker*>(t_worker);
  Work work;
  if (only_own ? !self.own.pop_newest(work) : !self.crew.find(self, work)) return false;
  self.crew.run(self, work);
  return true;
}

void ThreadCrew::add_to(PoolStatistics& sum) const {
  sum.workers += live_.load();
  sum.width = width_.load();
  sum.waiting += waiting();
  const std::size_t known = known_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < known; ++i) {
    const Worker& worker = *workers_[i];
    sum.waiting += worker.own.size();
    sum.done += worker.done.load(std::memory_order_acquire);
    worker.waited.add_to(sum.waited);
    worker.ran.add_to(sum.ran);
  }
}

// --- loops

namespace {

// One loop: shared by those who take part, some of whom may come when it is over.
struct SharedLoop {
  std::size_t count = 0;
  const std::function<void(std::size_t, std::size_t)>* chunk = nullptr;
  std::size_t parties = 1;
  alignas(64) std::atomic<std::size_t> next = 0;
  alignas(64) std::atomic<std::uint32_t> active = 0;
  std::atomic<bool> failed = false;
  std::exception_ptr why;

  // Whoever finds a part takes it; `chunk` is used only while something is left, so by nobody after
  // the caller has left.
  void take_part() {
    active.fetch_add(1, std::memory_order_seq_cst);
    std::size_t size = 1;
    for (;;) {
      const std::size_t begin = next.fetch_add(size, std::memory_order_seq_cst);
      if (begin >= count) break;
      const std::size_t end = std::min(count, begin + size);
      const auto start = now_ns();
      try {
        (*chunk)(begin, end);
      } catch (...) {
        if (!failed.exchange(true)) why = std::current_exception();
        next.store(count, std::memory_order_seq_cst);
      }
      const auto took = now_ns() - start;
      // So that all have something to do until the end.
      const std::size_t most =
          std::max<std::size_t>((count - std::min(count, end)) / (parties * 4), 1);
      if (took < kChunkTime)
        size = std::min(size * 2, most);
      else if (took > 4 * kChunkTime)
        size = std::max<std::size_t>(size / 2, 1);
      size = std::min(size, most);
    }
    if (active.fetch_sub(1, std::memory_order_seq_cst) == 1) sys::futex_wake(active, 1, false);
  }
};

}  // namespace

Result<void> ThreadCrew::for_each(
    std::size_t count, const std::function<void(std::size_t begin, std::size_t end)>& chunk) {
  const auto loop = std::make_shared<SharedLoop>();
  loop->count = count;
  loop->chunk = &chunk;
  loop->parties = std::min<std::size_t>(width_.load(), count);
  for (std::size_t i = 1; i < loop->parties; ++i) {
    Work work{[loop](Act act) {
      if (act == Act::Run) loop->take_part();
    }};
    if (!give(work, Priority::Normal)) work(Act::Cancel);
  }
  loop->take_part();
  for (auto active = loop->active.load(); active != 0; active = loop->active.load())
    sys::futex_wait(loop->active, active, std::chrono::nanoseconds{-1}, false);
  if (!loop->failed.load()) return {};
  try {
    std::rethrow_exception(loop->why);
  } catch (...) {
    return detail::error_of_exception();
  }
}

}  // namespace cohort::pool
