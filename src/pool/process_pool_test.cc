// A pool of processes.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cohort/pool.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;

struct Point {
  double x = 0;
  double y = 0;
};
BOOST_DESCRIBE_STRUCT(Point, (), (x, y))

const Task add{"add", [](int a, int b) { return a + b; }};
const Task turned{"turned", [](Point p) { return Point{-p.y, p.x}; }};
const Task pid_of{"pid_of", [](int) { return static_cast<int>(getpid()); }};
const Task refuses{"refuses", [](const std::string& why) -> Result<int> {
                     return system_error(EACCES, "open the door", why);
                   }};
const Task explodes{"explodes", [](int) -> int { throw std::runtime_error{"boom"}; }};
const Task sum_of{"sum_of", [](const Value& bytes) {
                    double sum = 0;
                    for (const std::byte each : bytes.bytes()) sum += static_cast<double>(each);
                    return sum;
                  }};
const Task zeros{"zeros", [](int size) {
                   return Value::buffer(std::vector<std::byte>(static_cast<std::size_t>(size)));
                 }};
const Task sleeps{"sleeps", [](int ms) {
                    std::this_thread::sleep_for(std::chrono::milliseconds{ms});
                    return ms;
                  }};
const Task for_ever{"for_ever", [](int) {
                      for (volatile bool on = true; on;) continue;
                    }};
const Task reports{"reports", [](int times) {
                     for (int i = 1; i <= times; ++i) ThisTask::progress(i);
                     return times;
                   }};
// A sanitizer would catch these first.
[[gnu::no_sanitize("address", "thread", "undefined")]] void lose_the_stack() {
  volatile char* at = static_cast<volatile char*>(__builtin_frame_address(0));
  for (;; ++at) *at = 0;
}

void use_all_memory() {
  // A sanitizer needs more address space than that, and ends otherwise. clang has no macro for it.
  if (std::getenv("COHORT_SANITIZED") != nullptr) std::abort();
  const rlimit limit{64 << 20, 64 << 20};
  setrlimit(RLIMIT_AS, &limit);
  std::vector<std::vector<char>> all;
  try {
    for (;;) all.emplace_back(1 << 20);
  } catch (const std::bad_alloc&) {
    std::abort();
  }
}

// How a worker may die.
const Task dies{"dies", [](const std::string& how) {
                  struct sigaction by_itself{};
                  by_itself.sa_handler = SIG_DFL;
                  sigaction(SIGSEGV, &by_itself, nullptr);
                  if (how == "segv") raise(SIGSEGV);
                  if (how == "abort") std::abort();
                  if (how == "exit") std::_Exit(7);
                  if (how == "kill") kill(getpid(), SIGKILL);
                  if (how == "stack") lose_the_stack();
                  if (how == "memory") use_all_memory();
                  return 1;
                }};
const Task dies_at_hundreds{"dies_at_hundreds", [](int n) {
                              if (n % 100 == 99) kill(getpid(), SIGKILL);
                              return n;
                            }};
// Dies the first time, by a mark in the file system.
const Task dies_once{"dies_once", [](const std::string& mark) {
                       if (std::ifstream{mark}) return 1;
                       std::ofstream{mark} << "x";
                       kill(getpid(), SIGKILL);
                       return 0;
                     }};

PoolOptions processes(unsigned workers = 2) {
  return {.isolation = Isolation::Process, .name = "test", .max_workers = workers};
}

TEST(ProcessPool, RunsATaskInAnotherProcess) {
  const Pool pool{processes()};
  EXPECT_EQ(pool.run(add, 2, 3).get().value(), 5);
  EXPECT_NE(pool.run(pid_of, 0).get().value(), getpid());
  const auto got = pool.run(turned, Point{1, 2}).get();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->x, -2);
  EXPECT_EQ(got->y, 1);
}

TEST(ProcessPool, AnErrorAndAnExceptionAreTheResult) {
  const Pool pool{processes()};
  const auto refused = pool.run(refuses, "locked").get();
  EXPECT_EQ(refused.error().code.value(), EACCES);
  EXPECT_EQ(refused.error().op, "open the door");
  EXPECT_EQ(refused.error().detail, "locked");
  const auto exploded = pool.run(explodes, 1).get();
  EXPECT_EQ(exploded.error().code, Errc::CallFailed);
  EXPECT_EQ(exploded.error().detail, "boom");
  EXPECT_EQ(pool.run_named("nobody", Value::array()).get().error().code, Errc::NoSuchMethod);
}

