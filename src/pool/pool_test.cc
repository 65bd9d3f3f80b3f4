// A pool of threads.
#include "cohort/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace cohort {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

const Task twice{"twice", [](int n) { return 2 * n; }};
const Task fails{"fails", [](const std::string& why) -> Result<int> {
                   return make_error(Errc::AddressMismatch, "try", why);
                 }};
const Task throws{"throws", [](int) -> int { throw std::runtime_error{"thrown"}; }};

// Holds tasks until it is opened.
class Gate {
 public:
  void open() {
    open_.store(true);
    open_.notify_all();
  }
  void pass() {
    arrived_.fetch_add(1);
    arrived_.notify_all();
    open_.wait(false);
  }
  void await_arrivals(int count) {
    for (int arrived = arrived_.load(); arrived < count; arrived = arrived_.load())
      arrived_.wait(arrived);
  }

 private:
  std::atomic<bool> open_ = false;
  std::atomic<int> arrived_ = 0;
};

TEST(ThreadPool, RunsATaskWithItsArguments) {
  const Pool pool;
  EXPECT_EQ(pool.run(twice, 21).get().value(), 42);
  EXPECT_EQ(pool.run([] { return std::string{"any callable"}; }).get().value(), "any callable");
  EXPECT_TRUE(pool.run([] {}).get());
}

TEST(ThreadPool, ArgumentsAndResultsMayOnlyBeMoved) {
  const Pool pool;
  auto given = std::make_unique<int>(7);
  auto got = pool.run([given = std::move(given)]() mutable { return std::move(given); }).get();
  ASSERT_TRUE(got);
  EXPECT_EQ(**got, 7);
}

TEST(ThreadPool, AnErrorAndAnExceptionAreTheResult) {
  const Pool pool;
  EXPECT_EQ(pool.run(fails, "so").get().error().message(), "try: the address cannot be used (so)");
  EXPECT_EQ(pool.run(throws, 1).get().error().message(), "run a task: the method failed (thrown)");
  EXPECT_EQ(pool.run([] { throw 7; }).get().error().code, Errc::CallFailed);
}

TEST(ThreadPool, ATaskIsKnownByItsName) {
  const Pool pool;
  EXPECT_EQ(pool.run_named("twice", Value::array({4})).get().value(), Value(8));
  EXPECT_EQ(pool.run_named("nobody", Value::array()).get().error().code, Errc::NoSuchMethod);
  EXPECT_EQ(pool.run_named("twice", Value::array({"four"})).get().error().code,
            Errc::InvalidArgument);
}

TEST(ThreadPool, IsAwaited) {
  const Pool pool;
  asio::io_context io;
  int got = 0;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        const auto first = co_await pool.run(twice, 4);
        const auto second = co_await pool.run(twice, first.value())(asio::use_awaitable);
        got = second.value();
      },
      asio::detached);
  io.run();
  EXPECT_EQ(got, 16);
}

TEST(ThreadPool, CallsBackOnALoopAndKeepsItRunning) {
  const Pool pool;
  asio::io_context io;
  Gate gate;
  std::thread::id where;
  pool.run([&] {
        gate.pass();
        return 5;
      })
      .then(io, [&](Result<int> result) {
        EXPECT_EQ(result.value(), 5);
        where = std::this_thread::get_id();
      });
  std::thread opener{[&] {
    gate.await_arrivals(1);
    gate.open();
  }};
  io.run();
  opener.join();
  EXPECT_EQ(where, std::this_thread::get_id());
}

TEST(ThreadPool, RunsAllThatIsPosted) {
  constexpr int kCount = 100'000;
  std::atomic<int> done = 0;
  {
    const Pool pool{{.max_workers = 3}};
    std::vector<std::thread> givers;
    for (int i = 0; i < 3; ++i)
      givers.emplace_back([&] {
        for (int k = 0; k < kCount; ++k) EXPECT_TRUE(pool.post([&] { done.fetch_add(1); }));
      });
    for (std::thread& each : givers) each.join();
    EXPECT_TRUE(pool.run([] {}).get());
    while (pool.statistics().done < 3 * kCount + 1) std::this_thread::yield();
  }
  EXPECT_EQ(done.load(), 3 * kCount);
}

