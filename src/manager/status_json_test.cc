#include "manager/status_json.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace cohort::manager {
namespace {

using namespace std::chrono_literals;

TEST(UsageOfAProcess, IsReadBehindAnyName) {
  const auto usage = parse_usage(
      "4711 (a) b (c) R 1 4711 4711 0 -1 4194304 5 0 0 0 150 50 7 8 20 0 1 0 100 4096000 1000 99\n",
      100, 4096);
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->cpu_time, 2000ms);
  EXPECT_EQ(usage->memory_bytes, 1000U * 4096);
  EXPECT_FALSE(parse_usage("", 100, 4096));
  EXPECT_FALSE(parse_usage("4711 (a) R 1 2", 100, 4096));
  const auto own = usage_of(::getpid());
  ASSERT_TRUE(own);
  EXPECT_GT(own->memory_bytes, 1'000'000U);
  EXPECT_FALSE(usage_of(0));
}

TEST(StatusValue, HasStableNames) {
  ClusterStatus status{.phase = ClusterStatus::Phase::Running,
                       .policy = Policy::Adaptive,
                       .places = 2,
                       .generation = 2,
                       .rollout = ClusterStatus::Rollout{.generation = 3, .replaced = 1}};
  status.workers.push_back({.id = 7,
                            .pid = 70,
                            .slot = 1,
                            .generation = 2,
                            .kept = true,
                            .held = true,
                            .state = WorkerStatus::State::Listening,
                            .leader = true,
                            .age = 1500ms,
                            .addresses = {Address{"", 80}},
                            .load = WorkerLoad{.accepted = 9, .connections = 2},
                            .requests = 40});
  status.ports.push_back(
      {.address = Address{"", 80}, .policy = Policy::Adaptive, .workers = {7}, .waiting = 3});
  status.closed.push_back({.slot = 0, .worker = 6});
  status.failing.push_back({.slot = 3, .deaths = 4, .next = 800ms});
  status.deaths = 1;
  const Application application{.name = "shop",
                                .program = "server.js",
                                .version = "0.1.0",
                                .pid = 69,
                                .since = std::chrono::system_clock::time_point{10s},
                                .begun = std::chrono::steady_clock::time_point{5s}};
  const std::deque<RolloutResult> rollouts{{.outcome = RolloutResult::Outcome::RolledBack,
                                            .generation = 2,
                                            .worker = 5,
                                            .text = "died"}};
  EXPECT_EQ(
      to_json(status_value(application, "/srv", status, rollouts,
                           std::chrono::steady_clock::time_point{7500ms},
                           [](pid_t pid) { return Usage{std::chrono::milliseconds{pid}, 4096}; })),
      R"({"name":"shop","program":"server.js","directory":"/srv","version":"0.1.0","pid":69,"started":10,)"
      R"("uptime":2.5,"phase":"running","policy":"adaptive","places":2,"generation":2,)"
      R"("rollout":{"generation":3,"phase":"replacing","replaced":1},"parked":null,)"
      R"("rollouts":[{"generation":2,"outcome":"rolled-back","text":"died","worker":5}],)"
      R"("workers":[{"id":7,"pid":70,"slot":1,"generation":2,"state":"listening",)"
      R"("kept":true,"held":true,"leaves":false,"serves":false,"leader":true,"uptime":1.5,"addresses":["*:80"],)"
      R"("cpu_time":0.07,)"
      R"("memory":4096,"accepted":9,"connections":2,"requests":40}],)"
      R"("closed":[{"slot":0,"worker":6}],"failing":[{"slot":3,"deaths":4,"next":0.8}],)"
      R"("ports":[{"address":"*:80","policy":"adaptive","waiting":3,"workers":[7]}],)"
      R"("forks":0,"exits":0,"deaths":1})");
}

TEST(OwnMemory, IsThePssOfAProcess) {
  const auto root =
      std::filesystem::temp_directory_path() / ("cohort-pss-" + std::to_string(::getpid()));
  std::filesystem::create_directories(root / "7");
  EXPECT_FALSE(own_memory_of(7, root)) << "there is no such process";
  std::ofstream{root / "7/smaps_rollup"} << "55-7f ---p 00000000 00:00 0 [rollup]\n"
                                            "Rss:                5000 kB\n"
                                            "Pss:                1234 kB\n";
  EXPECT_EQ(own_memory_of(7, root), 1234U * 1024);
  std::ofstream{root / "7/smaps_rollup"} << "Rss: 5000 kB\n";
  EXPECT_FALSE(own_memory_of(7, root));
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace cohort::manager
