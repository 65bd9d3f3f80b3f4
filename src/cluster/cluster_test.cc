// The public Cluster within one process: a worker whose primary is this test, at the other end of a
// socket pair.
#include "cohort/cluster.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <cstdlib>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/sys.h"
#include "cohort/acceptor.h"
#include "cohort/net.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;

class ClusterTest : public testing::Test {
 protected:
  /// The environment of a child with a channel; `id` empty: of child_process, not of a cluster.
  void become_child(const char* id) {
    OwnFd ends[2];
    ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, false, ends), 0);
    parent_ = std::move(ends[0]);
    ::setenv("NODE_CHANNEL_FD", std::to_string(ends[1].release()).c_str(), 1);
    if (*id != '\0') ::setenv("NODE_UNIQUE_ID", id, 1);
  }
  /// The parent has the other end of the lifeline.
  void become_child_of_cohort() {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    lifeline_.reset(ends[1]);
    ASSERT_EQ(::fcntl(ends[0], F_SETSIG, SIGKILL), 0);
    ::setenv("COHORT_LIFELINE_FD", std::to_string(ends[0]).c_str(), 1);
  }
  void parent_writes(std::string_view line) {
    ASSERT_EQ(sys::send(parent_.get(), line.data(), line.size()),
              static_cast<ssize_t>(line.size()));
  }
  /// Lines up to the end of the channel.
  std::vector<std::string> parent_reads_all() {
    std::string text;
    char buffer[65536];
    for (ssize_t n; (n = sys::recv(parent_.get(), buffer, sizeof buffer, 0)) > 0;)
      text.append(buffer, static_cast<std::size_t>(n));
    std::vector<std::string> lines;
    for (std::size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
      lines.push_back(text.substr(at, end - at));
    return lines;
  }

  OwnFd parent_, lifeline_;
};

TEST_F(ClusterTest, AProcessThatNobodyForkedIsAPrimaryWhoseOwnWorkerIsNotConnected) {
  Cluster cluster;
  EXPECT_TRUE(cluster.is_primary());
  EXPECT_TRUE(cluster.is_master());
  EXPECT_EQ(cluster.worker().id(), 0);
  EXPECT_FALSE(cluster.worker().is_connected());
  const SendResult sent = cluster.worker().send("lost");
  EXPECT_FALSE(sent);
  ASSERT_TRUE(sent.error());
  EXPECT_EQ(sent.error()->code, Errc::ChannelClosed);
  EXPECT_EQ(cluster.run(), 0) << "nothing keeps the loop running";
}

TEST_F(ClusterTest, NoticesGoToWhoeverAsksForThem) {
  Cluster cluster;
  std::vector<Notice> notices;
  cluster.on_notice([&](const Notice& notice) { notices.push_back(notice); });
  testing::internal::CaptureStderr();
  cluster.setup_primary();
  cluster.set_policy(Policy::Sticky);
  cluster.run();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_EQ(notices[0].code, "policy_too_late");
  EXPECT_TRUE(notices[0].text.starts_with("set_policy(sticky) comes too late"));
  EXPECT_EQ(to_json(notices[0].fields), R"({"given":"sticky","policy":"auto"})");
}

TEST_F(ClusterTest, ChannelVariablesAreTakenOutOfTheEnvironment) {
  become_child("3");
  Cluster cluster;
  EXPECT_TRUE(cluster.is_worker());
  EXPECT_EQ(cluster.worker().id(), 3);
  EXPECT_EQ(std::getenv("NODE_CHANNEL_FD"), nullptr);
  EXPECT_EQ(std::getenv("NODE_UNIQUE_ID"), nullptr);
  EXPECT_EQ(std::getenv("NODE_CHANNEL_SERIALIZATION_MODE"), nullptr);
}

TEST_F(ClusterTest, AChildWithAChannelButNoIdIsAPrimaryThatCanTalkToItsParent) {
  become_child("");
  Cluster cluster;
  EXPECT_TRUE(cluster.is_primary());
  EXPECT_TRUE(cluster.worker().is_connected());
}

