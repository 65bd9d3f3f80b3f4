#include "pool/deadlines.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>

namespace cohort::pool {
namespace {

using Clock = std::chrono::steady_clock;

// How many entries there are, as each has a copy of it.
using Counted = std::shared_ptr<int>;
std::function<void()> task_with(const Counted& counted) {
  return [counted] {};
}

TEST(Deadlines, ThoseOfTasksThatAreGoneAreNotKeptUntilTheyAreDue) {
  const auto counted = std::make_shared<int>();
  Deadlines deadlines{"test"};
  for (int i = 0; i < 100'000; ++i)
    deadlines.add(Clock::now() + std::chrono::hours{1}, std::make_shared<int>(),
                  task_with(counted));
  EXPECT_LT(counted.use_count(), 5000);
}

TEST(Deadlines, ThoseOfTasksThatLiveStayAndAreCalled) {
  const auto counted = std::make_shared<int>();
  const auto owner = std::make_shared<int>();
  std::atomic<bool> called = false;
  Deadlines deadlines{"test"};
  for (int i = 0; i < 10'000; ++i) {
    const auto when = Clock::now() + std::chrono::hours{1};
    deadlines.add(when, owner, task_with(counted));
    deadlines.add(when, std::make_shared<int>(), task_with(counted));
  }
  EXPECT_GT(counted.use_count(), 10'000);
  deadlines.add(Clock::now(), owner, [&] {
    called.store(true);
    called.notify_one();
  });
  called.wait(false);
}

TEST(Deadlines, OneWhoseTaskIsGoneIsNotCalled) {
  const auto owner = std::make_shared<int>();
  const std::weak_ptr<int> gone = std::make_shared<int>();
  std::atomic<int> calls = 0;
  std::atomic<bool> done = false;
  Deadlines deadlines{"test"};
  deadlines.add(Clock::now(), gone, [&] { ++calls; });
  deadlines.add(Clock::now(), owner, [&] {
    done.store(true);
    done.notify_one();
  });
  done.wait(false);
  EXPECT_EQ(calls.load(), 0);
}

}  // namespace
}  // namespace cohort::pool