TEST(ThreadPool, ATaskGivesTasksAndWaitsForThemEvenOnOneThread) {
  const Pool pool{{.max_workers = 1}};
  const std::function<int(int)> fibonacci = [&](int n) {
    if (n < 2) return n;
    const auto left = pool.run([&fibonacci, n] { return fibonacci(n - 1); });
    const int right = fibonacci(n - 2);
    return left.get().value() + right;
  };
  EXPECT_EQ(pool.run([&] { return fibonacci(15); }).get().value(), 610);
}

TEST(ThreadPool, TasksOfOneGiverBeginInOrder) {
  const Pool pool{{.max_workers = 1}};
  std::vector<int> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(pool.post([&seen, i] { seen.push_back(i); }));
  EXPECT_TRUE(pool.run([] {}).get());
  ASSERT_EQ(seen.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(ThreadPool, HighPriorityComesFirstLowLast) {
  const Pool pool{{.max_workers = 1}};
  Gate gate;
  const auto held = pool.run([&] { gate.pass(); });
  gate.await_arrivals(1);
  std::string order;
  const auto low = pool.with({.priority = Priority::Low}).run([&] { order += 'l'; });
  const auto normal = pool.run([&] { order += 'n'; });
  const auto high = pool.with({.priority = Priority::High}).run([&] { order += 'h'; });
  gate.open();
  EXPECT_TRUE(low.get());
  EXPECT_TRUE(held.get() && normal.get() && high.get());
  EXPECT_EQ(order, "hnl");
}

TEST(ThreadPool, AFullQueueRefuses) {
  const Pool pool{{.max_workers = 1, .queue_max = 2}};
  Gate gate;
  const auto held = pool.run([&] { gate.pass(); });
  gate.await_arrivals(1);
  EXPECT_TRUE(pool.post([] {}));
  EXPECT_TRUE(pool.post([] {}));
  const auto refused = pool.post([] {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::QueueFull);
  EXPECT_EQ(pool.run([] {}).get().error().code, Errc::QueueFull);
  gate.open();
  EXPECT_TRUE(held.get());
}

TEST(ThreadPool, WhoWaitsForRoomInAPoolThatEndsIsAnswered) {
  for (const Priority priority : {Priority::Normal, Priority::High}) {
    std::optional<Pool> pool{
        std::in_place, PoolOptions{.max_workers = 1, .queue_max = 1, .when_full = WhenFull::Wait}};
    Gate gate;
    const auto held = pool->run([&] { gate.pass(); });
    gate.await_arrivals(1);
    EXPECT_TRUE(pool->post([] {}));
    std::thread giver{[view = pool->with({.priority = priority})] {
      EXPECT_TRUE(view.run([] {}).wait_for(60s)) << "run or cancelled";
    }};
    std::this_thread::sleep_for(30ms);  // it waits by now, most likely
    std::thread ender{[&] { pool.reset(); }};
    std::this_thread::sleep_for(5ms);
    gate.open();
    ender.join();
    giver.join();
    EXPECT_TRUE(held.get());
  }
}

TEST(ThreadPool, AFullQueueDropsTheOldest) {
  const Pool pool{{.max_workers = 1, .queue_max = 2, .when_full = WhenFull::DropOldest}};
  Gate gate;
  const auto held = pool.run([&] { gate.pass(); });
  gate.await_arrivals(1);
  const auto first = pool.run([] { return 1; });
  const auto second = pool.run([] { return 2; });
  const auto third = pool.run([] { return 3; });
  EXPECT_EQ(first.get().error().code, Errc::QueueFull);
  gate.open();
  EXPECT_EQ(second.get().value(), 2);
  EXPECT_EQ(third.get().value(), 3);
  EXPECT_TRUE(held.get());
}

TEST(ThreadPool, AFullQueueLetsWaitUntilThereIsRoom) {
  const Pool pool{{.max_workers = 1, .queue_max = 1, .when_full = WhenFull::Wait}};
  Gate gate;
  const auto held = pool.run([&] { gate.pass(); });
  gate.await_arrivals(1);
  EXPECT_TRUE(pool.post([] {}));
  std::atomic<bool> given = false;
  std::thread giver{[&] {
    EXPECT_TRUE(pool.post([] {}));
    given = true;
  }};
  std::this_thread::sleep_for(20ms);
  EXPECT_FALSE(given.load());
  gate.open();
  giver.join();
  EXPECT_TRUE(held.get());
}

TEST(ThreadPool, ATaskBeyondItsDeadlineIsToldToStopAndSaidToRunStill) {
  const Pool pool{{.max_workers = 1}};
  Gate gate;
  std::atomic<bool> begun = false, told = false;
  // On a busy machine it may not begin before its deadline.
  for (auto deadline = 20ms; !begun; deadline *= 2) {
    const auto late = pool.with({.deadline = deadline}).run([&] {
      begun = true;
      while (!ThisTask::stop_token().stop_requested()) std::this_thread::yield();
      told = true;
      gate.pass();
    });
    const auto result = late.get();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code.value(), ETIMEDOUT);
  }
  gate.await_arrivals(1);
  EXPECT_EQ(pool.statistics().overdue, 1u);
  gate.open();
  EXPECT_TRUE(pool.run([] {}).get());
  EXPECT_TRUE(told.load());
  EXPECT_EQ(pool.statistics().overdue, 0u);
}

TEST(ThreadPool, OneThatWaitsBeyondItsDeadlineNeverBegins) {
  const Pool pool{{.max_workers = 1}};
  Gate gate;
  const auto held = pool.run([&] { gate.pass(); });
  gate.await_arrivals(1);
  bool ran = false;
  EXPECT_EQ(pool.with({.deadline = 10ms}).run([&] { ran = true; }).get().error().code.value(),
            ETIMEDOUT);
  gate.open();
  EXPECT_TRUE(held.get());
  EXPECT_TRUE(pool.run([] {}).get());
  EXPECT_FALSE(ran);
  EXPECT_EQ(pool.statistics().overdue, 0u);
}

TEST(ThreadPool, ACancelledTaskThatWaitsNeverBegins) {
  const Pool pool{{.max_workers = 1}};
  Gate gate;
  const auto held = pool.run([&] { gate.pass(); });
  gate.await_arrivals(1);
  bool ran = false;
  std::stop_source stop;
  const auto first = pool.run([&] { ran = true; });
  const auto second = pool.with({.cancel = stop.get_token()}).run([&] { ran = true; });
  first.cancel();
  stop.request_stop();
  EXPECT_EQ(first.get().error().code.value(), ECANCELED);
  EXPECT_EQ(second.get().error().code.value(), ECANCELED);
  gate.open();
  EXPECT_TRUE(held.get());
  EXPECT_TRUE(pool.run([] {}).get());
  EXPECT_FALSE(ran);
}

TEST(ThreadPool, ACancelledTaskThatRunsSeesIt) {
  const Pool pool;
  Gate begun;
  const auto running = pool.run([&] {
    begun.open();
    while (!ThisTask::stop_token().stop_requested()) std::this_thread::yield();
    return 1;
  });
  begun.pass();
  running.cancel();
  EXPECT_EQ(running.get().value(), 1) << "it has ended by itself, so its result counts";
}

TEST(ThreadPool, TellsOfProgress) {
  const Pool pool;
  std::vector<int> seen;
  const auto done =
      pool.with({.on_progress =
                     [&](const Value& at) { seen.push_back(static_cast<int>(at.number_or(-1))); }})
          .run([] {
            for (const int at : {10, 50, 100}) ThisTask::progress(at);
          });
  EXPECT_TRUE(done.get());
  EXPECT_EQ(seen, (std::vector<int>{10, 50, 100}));
  ThisTask::progress(1);  // of no task: nothing
  EXPECT_FALSE(ThisTask::stop_token().stop_possible());
}

TEST(ThreadPool, ForEachVisitsEachIndexOnce) {
  const Pool pool{{.max_workers = 3}};
  for (const std::size_t count : {0UL, 1UL, 2UL, 1000UL, 100'000UL}) {
    std::vector<std::atomic<int>> visits(count);
    EXPECT_TRUE(pool.for_each(count, [&](std::size_t i) { visits[i].fetch_add(1); }));
    for (const auto& each : visits) ASSERT_EQ(each.load(), 1);
  }
}

TEST(ThreadPool, WhatForEachThrowsEndsItAndIsTheError) {
  const Pool pool;
  std::atomic<int> visits = 0;
  const auto result = pool.for_each(10'000'000, [&](std::size_t i) {
    visits.fetch_add(1);
    if (i == 5) throw std::runtime_error{"five"};
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().detail, "five");
  EXPECT_LT(visits.load(), 10'000'000);
}

TEST(ThreadPool, ForEachWithinATask) {
  const Pool pool{{.max_workers = 2}};
  std::atomic<int> sum = 0;
  EXPECT_TRUE(
      pool.run([&] { return pool.for_each(100, [&](std::size_t) { sum.fetch_add(1); }); }).get());
  EXPECT_EQ(sum.load(), 100);
}

TEST(ThreadPool, MapKeepsTheOrder) {
  const Pool pool;
  std::vector<int> inputs(10'000);
  std::iota(inputs.begin(), inputs.end(), 0);
  const auto results = pool.map(inputs, twice);
  ASSERT_EQ(results.size(), inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) ASSERT_EQ(results[i].value(), 2 * inputs[i]);
}

TEST(ThreadPool, MapAsCompletedTellsEachOnceOnThisThread) {
  const Pool pool;
  std::vector<int> inputs(10'000, 3);
  std::vector<bool> seen(inputs.size());
  const auto here = std::this_thread::get_id();
  pool.map_as_completed(inputs, twice, [&](std::size_t index, Result<int> result) {
    EXPECT_EQ(std::this_thread::get_id(), here);
    EXPECT_FALSE(seen[index]);
    seen[index] = true;
    EXPECT_EQ(result.value(), 6);
  });
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 10'000);
}

TEST(ThreadPool, ALongTaskHoldsBackNobodyBehindIt) {
  // Many short ones, so that tasks are taken to be short; then a long one, and one behind it.
  const Pool pool{{.max_workers = 2}};
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(pool.post([] {}));
  EXPECT_TRUE(pool.run([] {}).get());
  Gate gate;
  const auto held = pool.run([&] { gate.pass(); });
  gate.await_arrivals(1);
  EXPECT_EQ(pool.run([] { return 1; }).get().value(), 1);
  gate.open();
  EXPECT_TRUE(held.get());
}

TEST(ThreadPool, ALongTaskHoldsBackNobodyAfterARest) {
  const Pool pool{{.max_workers = 2}};
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(pool.post([] {}));
    EXPECT_TRUE(pool.run([] {}).get());
    std::this_thread::sleep_for(2ms);  // all sleep
    // The first waits for the second by other means than its Future.
    std::atomic<bool> second_ran = false;
    const auto first = pool.run([&] { second_ran.wait(false); });
    const auto second = pool.run([&] {
      second_ran = true;
      second_ran.notify_all();
    });
    EXPECT_TRUE(first.get() && second.get());
  }
}

TEST(ThreadPool, TasksThatWaitForEachOtherAllRunOnceThereAreThreadsForThem) {
  for (int round = 0; round < 50; ++round) {
    const Pool pool{{.max_workers = 4}};
    std::barrier all{4};
    std::vector<Future<void>> futures;
    for (int i = 0; i < 4; ++i) futures.push_back(pool.run([&] { all.arrive_and_wait(); }));
    for (const auto& each : futures) EXPECT_TRUE(each.get());
  }
}

TEST(ThreadPool, MoreThreadsFromAResizeTakeWhatWaits) {
  const Pool pool{{.max_workers = 1}};
  std::barrier all{3};
  std::vector<Future<void>> futures;
  for (int i = 0; i < 3; ++i) futures.push_back(pool.run([&] { all.arrive_and_wait(); }));
  pool.resize(0, 3);
  for (const auto& each : futures) EXPECT_TRUE(each.get());
}

TEST(ThreadPool, AGiverThatIsFasterThanTheWorkersIsBounded) {
  for (const auto when_full : {WhenFull::Refuse, WhenFull::DropOldest}) {
    const Pool pool{{.max_workers = 1, .queue_max = 10'000, .when_full = when_full}};
    Gate gate;
    const auto held = pool.run([&] { gate.pass(); });
    gate.await_arrivals(1);
    for (int i = 0; i < 200'000; ++i) std::ignore = pool.post([] {});
    EXPECT_GE(pool.statistics().waiting, 9'000u);
    EXPECT_LE(pool.statistics().waiting, 11'000u);
    gate.open();
    EXPECT_TRUE(held.get());
  }
}

TEST(ThreadPool, ATaskMayUseItsPoolWhileThatEnds) {
  Gate gate;
  Result<void> posted;
  std::optional<Future<int>> ran;
  {
    auto pool = std::make_unique<Pool>(PoolOptions{.max_workers = 1});
    const PoolView view = pool->with({});
    const auto runs = pool->run([&, raw = pool.get()] {
      gate.pass();
      std::this_thread::sleep_for(20ms);  // the destructor has begun
      posted = raw->post([] {});
      ran = view.run([] { return 1; });
    });
    gate.await_arrivals(1);
    gate.open();
    pool.reset();
    EXPECT_TRUE(runs.done());
    EXPECT_EQ(view.run([] { return 2; }).get().error().code.value(), ECANCELED);
  }
  EXPECT_EQ(posted.error().code.value(), ECANCELED);
  EXPECT_EQ(ran->get().error().code.value(), ECANCELED);
}

TEST(ThreadPool, WhatAHandlerOfMapThrowsIsThrownAfterAllHaveRun) {
  const Pool pool;
  const std::vector<int> inputs(1000, 1);
  int calls = 0;
  EXPECT_THROW(pool.map_as_completed(inputs, twice,
                                     [&](std::size_t, const Result<int>&) {
                                       if (++calls == 3) throw std::runtime_error{"enough"};
                                     }),
               std::runtime_error);
  EXPECT_EQ(calls, 3);
}

TEST(ThreadPool, AnIdleWorkerEndsAndComesAgain) {
  const Pool pool{{.min_workers = 0, .max_workers = 2, .idle_timeout = 10ms}};
  EXPECT_TRUE(pool.run([] {}).get());
  while (pool.statistics().workers > 0) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(pool.run([] { return 4; }).get().value(), 4);
}

TEST(ThreadPool, IsResized) {
  const Pool pool{{.max_workers = 1}};
  pool.resize(0, 4);
  Gate gate;
  std::vector<Future<void>> held;
  for (int i = 0; i < 4; ++i) held.push_back(pool.run([&] { gate.pass(); }));
  gate.await_arrivals(4);
  EXPECT_EQ(pool.statistics().workers, 4u);
  pool.resize(0, 1);
  gate.open();
  for (const auto& each : held) EXPECT_TRUE(each.get());
  while (pool.statistics().workers > 1) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(pool.statistics().width, 1u);
}

TEST(ThreadPool, CountsAndTimesWhatItRuns) {
  const Pool pool;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(pool.run(twice, i).get());
  while (pool.statistics().done < 1000) std::this_thread::yield();  // a result comes first
  const PoolStatistics sum = pool.statistics();
  EXPECT_EQ(sum.done, 1000u);
  EXPECT_EQ(sum.waiting, 0u);
  EXPECT_GE(sum.ran.count(), 10u);
  EXPECT_EQ(sum.ran.count(), sum.waited.count());
  EXPECT_GT(sum.ran.quantile(0.5).count(), 0);
  EXPECT_GE(sum.ran.quantile(1), sum.ran.quantile(0.5));
}

TEST(ThreadPool, ItsDestructorDropsWhatWaitsAndWaitsForWhatRuns) {
  Gate gate;
  std::optional<Future<int>> runs, waits;
  std::atomic<bool> gone = false;
  std::thread destroyer;
  {
    auto pool = std::make_unique<Pool>(PoolOptions{.max_workers = 1});
    runs = pool->run([&] {
      gate.pass();
      return 1;
    });
    gate.await_arrivals(1);
    waits = pool->run([] { return 2; });
    destroyer = std::thread{[&, owned = std::move(pool)]() mutable {
      owned.reset();
      gone = true;
    }};
  }
  std::this_thread::sleep_for(10ms);
  EXPECT_FALSE(gone.load());
  gate.open();
  destroyer.join();
  EXPECT_EQ(runs->get().value(), 1);
  EXPECT_EQ(waits->get().error().code.value(), ECANCELED);
}

// How often the threads of that name have gone to sleep.
std::uint64_t sleeps_of(const std::string& name) {
  std::uint64_t sum = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status{task.path() / "status"};
    bool is_one = false;
    for (std::string word; status >> word;) {
      if (word == "Name:") is_one = status >> word && word.starts_with(name);
      if (std::uint64_t count = 0; is_one && word == "voluntary_ctxt_switches:" && status >> count)
        sum += count;
    }
  }
  return sum;
}

TEST(ThreadPool, NeverWakesWhileItHasNothingToDo) {
  const Pool pool{{.name = "quiet"}};
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(pool.post([] {}));
  EXPECT_TRUE(pool.run([] {}).get());
  std::this_thread::sleep_for(100ms);  // who looks now and then has seen that nobody works
  const auto before = sleeps_of("quiet");
  EXPECT_GT(before, 0u);
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(sleeps_of("quiet"), before);
}

}  // namespace
}  // namespace cohort