// test-cluster-worker-init
TEST_F(ClusterTest, MessagesThatArriveBeforeTheFirstHandlerWaitForItInOrder) {
  become_child("1");
  Cluster cluster;
  parent_writes("1\n2\n");
  std::string received;
  cluster.set_timeout(20ms, [&] {
    cluster.worker().on_message([&](const Value& message) {
      received += to_json(message);
      if (received == "123") parent_.reset();
    });
    parent_writes("3\n");
  });
  EXPECT_EQ(cluster.run(), 0) << "a worker that lost its primary ends, as in Node";
  EXPECT_EQ(received, "123");
}

TEST_F(ClusterTest, MessagesThatArriveWhileItWaitsForADescriptorComeLaterInOrder) {
  become_child("1");
  Cluster cluster;
  std::string received;
  cluster.worker().on_message([&](const Value& message) {
    received += to_json(message);
    // Waits again, while others are kept.
    if (message == 2) {
      parent_writes("5\n{\"cmd\":\"NODE_CLUSTER\",\"ack\":2,\"errno\":-98}\n6\n");
      EXPECT_TRUE((Listener{cluster, {"127.0.0.1", 9}}.error()));
      EXPECT_EQ(received, "12") << "nothing comes while it blocks";
    }
    if (message == 6) parent_.reset();
  });
  parent_writes("1\n2\n{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"errno\":-98}\n3\n4\n");
  EXPECT_TRUE((Listener{cluster, {"127.0.0.1", 9}}.error()));
  EXPECT_EQ(received, "");
  EXPECT_EQ(cluster.run(), 0);
  EXPECT_EQ(received, "123456");
}

TEST_F(ClusterTest, MessagesThatArriveWithTheGreetingComeInOrder) {
  become_child("1");
  become_child_of_cohort();
  parent_writes("1\n{\"cmd\":\"NODE_COHORT\",\"version\":1,\"window\":65536}\n2\n3\n");
  Cluster cluster;
  std::string received;
  cluster.worker().on_message([&](const Value& message) {
    received += to_json(message);
    if (message == 3) parent_.reset();
  });
  EXPECT_EQ(cluster.run(), 0);
  EXPECT_EQ(received, "123");
}

TEST_F(ClusterTest, AHandlerThatThrowsDoesNotHoldUpTheMessagesBehind) {
  become_child("1");
  boost::asio::io_context io;
  Cluster cluster{io};
  std::string received;
  cluster.worker().on_message([&](const Value& message) {
    received += to_json(message);
    if (message == 4) parent_.reset();
    if (message == 1 || message == 4) throw std::runtime_error{"on purpose"};
  });
  parent_writes("1\n2\n{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"errno\":-98}\n3\n");
  EXPECT_TRUE((Listener{cluster, {"127.0.0.1", 9}}.error()));
  EXPECT_THROW(io.run_for(30s), std::runtime_error);
  EXPECT_EQ(received, "1");
  parent_writes("4\n");
  EXPECT_THROW(io.run_for(30s), std::runtime_error);
  EXPECT_EQ(received, "1234");
}

TEST_F(ClusterTest, AWorkerThatWaitsForNothingEnds) {
  become_child("1");
  Cluster cluster;
  EXPECT_EQ(cluster.run(), 0);
}

TEST_F(ClusterTest, MessagesAreWrittenBeforeTheWorkerIsGone) {
  become_child("1");
  std::vector<std::string> lines;
  std::thread reader{[&] { lines = parent_reads_all(); }};
  {
    Cluster cluster;
    for (int i = 0; i < 20000; ++i) cluster.worker().send({{"i", i}});
  }  // without a loop, as at the return from main
  reader.join();
  ASSERT_EQ(lines.size(), 20001u) << "and `online`";
  EXPECT_EQ(lines.back(), "{\"i\":19999}");
}

TEST_F(ClusterTest, AnExceptionThatEscapesAHandlerEndsTheRunWith1AndMessagesFlushed) {
  become_child("1");
  Cluster cluster;
  cluster.set_timeout(1ms, [&] {
    cluster.worker().send("last words");
    throw std::runtime_error("on purpose");
  });
  testing::internal::CaptureStderr();
  EXPECT_EQ(cluster.run(), 1);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "Uncaught std::runtime_error: on purpose\n");
}