TEST(ProcessPool, ACallableWithoutANameIsRefused) {
  const Pool pool{processes()};
  EXPECT_EQ(pool.run([] { return 1; }).get().error().code, Errc::InvalidArgument);
  EXPECT_EQ(pool.post([] {}).error().code, Errc::InvalidArgument);
  EXPECT_EQ(pool.for_each(3, [](std::size_t) {}).error().code, Errc::InvalidArgument);
}

TEST(ProcessPool, LargeArgumentsAndResultsAreNotCopiedThroughASocket) {
  const Pool pool{processes()};
  const Value bytes = Value::buffer(std::vector<std::byte>(8 << 20, std::byte{1}));
  EXPECT_EQ(pool.run(sum_of, bytes).get().value(), 8 << 20);
  const auto got = pool.run(zeros, 8 << 20).get();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->bytes().size(), std::size_t{8} << 20);
  // Again and again: nothing is kept.
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(pool.run(zeros, 1 << 20).get());
}

TEST(ProcessPool, ManyAtOnceAreAllAnswered) {
  const Pool pool{processes()};
  std::vector<Future<int>> futures;
  for (int i = 0; i < 5000; ++i) futures.push_back(pool.run(add, i, 1));
  for (int i = 0; i < 5000; ++i)
    ASSERT_EQ(futures[static_cast<std::size_t>(i)].get().value(), i + 1);
  EXPECT_EQ(pool.statistics().done, 5000u);
}

TEST(ProcessPool, MapKeepsTheOrder) {
  const Pool pool{processes()};
  const Task<int(int)>& task = pid_of;
  std::vector<int> inputs(20'000);
  std::iota(inputs.begin(), inputs.end(), 0);
  const auto pids = pool.map(inputs, task);
  std::set<int> seen;
  for (const auto& each : pids) seen.insert(each.value());
  EXPECT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen.count(getpid()), 0u);
}

TEST(ProcessPool, ProgressComesInOrderBeforeTheResult) {
  const Pool pool{processes()};
  std::vector<int> seen;
  const auto done =
      pool.with({.on_progress =
                     [&](const Value& at) { seen.push_back(static_cast<int>(at.number_or(0))); }})
          .run(reports, 100);
  EXPECT_EQ(done.get().value(), 100);
  std::vector<int> expected(100);
  std::iota(expected.begin(), expected.end(), 1);
  EXPECT_EQ(seen, expected);
}

class DyingTask : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(DyingTask, FailsAloneWithTheEndOfItsWorker) {
  const auto [how, end] = GetParam();
  const Pool pool{processes()};
  std::vector<Future<int>> before, after;
  for (int i = 0; i < 20; ++i) before.push_back(pool.run(add, i, 0));
  const auto dead = pool.run(dies, how);
  for (int i = 0; i < 20; ++i) after.push_back(pool.run(add, i, 0));
  const auto result = dead.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::WorkerDied);
  EXPECT_NE(result.error().detail.find(end), std::string::npos) << result.error();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(before[static_cast<std::size_t>(i)].get().value(), i);
    EXPECT_EQ(after[static_cast<std::size_t>(i)].get().value(), i);
  }
  EXPECT_EQ(pool.statistics().crashes, 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Ways, DyingTask,
    ::testing::Values(std::pair{"segv", "SIGSEGV"}, std::pair{"abort", "SIGABRT"},
                      std::pair{"exit", "code 7"}, std::pair{"kill", "SIGKILL"},
                      std::pair{"stack", "SIGSEGV"}, std::pair{"memory", "SIGABRT"}),
    [](const auto& way) { return std::string{way.param.first}; });

TEST(ProcessPool, OfAMapOnlyTheInputsThatKillFail) {
  const Pool pool{processes()};
  std::vector<int> inputs(2000);
  std::iota(inputs.begin(), inputs.end(), 0);
  const auto results = pool.map(inputs, dies_at_hundreds);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (i % 100 == 99)
      ASSERT_EQ(results[i].error().code, Errc::WorkerDied) << i;
    else
      ASSERT_EQ(results[i].value(), static_cast<int>(i));
  }
  EXPECT_EQ(pool.statistics().crashes, 20u);
  EXPECT_EQ(pool.statistics().done, 2000u);
}

TEST(ProcessPool, ATaskThatMayIsTriedAgain) {
  const Pool pool{processes()};
  const std::string mark = ::testing::TempDir() + "mark-" + std::to_string(getpid());
  unlink(mark.c_str());
  EXPECT_EQ(pool.with({.retries = 2}).run(dies_once, mark).get().value(), 1);
  EXPECT_EQ(pool.statistics().retried, 1u);
  unlink(mark.c_str());
}

