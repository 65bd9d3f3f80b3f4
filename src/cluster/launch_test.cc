#include "cluster/launch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "base/sys.h"

namespace cohort::cluster {
namespace {

using Strings = std::vector<std::string>;

TEST(Merged, KeepsWhatIsNotGivenAndReplacesWhatIs) {
  const Settings first = merged({}, {.exec = "a", .cwd = "/", .silent = true});
  const Settings both = merged(first, {.exec = "b", .message_size_max = 7});
  EXPECT_EQ(both.exec, "b");
  EXPECT_EQ(both.cwd, "/");
  EXPECT_EQ(both.silent, true);
  EXPECT_EQ(both.message_size_max, 7u);
}

TEST(WorkerEnvironment, AddsInTheOrderOfNodeAndHidesTheParentsOwnChannel) {
  char path[] = "PATH=/bin";
  char channel[] = "NODE_CHANNEL_FD=9";
  char id[] = "NODE_UNIQUE_ID=4";
  char lifeline[] = "COHORT_LIFELINE_FD=5";
  char odd[] = "no equals sign";
  char* inherited[] = {path, channel, id, lifeline, odd, nullptr};
  EXPECT_EQ(worker_environment(inherited, {{"A", "1"}, {"PATH", "/usr/bin"}}, {{"A", "2"}}, 7, 3,
                               Serialization::Json),
            (Strings{"PATH=/usr/bin", "A=2", "NODE_UNIQUE_ID=7", "NODE_CHANNEL_FD=3",
                     "NODE_CHANNEL_SERIALIZATION_MODE=json"}));
}

TEST(PrepareLaunch, PutsTheChannelBehindTheStdio) {
  const auto launch = prepare_launch({.exec = "/bin/true"}, {}, 1, false);
  ASSERT_TRUE(launch) << launch.error();
  EXPECT_EQ(launch->request.fds.size(), 4u);
  EXPECT_EQ(launch->request.fds[0], 0);
  EXPECT_EQ(launch->request.file, "/bin/true");
  EXPECT_TRUE(launch->request.new_session);
  EXPECT_TRUE(launch->request.die_with_parent);
  EXPECT_NE(std::find(launch->request.env.begin(), launch->request.env.end(), "NODE_CHANNEL_FD=3"),
            launch->request.env.end());
}

TEST(PrepareLaunch, WhatListensIsBetweenTheStdioAndTheChannel) {
  const auto launch = prepare_launch({.exec = "/bin/true"}, {}, 1, false, {8, 9});
  ASSERT_TRUE(launch) << launch.error();
  const auto& request = launch->request;
  EXPECT_EQ(std::vector<int>(request.fds.begin(), request.fds.begin() + 5),
            (std::vector{0, 1, 2, 8, 9}));
  EXPECT_EQ(request.pid_variable, "LISTEN_PID");
  for (const char* variable : {"LISTEN_FDS=2", "NODE_CHANNEL_FD=5"})
    EXPECT_EQ(std::count(request.env.begin(), request.env.end(), variable), 1) << variable;
  const auto taken =
      prepare_launch({.exec = "/bin/true", .stdio = {0, 1, 2, 0}}, {}, 1, false, {8});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::InvalidArgument);
}

TEST(PrepareLaunch, SilentWorkersHavePipesForBothOutputs) {
  const auto launch = prepare_launch({.exec = "/bin/true", .silent = true}, {}, 1, true);
  ASSERT_TRUE(launch);
  ASSERT_EQ(launch->outputs.size(), 2u);
  EXPECT_EQ(launch->outputs[0].first, 1);
  EXPECT_EQ(launch->outputs[1].first, 2);
  EXPECT_FALSE(launch->stderr_plan) << "the user reads it";
}

TEST(PrepareLaunch, ThePlanForStderrIsMadeOnlyIfItsLastLinesAreWanted) {
  const auto wanted = prepare_launch({.exec = "/bin/true"}, {}, 1, true);
  ASSERT_TRUE(wanted && wanted->stderr_plan);
  const OwnFd& end = wanted->stderr_plan->child_end;
  EXPECT_EQ(wanted->request.fds[2], end ? end.get() : 2);
  const auto not_wanted = prepare_launch({.exec = "/bin/true"}, {}, 1, false);
  ASSERT_TRUE(not_wanted);
  EXPECT_FALSE(not_wanted->stderr_plan);
  EXPECT_EQ(not_wanted->request.fds[2], 2);
}

TEST(PrepareLaunch, AnInterpreterGetsItsArgumentsThenTheProgramThenTheUsers) {
  const auto launch = prepare_launch(
      {.exec = "/bin/true", .args = Strings{"x"}, .exec_path = "/bin/sh", .exec_args = {"-e"}}, {},
      1, false);
  ASSERT_TRUE(launch) << launch.error();
  EXPECT_EQ(launch->request.argv, (Strings{"/bin/sh", "-e", "/bin/true", "x"}));
}

TEST(PrepareLaunch, AProgramThatIsNotThereIsAnErrorThatNamesIt) {
  const auto launch = prepare_launch({.exec = "no_such_program"}, {}, 1, false);
  ASSERT_FALSE(launch);
  EXPECT_EQ(launch.error().code.value(), ENOENT);
  EXPECT_NE(launch.error().message().find("no_such_program"), std::string::npos);
}

TEST(PrepareLaunch, OnlyOutputsCanBePipes) {
  const auto launch = prepare_launch({.exec = "/bin/true", .stdio = {Stdio::Pipe}}, {}, 1, false);
  ASSERT_FALSE(launch);
  EXPECT_EQ(launch.error().code, Errc::InvalidArgument);
}

TEST(PrepareLaunch, AFailingSystemCallIsAnErrorButForTheSizeOfTheSendBuffer) {
  int errors = 0, n = 0;
  for (bool all_succeeded = false; !all_succeeded; ++n) {
    ASSERT_LT(n, 100);
    sys::FailNth fail{n, EMFILE};
    const auto launch = prepare_launch({.exec = "/bin/true", .silent = true}, {}, 1, true);
    all_succeeded = !fail.fired();
    if (!launch) ++errors;
  }
  EXPECT_GE(errors, 4) << "two pipes, the channel, its mode";
  EXPECT_GE(n - 1 - errors, 1) << "a smaller buffer is no error";
}

}  // namespace
}  // namespace cohort::cluster