TEST_F(ClusterTest, SendMayBeCalledFromAnyThreadAndTheLoopMayHaveSeveral) {
  constexpr int kThreads = 4, kMessages = 2000;
  become_child("1");
  std::vector<std::string> lines;
  std::thread reader{[&] { lines = parent_reads_all(); }};
  {
    boost::asio::io_context io;
    Cluster cluster{io};
    cluster.worker().on_message([](const Value&) {});  // keeps the loop running
    int done = 0;                                      // counted on the cluster's executor
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back([&] { io.run(); });
    for (int i = 0; i < kThreads; ++i)
      threads.emplace_back([&, worker = cluster.worker(), i] {
        for (int n = 0; n < kMessages; ++n) worker.send({{"thread", i}, {"n", n}});
        worker.send("done", [&](std::optional<Error> error) {
          EXPECT_FALSE(error);
          if (++done == kThreads) io.stop();
        });
      });
    for (auto& thread : threads) thread.join();
  }
  reader.join();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "\"done\""), kThreads);
  EXPECT_EQ(std::set<std::string>(lines.begin(), lines.end()).size(), kThreads * kMessages + 2u)
      << "each once and whole; `online` and `done`";
}

TEST_F(ClusterTest, AnIntervalRepeatsUntilItIsCancelledAndATimeoutComesOnce) {
  Cluster cluster;
  int ticks = 0, timeouts = 0;
  std::optional<Timer> interval;
  interval = cluster.set_interval(1ms, [&] {
    if (++ticks == 3) interval->cancel();
  });
  cluster.set_timeout(0ms, [&] { ++timeouts; });
  EXPECT_EQ(cluster.run(), 0);
  EXPECT_EQ(ticks, 3);
  EXPECT_EQ(timeouts, 1);
}

// test-cluster-disconnect-with-no-workers
TEST_F(ClusterTest, DisconnectWithoutWorkersCallsBackLater) {
  Cluster cluster;
  bool done = false;
  cluster.disconnect([&] { done = true; });
  EXPECT_FALSE(done);
  EXPECT_EQ(cluster.run(), 0);
  EXPECT_TRUE(done);
}

// test-cluster-setup-primary-cumulative
// test-cluster-setup-primary-emit
// test-cluster-setup-primary-multiple
TEST_F(ClusterTest, SettingsAddUpAndEachSetupIsAnEventOfItsOwn) {
  Cluster cluster;
  EXPECT_TRUE(cluster.settings().exec.empty() && !cluster.settings().args.given());
  std::string events;
  cluster.on_setup(
      [&](const Settings& settings) { events += settings.exec + settings.spawn.cwd + ' '; });
  cluster.setup_primary({.exec = "a"});
  cluster.setup_master({.spawn = {.cwd = "/"}});
  EXPECT_EQ(cluster.settings().exec, "a");
  EXPECT_EQ(events, "") << "they come later";
  cluster.set_timeout(0ms, [&] { cluster.setup_primary({.exec = "b"}); });
  cluster.run();
  EXPECT_EQ(events, "a a/ b/ ");
}

TEST_F(ClusterTest, ThePolicyIsDecidedByTheFirstSetup) {
  Cluster cluster;
  EXPECT_EQ(cluster.policy(), Policy::Auto);
  cluster.set_policy(Policy::Shared);
  EXPECT_EQ(cluster.policy(), Policy::Shared);
  cluster.setup_primary();
  cluster.set_policy(Policy::RoundRobin);
  EXPECT_EQ(cluster.policy(), Policy::Shared);
}

TEST_F(ClusterTest, AWorkerCannotFork) {
  become_child("1");
  Cluster cluster;
  const Worker worker = cluster.fork();
  std::optional<Error> failure;
  worker.on_error([&](const Error& error) { failure = error; });
  cluster.run();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, Errc::NotAPrimary);
  EXPECT_TRUE(worker.is_dead());
}

