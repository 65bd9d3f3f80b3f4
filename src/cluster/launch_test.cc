#include "cluster/launch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cerrno>

#include "base/sys.h"

namespace cohort::cluster {
namespace {

using Strings = std::vector<std::string>;

TEST(Merged, KeepsWhatIsNotGivenAndReplacesWhatIs) {
  const Settings first = merged({}, {.exec = "a", .spawn = {.cwd = "/", .silent = true}});
  const Settings both = merged(first, {.exec = "b", .spawn = {.message_size_max = 7}});
  EXPECT_EQ(both.exec, "b");
  EXPECT_EQ(both.spawn.cwd, "/");
  EXPECT_EQ(both.spawn.silent, true);
  EXPECT_EQ(both.spawn.message_size_max, 7u);
  EXPECT_EQ(merged(both, {.spawn = {.silent = false}}).spawn.silent, false);
}

TEST(Merged, TakesEveryOptionOfAChild) {
  const Settings all = merged({}, {.spawn = {.argv0 = "a",
                                             .env = Environment{},
                                             .add_env = {{"A", "1"}},
                                             .stdio = Stdio::Pipe,
                                             .uid = 1,
                                             .gid = 2,
                                             .groups = std::vector<gid_t>{3},
                                             .timeout = std::chrono::seconds{1},
                                             .kill_signal = SIGKILL,
                                             .serialization = Serialization::Advanced,
                                             .queue_size_max = 1,
                                             .shared_memory_max = 0,
                                             .exec_path = "sh",
                                             .exec_args = {"-e"},
                                             .stderr_lines = 3,
                                             .umask = 7,
                                             .nice = 1,
                                             .limits = {{0, 1, 1}},
                                             .cpus = {0},
                                             .no_new_privs = true,
                                             .memory_max = 1,
                                             .memory_high = 2,
                                             .cpu_max = 0.5,
                                             .processes_max = 9,
                                             .cgroup_parent = "/g"}});
  const SpawnOptions& spawn = merged(all, {}).spawn;  // what is not given changes none of them
  EXPECT_EQ(spawn.argv0, "a");
  EXPECT_EQ(spawn.env, Environment{});
  EXPECT_EQ(spawn.add_env.size(), 1u);
  EXPECT_TRUE(spawn.stdio.given());
  EXPECT_EQ(spawn.uid, 1u);
  EXPECT_EQ(spawn.gid, 2u);
  EXPECT_EQ(spawn.groups->size(), 1u);
  EXPECT_EQ(spawn.timeout.count(), 1000);
  EXPECT_EQ(spawn.kill_signal, SIGKILL);
  EXPECT_EQ(spawn.serialization, Serialization::Advanced);
  EXPECT_EQ(spawn.queue_size_max, 1u);
  EXPECT_EQ(spawn.shared_memory_max, 0u);
  EXPECT_EQ(spawn.exec_path, "sh");
  EXPECT_EQ(spawn.exec_args.size(), 1u);
  EXPECT_EQ(spawn.stderr_lines, 3u);
  EXPECT_EQ(spawn.umask, 7u);
  EXPECT_EQ(spawn.nice, 1);
  EXPECT_EQ(spawn.limits.size(), 1u);
  EXPECT_EQ(spawn.cpus.size(), 1u);
  EXPECT_EQ(spawn.no_new_privs, true);
  EXPECT_EQ(merged(all, {.spawn = {.no_new_privs = false}}).spawn.no_new_privs, false);
  EXPECT_EQ(spawn.memory_max, 1u);
  EXPECT_EQ(spawn.memory_high, 2u);
  EXPECT_EQ(spawn.cpu_max, 0.5);
  EXPECT_EQ(spawn.processes_max, 9u);
  EXPECT_EQ(spawn.cgroup_parent, "/g");
}

class PrepareLaunch : public testing::Test {
 protected:
  Result<process::ChildLaunch> prepare(const Settings& settings, std::size_t keep_stderr = 0,
                                       std::vector<int> listening = {}) {
    WorkerLaunch wanted{.settings = settings,
                        .env = {{"A", "2"}},
                        .worker_id = 7,
                        .listening = std::move(listening),
                        .keep_stderr = keep_stderr};
    const auto options = worker_options(wanted);
    if (!options) return options.error();
    return prepare_launch(loop_, wanted, *options);
  }