TEST(ProcessPool, APoisonTaskIsNamedAndGivenUp) {
  PoolOptions options = processes(1);
  options.poison_after = 2;
  const Pool pool{std::move(options)};
  EXPECT_EQ(pool.with({.retries = 100}).run(dies, "kill").get().error().code, Errc::WorkerDied);
  const PoolStatistics sum = pool.statistics();
  EXPECT_EQ(sum.crashes, 2u);
  EXPECT_EQ(sum.poison, std::vector<std::string>{"dies"});
  EXPECT_EQ(pool.run(add, 1, 1).get().value(), 2);
}

TEST(ProcessPool, AnEndlessTaskIsKilledAtItsDeadlineAndItsNeighboursNeverNotice) {
  const Pool pool{processes()};
  const auto endless = pool.with({.deadline = 50ms}).run(for_ever, 0);
  std::vector<Future<int>> others;
  for (int i = 0; i < 100; ++i) others.push_back(pool.run(add, i, 0));
  EXPECT_EQ(endless.get().error().code.value(), ETIMEDOUT);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(others[static_cast<std::size_t>(i)].get().value(), i);
}

TEST(ProcessPool, WhoIsBehindALongTaskGoesToWhoIsIdle) {
  const Pool pool{processes()};
  // Both have some; one of each is long.
  const auto endless = pool.run(for_ever, 0);
  std::vector<Future<int>> others;
  for (int i = 0; i < 30; ++i) others.push_back(pool.run(add, i, 0));
  for (int i = 0; i < 30; ++i) EXPECT_EQ(others[static_cast<std::size_t>(i)].get().value(), i);
  EXPECT_FALSE(endless.done());
  endless.cancel();
  EXPECT_EQ(endless.get().error().code.value(), ECANCELED);
}

TEST(ProcessPool, ACancelledTaskThatWaitsNeverRuns) {
  const Pool pool{processes(1)};
  const auto endless = pool.run(for_ever, 0);
  const auto waits = pool.run(dies, "kill");
  waits.cancel();
  EXPECT_EQ(waits.get().error().code.value(), ECANCELED);
  endless.cancel();
  EXPECT_EQ(endless.get().error().code.value(), ECANCELED);
  EXPECT_EQ(pool.run(add, 1, 2).get().value(), 3);
  EXPECT_EQ(pool.statistics().crashes, 0u) << "its worker was killed, it did not crash";
}

TEST(ProcessPool, AStoppedWorkerMeetsItsDeadline) {
  const Pool pool{processes(1)};
  const int pid = pool.run(pid_of, 0).get().value();
  kill(pid, SIGSTOP);
  EXPECT_EQ(pool.with({.deadline = 50ms}).run(add, 1, 1).get().error().code.value(), ETIMEDOUT);
  kill(pid, SIGKILL);
  EXPECT_EQ(pool.run(add, 1, 1).get().value(), 2);
}

TEST(ProcessPool, AFullQueueRefuses) {
  PoolOptions options = processes(1);
  options.queue_max = 3;
  options.depth = 1;
  const Pool pool{std::move(options)};
  const auto endless = pool.run(for_ever, 0);
  while (pool.statistics().waiting > 0) std::this_thread::yield();  // it runs
  std::vector<Future<int>> waiting;
  for (int i = 0; i < 3; ++i) waiting.push_back(pool.run(add, i, 0));
  EXPECT_EQ(pool.run(add, 1, 1).get().error().code, Errc::QueueFull);
  endless.cancel();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(waiting[static_cast<std::size_t>(i)].get().value(), i);
}

TEST(ProcessPool, AnIdleWorkerEndsAndComesAgain) {
  PoolOptions options = processes(2);
  options.idle_timeout = 20ms;
  const Pool pool{std::move(options)};
  const int pid = pool.run(pid_of, 0).get().value();
  while (pool.statistics().workers > 0) std::this_thread::sleep_for(1ms);
  EXPECT_NE(pool.run(pid_of, 0).get().value(), pid);
  EXPECT_EQ(pool.statistics().crashes, 0u);
}