TEST_F(ClusterTest, TheStatusIsThatOfTheMoment) {
  Cluster cluster;
  EXPECT_EQ(cluster.status().phase, ClusterStatus::Phase::Running);
  EXPECT_TRUE(cluster.status().workers.empty() && cluster.status().ports.empty());
  cluster.set_policy(Policy::Sticky);
  cluster.setup_primary({.exec = "/bin/cat", .args = Arguments{{}}});
  const Worker worker = cluster.fork();
  const ClusterStatus status = cluster.status();
  EXPECT_EQ(status.policy, Policy::Sticky);
  EXPECT_EQ(status.forks, 1u);
  ASSERT_EQ(status.workers.size(), 1u);
  const WorkerStatus& of_worker = status.workers[0];
  EXPECT_EQ(of_worker.id, worker.id());
  EXPECT_EQ(of_worker.pid, worker.process().pid());
  EXPECT_EQ(of_worker.slot, 0u);
  EXPECT_EQ(of_worker.state, WorkerStatus::State::Spawned);
  EXPECT_FALSE(of_worker.kept) << "the user forked it";
  worker.kill(SIGKILL);
  cluster.run();
  EXPECT_TRUE(cluster.status().workers.empty());
  EXPECT_EQ(cluster.status().exits, 1u);
  EXPECT_EQ(cluster.status().deaths, 1u);
}

TEST_F(ClusterTest, StopEndsTheServiceAsASignalDoesAndIsTold) {
  Cluster cluster;
  const auto server = net::create_server(cluster, [](const net::Socket&) {});
  server.listen(0, [&] { cluster.stop(); });
  std::vector<Stopping> told;
  cluster.on_stopping([&](const Stopping& stopping) { told.push_back(stopping); });
  cluster.set_drain_timeout(7s);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(cluster.run(), 0);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_FALSE(told[0].signal);
  EXPECT_FALSE(told[0].at_once);
  EXPECT_GE(told[0].deadline, start + 7s);
  EXPECT_EQ(cluster.status().phase, ClusterStatus::Phase::Over);
}

TEST_F(ClusterTest, StopForTheSecondTimeIsAtOnce) {
  Cluster cluster;
  cluster.setup_primary({.exec = "/bin/sh",
                         .args = {"-c", "trap '' TERM; echo; while :; do sleep 1; done"},
                         .spawn = {.silent = true}});
  const Worker worker = cluster.fork();
  worker.process().on_stdout([&](std::string_view) { cluster.stop(); });
  std::vector<bool> at_once;
  cluster.on_stopping([&](const Stopping& stopping) {
    at_once.push_back(stopping.at_once);
    if (!stopping.at_once) {
      cluster.stop();  // within 100 ms: the same wish
      cluster.set_timeout(150ms, [&] { cluster.stop(); });
    }
  });
  EXPECT_EQ(cluster.run(), 128 + SIGTERM);
  EXPECT_EQ(at_once, (std::vector{false, true}));
  EXPECT_EQ(cluster.status().deaths, 0u) << "it was told to end";
}

// The server of this process answers whoever connects in the lame duck time.
TEST_F(ClusterTest, ALameDuckServesUntilItEnds) {
  Cluster cluster;
  const auto server = net::create_server(cluster, [](const net::Socket& socket) { socket.end(); });
  server.listen(0, [&] { cluster.stop(); });
  std::vector<Stopping> told;
  std::vector<ClusterStatus::Phase> phases;
  std::vector<bool> listens;
  cluster.on_stopping([&](const Stopping& stopping) {
    told.push_back(stopping);
    phases.push_back(cluster.status().phase);
    listens.push_back(server.listening());
  });
  cluster.set_lame_duck(200ms);
  cluster.set_drain_timeout(7s);
  EXPECT_EQ(cluster.run(), 0);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].lame_duck, 200ms);
  EXPECT_EQ(told[1].lame_duck, 0ms);
  EXPECT_EQ(told[0].deadline, told[1].deadline) << "one grace time for all";
  EXPECT_EQ(phases, (std::vector{ClusterStatus::Phase::LameDuck, ClusterStatus::Phase::Running}));
  EXPECT_EQ(listens, (std::vector{true, true}));
}

