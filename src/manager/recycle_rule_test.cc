#include "manager/recycle_rule.h"

#include <gtest/gtest.h>

namespace cohort::manager {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMegabyte = 1024 * 1024;

class Recycling : public testing::Test {
 protected:
  Recycling() {
    for (int id = 1; id <= 3; ++id)
      status.workers.push_back({.id = id,
                                .slot = static_cast<std::size_t>(id - 1),
                                .kept = true,
                                .state = WorkerStatus::State::Listening,
                                .age = 1h});
    status.places = 3;
  }
  std::string choose(RecycleRule& rule) {
    const auto choice =
        rule.choose(status, now, [this](const WorkerStatus& worker) { return memory[worker.id]; });
    return choice ? std::to_string(choice->worker) + ' ' + choice->why : "";
  }

  ClusterStatus status;
  std::map<int, std::optional<std::uint64_t>> memory{{1, 100 * kMegabyte}, {2, 100 * kMegabyte}};
  RecycleRule::TimePoint now{1000s};
};

TEST_F(Recycling, IsOfWhoHasTooMuchMemory) {
  RecycleRule rule{{.memory = 200 * kMegabyte}};
  EXPECT_EQ(choose(rule), "") << "of 3 it is not known";
  memory[2] = 201 * kMegabyte;
  EXPECT_EQ(choose(rule), "2 it has 201 MB, of 200 MB");
}

TEST_F(Recycling, WhoHasMuchTooMuchMemoryIsKilledWhateverIsUnderWay) {
  RecycleRule rule{{.memory = 200 * kMegabyte, .kill_memory = 300 * kMegabyte}};
  const auto killed = [&] {
    std::string text;
    for (const auto& each :
         rule.too_large(status, [this](const WorkerStatus& worker) { return memory[worker.id]; }))
      text += std::to_string(each.worker) + ' ' + each.why + "; ";
    return text;
  };
  memory[2] = 300 * kMegabyte;
  EXPECT_EQ(killed(), "");
  memory[1] = memory[3] = 301 * kMegabyte;
  status.rollout = ClusterStatus::Rollout{.generation = 2};
  EXPECT_EQ(choose(rule), "") << "not during a reload";
  EXPECT_EQ(killed(), "1 it has 301 MB, of 300 MB; 3 it has 301 MB, of 300 MB; ");
  EXPECT_TRUE(RecycleRule{{.memory = 1}}.too_large(status, [](const auto&) { return 9; }).empty());
}

TEST_F(Recycling, IsOfWhoIsTooOldButNotOfAllAtOnce) {
  RecycleRule rule{{.age = 2h}};
  EXPECT_EQ(choose(rule), "");
  for (WorkerStatus& worker : status.workers) worker.age = 2h + 2min;
  EXPECT_EQ(choose(rule), "1 it is 7320 s old");
  EXPECT_EQ(choose(rule), "") << "the others have some minutes more";
  for (WorkerStatus& worker : status.workers) worker.age = 2h + 12min;
  EXPECT_EQ(choose(rule), "2 it is 7920 s old");
}

TEST_F(Recycling, IsOfWhoHasAnsweredEnoughButNotOfAllAtOnce) {
  RecycleRule rule{{.requests = 800}};
  EXPECT_EQ(choose(rule), "") << "nobody says how many";
  for (WorkerStatus& worker : status.workers) worker.requests = 799;
  EXPECT_EQ(choose(rule), "");
  for (WorkerStatus& worker : status.workers) worker.requests = 820;
  EXPECT_EQ(choose(rule), "1 it has answered 820 requests, of 800");
  EXPECT_EQ(choose(rule), "2 it has answered 820 requests, of 800");
  EXPECT_EQ(choose(rule), "") << "worker 3 has 30 more";
}

TEST_F(Recycling, OfWhoHasAnsweredEnoughDoesNotWaitForTheRestOfTheSlot) {
  RecycleRule rule{{.memory = 50 * kMegabyte, .requests = 800}};
  status.workers.resize(1);
  status.places = 1;
  status.workers[0].requests = 1000;
  EXPECT_EQ(choose(rule), "1 it has answered 1000 requests, of 800");
  EXPECT_EQ(choose(rule), "") << "its successor failed";
  status.workers[0].id = 2;
  memory[2] = 60 * kMegabyte;
  status.workers[0].requests = 10;
  EXPECT_EQ(choose(rule), "") << "too large again at once, as its successor would be";
  status.workers[0].requests = 1000;
  EXPECT_EQ(choose(rule), "2 it has answered 1000 requests, of 800");
}

TEST_F(Recycling, KnowsWhoHidesItsRequests) {
  const RecycleRule rule{{.requests = 800}};
  EXPECT_TRUE(rule.hides_requests(status.workers[0], status));
  EXPECT_FALSE((RecycleRule{{.age = 1h}}).hides_requests(status.workers[0], status));
  status.workers[0].requests = 0;
  EXPECT_FALSE(rule.hides_requests(status.workers[0], status)) << "it has had none so far";
  status.workers[1].state = WorkerStatus::State::Online;
  status.workers[1].age = 1s;
  EXPECT_FALSE(rule.hides_requests(status.workers[1], status)) << "it may tell when it listens";
}

TEST_F(Recycling, WaitsUntilEverybodyServesAndNothingIsUnderWay) {
  RecycleRule rule{{.age = 1min}};
  auto starts = status;
  starts.workers[2].state = WorkerStatus::State::Online;
  starts.workers[2].age = 1s;
  auto besides = status;
  besides.workers.push_back(status.workers[0]);
  auto reloads = status;
  reloads.rollout.emplace();
  auto ends = status;
  ends.phase = ClusterStatus::Phase::LameDuck;
  const ClusterStatus calm = status;
  for (const auto& busy : {starts, besides, reloads, ends}) {
    status = busy;
    EXPECT_EQ(choose(rule), "");
  }
  status = calm;
  EXPECT_EQ(choose(rule), "1 it is 3600 s old");
}

TEST_F(Recycling, LeavesASlotAloneForAWhileIfItsWorkerStays) {
  RecycleRule rule{{.memory = 50 * kMegabyte}};
  EXPECT_EQ(choose(rule), "1 it has 100 MB, of 50 MB");
  EXPECT_EQ(choose(rule), "2 it has 100 MB, of 50 MB");
  EXPECT_EQ(choose(rule), "");
  now += RecycleRule::kRest;
  EXPECT_EQ(choose(rule), "1 it has 100 MB, of 50 MB");
}

}  // namespace
}  // namespace cohort::manager