TEST(ProcessPool, ItsDestructorLeavesNoProcess) {
  int pid = 0;
  std::optional<Future<void>> endless;
  {
    const Pool pool{processes(1)};
    pid = pool.run(pid_of, 0).get().value();
    endless = pool.run(for_ever, 0);
  }
  EXPECT_EQ(endless->get().error().code.value(), ECANCELED);
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(ProcessPool, ACancelAfterItsPoolIsGoneDoesNothing) {
  std::optional<Future<Value>> value;
  std::stop_source stop;
  {
    const Pool pool{processes(1)};
    value = pool.with({.cancel = stop.get_token()}).run_named("add", Value::array({1, 2}));
    EXPECT_TRUE(value->wait_for(60s));
  }
  value->cancel();
  stop.request_stop();
  EXPECT_EQ(value->get().value(), Value(3));
}

TEST(ProcessPool, ALargeResultIsThereThoughItsWorkerDiesAtOnce) {
  for (int round = 0; round < 20; ++round) {
    const Pool pool{processes(1)};
    const auto large = pool.run(zeros, 1 << 20);
    const auto dead = pool.run(dies, "kill");
    EXPECT_EQ(large.get().value().bytes().size(), std::size_t{1} << 20);
    EXPECT_EQ(dead.get().error().code, Errc::WorkerDied);
  }
}

TEST(ProcessPool, LargeResultsThatAreKeptKeepNoDescriptors) {
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const Pool pool{processes(2)};
  const rlimit few{256, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &few);
  constexpr int kSize = 64 << 10;  // just too large for a record
  const auto kept = pool.map(std::vector<int>(2000, kSize), zeros);
  const auto one = pool.run(zeros, kSize).get();
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(one) << one.error();
  for (const auto& each : kept) {
    ASSERT_TRUE(each) << each.error();
    ASSERT_EQ(each->bytes().size(), std::size_t{kSize});
  }
}

TEST(ProcessPool, OneInputThatCannotBeSentFailsAlone) {
  const Pool pool{processes(1)};
  std::vector<Value> inputs(300, Value::buffer(std::string("\1\2")));
  inputs[150] = Value::array();
  for (int depth = 0; depth < 5000; ++depth) {
    Value deeper = Value::array();
    deeper.push_back(std::move(inputs[150]));
    inputs[150] = std::move(deeper);
  }
  const auto results = pool.map(inputs, sum_of);
  for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i].has_value(), i != 150) << i;
}

TEST(ProcessPool, WhatAHandlerOfProgressThrowsEndsNobody) {
  const Pool pool{processes(1)};
  const auto done = pool.with({.on_progress = [](const Value&) { throw std::runtime_error{"no"}; }})
                        .run(reports, 3);
  EXPECT_EQ(done.get().value(), 3);
}

TEST(ProcessPool, ADeadlineHoldsThoughThePoolIsFlooded) {
  const Pool pool{processes(2)};
  std::atomic<bool> over = false;
  std::thread flood{[&] {
    const std::vector<int> inputs(50'000, 1);
    while (!over) pool.map(inputs, pid_of);
  }};
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(pool.with({.priority = Priority::High, .deadline = 50ms})
                  .run(for_ever, 0)
                  .get()
                  .error()
                  .code.value(),
              ETIMEDOUT);
  over = true;
  flood.join();
}

TEST(ProcessPool, WorkersThatCannotBeStartedFailTheirTasks) {
  PoolOptions options = processes(1);
  options.spawn.cwd = "/no/such/directory";
  const Pool pool{std::move(options)};
  const auto result = pool.run(add, 1, 1).get();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message().find("/no/such/directory"), std::string::npos)
      << result.error();
}

TEST(ProcessPool, WorkersKilledAtAnyMomentLoseNoAnswerAndGiveNoneTwice) {
  const Pool pool{processes(2)};
  std::atomic<bool> over = false;
  std::atomic<int> victim = 0;
  std::thread killer{[&] {
    for (unsigned wait = 1; !over; wait = wait * 7 % 4001) {
      std::this_thread::sleep_for(std::chrono::microseconds{1000 + wait});
      if (const int pid = victim.exchange(0)) kill(pid, SIGKILL);
    }
  }};
  int answered = 0, died = 0;
  std::vector<int> inputs(30'000);
  std::vector<bool> seen(inputs.size());
  pool.map_as_completed(inputs, pid_of, [&](std::size_t index, Result<int> result) {
    EXPECT_FALSE(seen[index]);
    seen[index] = true;
    if (result) {
      ++answered;
      if (answered % 1000 == 0) victim = *result;
    } else {
      EXPECT_EQ(result.error().code, Errc::WorkerDied);
      ++died;
    }
  });
  over = true;
  killer.join();
  EXPECT_EQ(answered + died, 30'000);
  EXPECT_LE(died, 30) << "no more than were killed";
}

}  // namespace
}  // namespace cohort