  boost::asio::io_context io_;
  Loop loop_{io_, io_.get_executor()};
};

TEST_F(PrepareLaunch, PutsTheChannelBehindTheStdio) {
  const auto launch = prepare({.exec = "/bin/true"});
  ASSERT_TRUE(launch) << launch.error();
  EXPECT_EQ(launch->request.fds.size(), 4u);
  EXPECT_EQ(launch->request.file, "/bin/true");
  EXPECT_TRUE(launch->request.new_session);
  EXPECT_TRUE(launch->request.die_with_parent);
  EXPECT_TRUE(launch->request.lifeline_in_env);
  EXPECT_TRUE(launch->channel);
}

TEST_F(PrepareLaunch, TheEnvironmentIsTheSettingsThenTheForksThenTheChannels) {
  const auto launch = prepare({.exec = "/bin/true",
                               .spawn = {.env = Environment{{"PATH", "/bin"}},
                                         .add_env = {{"A", "1"}, {"PATH", "/usr/bin"}}}});
  ASSERT_TRUE(launch) << launch.error();
  EXPECT_EQ(launch->request.env,
            (Strings{"PATH=/usr/bin", "A=2", "NODE_UNIQUE_ID=7", "NODE_CHANNEL_FD=3",
                     "NODE_CHANNEL_SERIALIZATION_MODE=json"}));
}

TEST_F(PrepareLaunch, WhatListensIsBetweenTheStdioAndTheChannel) {
  const auto launch = prepare({.exec = "/bin/true"}, 0, {8, 9});
  ASSERT_TRUE(launch) << launch.error();
  const auto& request = launch->request;
  EXPECT_EQ(std::vector<int>(request.fds.begin() + 3, request.fds.begin() + 5),
            (std::vector{8, 9}));
  EXPECT_EQ(request.pid_variable, "LISTEN_PID");
  for (const char* variable : {"LISTEN_FDS=2", "NODE_CHANNEL_FD=5"})
    EXPECT_EQ(std::count(request.env.begin(), request.env.end(), variable), 1) << variable;
  const auto taken =
      prepare({.exec = "/bin/true", .spawn = {.stdio = {0, 1, 2, 0}}}, 0, std::vector{8});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::InvalidArgument);
}

TEST_F(PrepareLaunch, SilentWorkersHavePipesForBothOutputs) {
  const auto launch = prepare({.exec = "/bin/true", .spawn = {.silent = true}}, 10);
  ASSERT_TRUE(launch);
  ASSERT_EQ(launch->streams.size(), 4u);
  EXPECT_FALSE(launch->streams[0]);
  EXPECT_TRUE(launch->streams[1] && launch->streams[2]);
  EXPECT_FALSE(launch->stderr_plan) << "the user reads it";
}

TEST_F(PrepareLaunch, AnyDescriptorCanBeAPipe) {
  const auto launch =
      prepare({.exec = "/bin/true",
               .spawn = {.stdio = {Stdio::Pipe, Stdio::Ignore, Stdio::Ignore, Stdio::Pipe}}});
  ASSERT_TRUE(launch) << launch.error();
  EXPECT_TRUE(launch->streams[0] && launch->streams[3]);
  EXPECT_NE(std::find(launch->request.env.begin(), launch->request.env.end(), "NODE_CHANNEL_FD=4"),
            launch->request.env.end());
}

TEST_F(PrepareLaunch, ThePlanForStderrIsMadeOnlyIfItsLastLinesAreWanted) {
  const auto wanted = prepare({.exec = "/bin/true"}, 10);
  ASSERT_TRUE(wanted && wanted->stderr_plan);
  const OwnFd& end = wanted->stderr_plan->child_end;
  EXPECT_EQ(wanted->request.fds[2], end ? end.get() : 2);
  const auto not_wanted = prepare({.exec = "/bin/true"});
  ASSERT_TRUE(not_wanted);
  EXPECT_FALSE(not_wanted->stderr_plan);
}

TEST_F(PrepareLaunch, AnInterpreterGetsItsArgumentsThenTheProgramThenTheUsers) {
  const auto launch = prepare({.exec = "/bin/true",
                               .args = Strings{"x"},
                               .spawn = {.exec_path = "/bin/sh", .exec_args = {"-e"}}});
  ASSERT_TRUE(launch) << launch.error();
  EXPECT_EQ(launch->request.argv, (Strings{"/bin/sh", "-e", "/bin/true", "x"}));
}

TEST_F(PrepareLaunch, AProgramThatIsNotThereIsAnErrorThatNamesIt) {
  const auto launch = prepare({.exec = "no_such_program"});
  ASSERT_FALSE(launch);
  EXPECT_EQ(launch.error().code.value(), ENOENT);
  EXPECT_NE(launch.error().message().find("no_such_program"), std::string::npos);
}

TEST_F(PrepareLaunch, WhatAWorkerCannotBeIsAnErrorThatSaysWhy) {
  for (const SpawnOptions& options :
       {SpawnOptions{.detached = true}, SpawnOptions{.process_group = 0},
        SpawnOptions{.parent_death_signal = 0}}) {
    const auto launch = prepare({.exec = "/bin/true", .spawn = options});
    ASSERT_FALSE(launch);
    EXPECT_EQ(launch.error().code, Errc::InvalidArgument);
    EXPECT_NE(launch.error().message().find("a worker "), std::string::npos) << launch.error();
  }
}

TEST_F(PrepareLaunch, AFailingSystemCallIsAnErrorButForTheSizeOfTheSendBuffer) {
  int errors = 0, n = 0;
  for (bool all_succeeded = false; !all_succeeded; ++n) {
    ASSERT_LT(n, 100);
    sys::FailNth fail{n, EMFILE};
    const auto launch = prepare({.exec = "/bin/true", .spawn = {.silent = true}}, 10);
    all_succeeded = !fail.fired();
    if (!launch) ++errors;
  }
  EXPECT_GE(errors, 4) << "two pipes, the channel, its mode";
  EXPECT_GE(n - 1 - errors, 1) << "a smaller buffer is no error";
}

}  // namespace
}  // namespace cohort::cluster