TEST_F(ClusterTest, ALameDuckThatIsToldAgainEndsAtOnce) {
  Cluster cluster;
  cluster.setup_primary({.exec = "/bin/sh",
                         .args = {"-c", "trap '' TERM; echo; while :; do sleep 1; done"},
                         .spawn = {.silent = true}});
  const Worker worker = cluster.fork();
  worker.process().on_stdout([&](std::string_view) { cluster.stop(); });
  cluster.set_lame_duck(1h);
  cluster.set_drain_timeout(2h);
  std::vector<bool> at_once;
  cluster.on_stopping([&](const Stopping& stopping) {
    at_once.push_back(stopping.at_once);
    if (!stopping.at_once) cluster.set_timeout(150ms, [&] { cluster.stop(); });
  });
  EXPECT_EQ(cluster.run(), 128 + SIGTERM);
  EXPECT_EQ(at_once, (std::vector{false, true}));
}

// What is left of the grace time is the workers' to end in.
TEST_F(ClusterTest, ALameDuckTimeIsAPartOfTheGraceTime) {
  Cluster cluster;
  cluster.setup_primary({.exec = "/bin/sh",
                         .args = {"-c", "trap '' TERM; echo; while :; do sleep 1; done"},
                         .spawn = {.silent = true}});
  const Worker worker = cluster.fork();
  worker.process().on_stdout([&](std::string_view) { cluster.stop(); });
  cluster.set_lame_duck(300ms);
  cluster.set_drain_timeout(300ms);
  EXPECT_EQ(cluster.run(), 0);
  EXPECT_EQ(cluster.status().exits, 1u) << "killed, as soon as the end began";
}

TEST_F(ClusterTest, AWorkerHasWhateverStdioAChildMayHave) {
  Cluster cluster;
  cluster.setup_primary(
      {.exec = "/bin/sh",
       .args = {"-c", "read line; echo $line >&3; ulimit -n >&3"},
       .spawn = {.stdio = {Stdio::Pipe, Stdio::Ignore, Stdio::Ignore, Stdio::Pipe},
                 .limits = {{RLIMIT_NOFILE, 64, 64}}}});
  const Worker worker = cluster.fork();
  std::string said;
  worker.process().stdio(3).on_data([&](std::string_view bytes) { said += bytes; });
  worker.process().stdio(0).end("hello\n");
  EXPECT_FALSE(worker.process().stdio(1));
  cluster.run();
  EXPECT_EQ(said, "hello\n64\n");
}

// Handlers that own their server, and the worker, are circles; the Cluster's end breaks them.
TEST_F(ClusterTest, ItsEndDropsWhatHandlersOwn) {
  const auto token = std::make_shared<int>();
  for (const char* id : {"", "1"}) {
    become_child(id);
    Cluster cluster;
    const Worker self = cluster.worker();
    const auto tcp = net::create_server(cluster, [token](net::Socket) {});
    tcp.on_error([token, self, tcp](const Error&) {});
    tcp.listen(0, [token, self, tcp] {});
    const auto plain = on_connection(cluster, Address{"", 0}, [token](OwnFd, const Address&) {});
    plain.on_listening([token, self, plain](const Address&) {});
    self.on_message([token, self](const Value&) {});
    cluster.io_context().poll();
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(ClusterTest, TheUsersLoopMayOutliveIt) {
  boost::asio::io_context io;
  for (const bool run_before : {false, true}) {
    Cluster cluster{io};
    cluster.setup_primary({.exec = "/bin/cat", .args = Arguments{{}}});
    const Worker worker = cluster.fork();
    worker.on_exit([worker](const Exit&) {});
    const auto server = net::create_server(cluster, [](const net::Socket&) {});
    server.listen(0);
    cluster.keep(1);
    cluster.set_interval(1ms, [] {});
    if (run_before) {
      cluster.set_timeout(20ms, [&io] { io.stop(); });
      cluster.run();
    }
  }
  io.restart();
  io.run();
}

}  // namespace
}  // namespace cohort
