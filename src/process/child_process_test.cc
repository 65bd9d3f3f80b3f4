#include "cohort/child_process.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <thread>

#include "base/sys.h"
#include "process/child_fixture_test.h"
#include "process/helpers_test.h"

namespace cohort {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using process::TemporaryDirectory;

class ChildSpawn : public ChildTest {};
class ChildSpawnError : public ChildTest {};
class ChildKill : public ChildTest {};
class ChildOptions : public ChildTest {};
class ChildAwait : public ChildTest {};

// --- events

// test-child-process-spawn-event
TEST_F(ChildSpawn, EmitsSpawnFirstThenExitThenClose) {
  std::string text;
  const ChildProcess child = spawn(io(), "echo", {"hello"});
  record(child);
  child.stdout_().on_data([&](std::string_view data) {
    events.emplace_back("data");
    text += data;
  });
  EXPECT_GT(child.pid(), 0);
  EXPECT_EQ(events, Strings{}) << "nothing before the loop turns";
  run();
  ASSERT_GE(events.size(), 4U);
  EXPECT_EQ(events.front(), "spawn");
  EXPECT_EQ(events.back(), "close");
  EXPECT_EQ(std::count(events.begin(), events.end(), "exit"), 1);
  EXPECT_EQ(text, "hello\n");
}

// test-child-process-exit-code
TEST_F(ChildSpawn, ReportsTheCode) {
  const ChildProcess child = spawn(io(), "sh", {"-c", "exit 23"});
  record(child);
  EXPECT_EQ(child.exit_code(), std::nullopt);
  run();
  EXPECT_EQ(child.exit_code(), 23);
  EXPECT_EQ(child.signal_code(), "");
  EXPECT_EQ(exits.at(0).code(), 23);
  EXPECT_EQ(exits.at(0).cause(), ExitCause::Unknown);
  EXPECT_EQ(closes, exits);
}

// test-child-process-spawn-argv0
TEST_F(ChildSpawn, GivesTheChildAnotherArgv0) {
  std::string text;
  const ChildProcess child =
      spawn(io(), "/bin/sh", {"-c", "cat /proc/$$/cmdline"}, {.argv0 = "withArgv0"});
  collect(child.stdout_(), text);
  run();
  EXPECT_EQ(text.substr(0, text.find('\0')), "withArgv0");
  EXPECT_EQ(child.spawnfile(), "/bin/sh");
  EXPECT_EQ(child.spawnargs(), (Strings{"withArgv0", "-c", "cat /proc/$$/cmdline"}));
}

// test-child-process-spawn-args
TEST_F(ChildSpawn, NeedsNoArguments) {
  std::string text;
  const TemporaryDirectory directory;
  const ChildProcess child = spawn(io(), "pwd", {}, {.cwd = directory.path()});
  collect(child.stdout_(), text);
  run();
  EXPECT_EQ(text, directory.path() + "\n");
}

// test-child-process-exit
TEST_F(ChildSpawn, PassesOutputAndCodeThroughFiveGenerations) {
  EXPECT_EQ(output_of("g() { if [ $1 = 0 ]; then echo deepest; exit 5; fi; "
                      "(g $(($1 - 1))); code=$?; echo $code; exit $code; }; g 4"),
            "deepest\n5\n5\n5\n5\n");
}

TEST_F(ChildSpawn, ThatNobodyListensToStillEnds) {
  spawn(io(), "sh", {"-c", "echo unread; echo unread >&2"});
  run();
}

TEST_F(ChildSpawn, ThatRunsWhenTheLoopEndsIsKilledAndReaped) {
  const OwnFd pidfd = sys::pidfd_open(spawn(io(), "sleep", {"600"}).pid());
  io().poll();
  end_loop();
  EXPECT_EQ(sys::signal_process(pidfd.get(), 0), -1);
}

TEST_F(ChildSpawn, UnrefLetsTheLoopEnd) {
  const ChildProcess child = spawn(io(), "sleep", {"600"}, {.stdio = Stdio::Ignore});
  child.unref();
  run();
  EXPECT_EQ(child.exit(), std::nullopt);
  child.ref();
  EXPECT_TRUE(child.kill());
  run();
  EXPECT_EQ(child.signal_code(), "SIGTERM");
}

// test-child-process-detached
TEST_F(ChildSpawn, DetachedLeadsASessionAndSurvives) {
  const pid_t pid = spawn(io(), "sleep", {"600"}, {.stdio = Stdio::Ignore, .detached = true}).pid();
  EXPECT_EQ(::getsid(pid), pid);
  EXPECT_EQ(::getpgid(pid), pid);
  const OwnFd pidfd = sys::pidfd_open(pid);
  end_loop();
  EXPECT_FALSE(process::ends_within(pidfd.get(), 0ms)) << "it lives on";
  sys::signal_process(pidfd.get(), SIGKILL);
  EXPECT_TRUE(process::ends_within(pidfd.get(), 30s));
  siginfo_t info{};
  rusage usage{};
  EXPECT_EQ(sys::reap(pidfd.get(), info, usage), 1);
}

// --- what a child inherits

// test-child-process-default-options
TEST_F(ChildOptions, InheritTheEnvironment) {
  ::setenv("COHORT_TEST_HELLO", "WORLD", 1);
  EXPECT_EQ(output_of("echo $COHORT_TEST_HELLO"), "WORLD\n");
  ::unsetenv("COHORT_TEST_HELLO");
}

// test-child-process-env
TEST_F(ChildOptions, EnvReplacesAndAddEnvAdds) {
  ::setenv("COHORT_TEST_HELLO", "WORLD", 1);
  const Environment env{{"PATH", "/bin:/usr/bin"}, {"EMPTY", ""}, {"FOO", "BAR"}};
  EXPECT_EQ(output_of("env | grep -v ^PWD | grep -v ^_ | grep -v ^SHLVL | grep -v ^OLDPWD | sort",
                      {.env = env, .add_env = {{"FOO", "NEW"}, {"MORE", "x=y"}}}),
            "EMPTY=\nFOO=NEW\nMORE=x=y\nPATH=/bin:/usr/bin\n");
  EXPECT_EQ(output_of("echo $COHORT_TEST_HELLO $MORE", {.add_env = {{"MORE", "too"}}}),
            "WORLD too\n");
  ::unsetenv("COHORT_TEST_HELLO");
}

TEST_F(ChildOptions, AChildDoesNotTakeOurChannelForItsOwn) {
  ::setenv("NODE_CHANNEL_FD", "3", 1);
  ::setenv("NODE_UNIQUE_ID", "1", 1);
  EXPECT_EQ(output_of("echo \"<$NODE_CHANNEL_FD$NODE_UNIQUE_ID>\""), "<>\n");
  ::unsetenv("NODE_CHANNEL_FD");
  ::unsetenv("NODE_UNIQUE_ID");
}

// test-child-process-cwd
TEST_F(ChildOptions, CwdIsTheChildsAndOneThatIsMissingIsNamed) {
  EXPECT_EQ(output_of("pwd", {.cwd = "/dev"}), "/dev\n");
  const ChildProcess child = spawn(io(), "pwd", {}, {.cwd = "/does-not-exist"});
  record(child);
  EXPECT_EQ(child.pid(), 0);
  run();
  EXPECT_EQ(events, (Strings{"error", "close"}));
  EXPECT_EQ(errors.at(0).message(),
            "spawn pwd: working directory /does-not-exist: no such file or directory");
  EXPECT_EQ(closes.at(0).code(), -ENOENT);
}

// test-child-process-spawn-shell
TEST_F(ChildOptions, AShellRunsTheCommand) {
  std::string text;
  const ChildProcess child =
      spawn(io(), "echo $BAZ |", {"cat", "-"}, {.add_env = {{"BAZ", "buzz"}}, .shell = true});
  collect(child.stdout_(), text);
  EXPECT_EQ(child.spawnfile(), "/bin/sh");
  EXPECT_EQ(child.spawnargs(), (Strings{"/bin/sh", "-c", "echo $BAZ | cat -"}));
  const ChildProcess missing = spawn(io(), "does-not-exist-at-all", {}, {.shell = true});
  const ChildProcess bash = spawn(io(), "exit 3", {}, {.shell = "/bin/bash"});
  run();
  EXPECT_EQ(text, "buzz\n");
  EXPECT_EQ(missing.exit_code(), 127);
  EXPECT_EQ(bash.spawnfile(), "/bin/bash");
  EXPECT_EQ(bash.exit_code(), 3);
}

// test-child-process-uid-gid
TEST_F(ChildOptions, IdentityIsTheChildsOrAnError) {
  if (::geteuid() == 0) {
    EXPECT_EQ(output_of("id -u; id -g; id -G", {.uid = 65534, .gid = 65533}),
              "65534\n65533\n65533\n");
    EXPECT_EQ(output_of("id -G", {.gid = 65533, .groups = std::vector<gid_t>{7, 65533}}),
              "65533 7\n");
  } else {
    record(spawn(io(), "true", {}, {.uid = 0, .gid = 0}));
    run();
    EXPECT_EQ(events, (Strings{"error", "close"}));
    EXPECT_EQ(errors.at(0).code.value(), EPERM);
  }
}

// test-child-process-spawn-timeout-kill-signal
TEST_F(ChildOptions, TimeoutSendsTheKillSignal) {
  const ChildProcess slow = spawn(io(), "sleep", {"600"}, {.timeout = 20ms});
  const ChildProcess killed =
      spawn(io(), "sleep", {"600"}, {.timeout = 20ms, .kill_signal = SIGKILL});
  const ChildProcess quick = spawn(io(), "true", {}, {.timeout = 10min});
  run();
  EXPECT_EQ(slow.exit()->signal(), SIGTERM);
  EXPECT_EQ(slow.exit()->cause(), ExitCause::Timeout);
  EXPECT_TRUE(slow.killed());
  EXPECT_EQ(killed.exit()->signal(), SIGKILL);
  EXPECT_TRUE(quick.exit()->success());
  EXPECT_EQ(quick.exit()->cause(), ExitCause::Unknown);
}

// test-child-process-spawn-controller
TEST_F(ChildOptions, AStopRequestKillsAndIsAnErrorForThoseWhoListen) {
  std::stop_source source;
  const ChildProcess child = spawn(io(), "sleep", {"600"}, {.stop = source.get_token()});
  record(child);
  child.on_spawn([&] { source.request_stop(); });
  run();
  EXPECT_EQ(events, (Strings{"spawn", "error", "exit", "close"}));
  EXPECT_EQ(errors.at(0).code.value(), ECANCELED);
  EXPECT_EQ(exits.at(0).cause(), ExitCause::Cancelled);

  // Requested before: the process is started, then killed. And nobody listens.
  const ChildProcess late =
      spawn(io(), "sleep", {"600"}, {.kill_signal = SIGKILL, .stop = source.get_token()});
  run();
  EXPECT_EQ(late.signal_code(), "SIGKILL");

  // From another thread, and after the end.
  std::stop_source other;
  const ChildProcess third = spawn(io(), "sleep", {"600"}, {.stop = other.get_token()});
  std::thread thread{[&] { other.request_stop(); }};
  run();
  thread.join();
  EXPECT_EQ(third.exit()->cause(), ExitCause::Cancelled);
  other.request_stop();
  EXPECT_FALSE(third.kill());
}

TEST_F(ChildOptions, TheLastLinesOfStderrAreInTheExitRecord) {
  const std::string script = "for i in 1 2 3 4; do echo line $i >&2; done; exit 1";
  const ChildProcess piped = spawn(io(), "sh", {"-c", script}, {.stderr_lines = 2});
  std::string text;
  collect(piped.stderr_(), text);
  const ChildProcess unread = spawn(io(), "sh", {"-c", script}, {.stderr_lines = 2});
  const ChildProcess ignored =
      spawn(io(), "sh", {"-c", script}, {.stdio = Stdio::Ignore, .stderr_lines = 3});
  const OwnFd file{::memfd_create("stderr", MFD_CLOEXEC)};
  const ChildProcess to_file =
      spawn(io(), "sh", {"-c", script},
            {.stdio = {Stdio::Ignore, Stdio::Ignore, file.get()}, .stderr_lines = 1});
  run();
  EXPECT_EQ(piped.exit()->stderr_lines(), (Strings{"line 3", "line 4"}));
  EXPECT_EQ(text, "line 1\nline 2\nline 3\nline 4\n");
  EXPECT_EQ(unread.exit()->stderr_lines(), (Strings{"line 3", "line 4"}));
  EXPECT_EQ(ignored.exit()->stderr_lines(), (Strings{"line 2", "line 3", "line 4"}));
  EXPECT_EQ(to_file.exit()->stderr_lines(), (Strings{"line 4"}));
  char copied[64] = {};
  EXPECT_GT(::pread(file.get(), copied, sizeof copied, 0), 0);
  EXPECT_EQ(std::string{copied}, text) << "passed on as well";
}

// --- failures

// test-child-process-spawn-error
TEST_F(ChildSpawnError, NamesTheFile) {
  const ChildProcess child = spawn(io(), "foo-no-such", {"bar"});
  record(child);
  EXPECT_EQ(child.pid(), 0);
  EXPECT_TRUE(child.stdin_());
  EXPECT_TRUE(child.stdout_());
  EXPECT_TRUE(child.stderr_());
  EXPECT_FALSE(child.stdin_().write("x"));
  EXPECT_FALSE(child.kill());
  run();
  EXPECT_EQ(events, (Strings{"error", "close"}));
  EXPECT_EQ(errors.at(0).code.value(), ENOENT);
  EXPECT_EQ(errors.at(0).message(), "spawn foo-no-such: no such file or directory");
  EXPECT_EQ(child.spawnargs(), (Strings{"foo-no-such", "bar"}));
  EXPECT_EQ(child.exit_code(), -ENOENT);
  EXPECT_EQ(closes.at(0).cause(), ExitCause::NotStarted);
}

TEST_F(ChildSpawnError, SaysWhatMayNotBeExecutedAndWhatIsTooLong) {
  const TemporaryDirectory directory;
  const std::string file = directory.write("plain", "text", 0644);
  record(spawn(io(), file));
  record(spawn(io(), "true", {std::string(200'000, 'x')}));
  run();
  ASSERT_EQ(errors.size(), 2U);
  EXPECT_EQ(errors[0].code.value(), EACCES);
  EXPECT_EQ(errors[1].code.value(), E2BIG);
}

// test-child-process-emfile
TEST_F(ChildSpawnError, OfTooFewDescriptorsIsAnEvent) {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  io().poll();
  const auto free = static_cast<rlim_t>(OwnFd{::dup(2)}.get());
  const rlimit few{free + 1, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  const ChildProcess child = spawn(io(), "true");
  ::setrlimit(RLIMIT_NOFILE, &before);
  record(child);
  run();
  EXPECT_EQ(events, (Strings{"error", "close"}));
  EXPECT_EQ(errors.at(0).code.value(), EMFILE);
}

// test-child-process-reject-null-bytes
TEST_F(ChildSpawnError, OfANulByteAnywhere) {
  using namespace std::string_literals;
  record(spawn(io(), "tr\0ue"s));
  record(spawn(io(), "true", {"a\0b"s}));
  record(spawn(io(), "true", {}, {.argv0 = "a\0b"s}));
  record(spawn(io(), "true", {}, {.cwd = "/a\0b"s}));
  record(spawn(io(), "true", {}, {.env = Environment{{"A\0", "b"}, {"C", "d\0e"s}}}));
  record(spawn(io(), "true", {}, {.shell = "/bin/s\0h"s}));
  run();
  EXPECT_EQ(errors.size(), 6U);
  for (const Error& error : errors) EXPECT_EQ(error.code, Errc::InvalidArgument) << error;
}

// test-child-process-spawn-typeerror
TEST_F(ChildSpawnError, OfAnArgumentOutOfRange) {
  record(spawn(io(), ""));
  record(spawn(io(), "true", {}, {.timeout = -1ms}));
  record(spawn(io(), "true", {}, {.kill_signal = 1000}));
  record(spawn(io(), "true", {}, {.stdio = {-1}}));
  record(spawn(io(), "true", {}, {.stdio = {ChildStream{}}}));
  record(spawn(io(), "true", {}, {.stdio = {Ipc{}, Ipc{}}}));
  run();
  EXPECT_EQ(errors.size(), 6U);
  for (const Error& error : errors) EXPECT_EQ(error.code, Errc::InvalidArgument) << error;
  EXPECT_EQ(std::count(events.begin(), events.end(), "spawn"), 0);
}

TEST_F(ChildSpawnError, ThatNobodyHandlesLeavesTheLoop) {
  spawn(io(), "no-such-program");
  std::string what;
  try {
    io().run();
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
  EXPECT_EQ(what, "spawn no-such-program: no such file or directory");
  run();
}

TEST_F(ChildSpawnError, OfEachSystemCallLeavesNothingBehind) {
  bool succeeded = false;
  int n = 0;
  for (; !succeeded && n < 100; ++n) {
    events.clear();
    std::optional<ChildProcess> child;
    {
      const sys::FailNth fail{n, ENOMEM};
      child = spawn(io(), "true", {}, {.stdio = {Stdio::Pipe, Stdio::Pipe, Stdio::Ignore, Ipc{}}});
      succeeded = !fail.fired();
    }
    record(*child);
    run();
    // Some calls are best effort: then it starts nevertheless.
    EXPECT_TRUE(events == (Strings{"error", "close"}) || events.front() == "spawn");
    EXPECT_EQ(events.back(), "close");
  }
  EXPECT_GT(n, 5);
  EXPECT_TRUE(succeeded);
}

// --- kill

// test-child-process-kill
TEST_F(ChildKill, EndsItAndSaysSo) {
  const ChildProcess child = spawn(io(), "cat");
  record(child);
  int ends = 0;
  child.stdout_().on_end([&] { ++ends; });
  child.stderr_().on_end([&] { ++ends; });
  EXPECT_FALSE(child.killed());
  EXPECT_TRUE(child.kill());
  EXPECT_TRUE(child.killed());
  EXPECT_EQ(child.signal_code(), "");
  run();
  EXPECT_EQ(ends, 2);
  EXPECT_EQ(child.exit_code(), std::nullopt);
  EXPECT_EQ(child.signal_code(), "SIGTERM");
  EXPECT_EQ(exits.at(0).cause(), ExitCause::Killed);
  EXPECT_FALSE(child.kill()) << "dead already";
}

TEST_F(ChildKill, ZeroProbesAndABadNumberIsAnError) {
  const ChildProcess child = spawn(io(), "cat");
  record(child);
  EXPECT_TRUE(child.kill(0));
  EXPECT_TRUE(child.killed()) << "as in Node";
  EXPECT_FALSE(child.kill(1000));
  io().poll();
  EXPECT_EQ(errors.at(0).code.value(), EINVAL);
  child.stdin_().end();
  run();
  EXPECT_EQ(exits.at(0).cause(), ExitCause::Unknown);
}

TEST_F(ChildKill, ASignalThatItHandlesIsNotItsCause) {
  const ChildProcess child =
      spawn(io(), "sh", {"-c", "trap 'exit 4' USR1; echo ready; while :; do sleep 0.01; done"});
  child.stdout_().on_data([&](std::string_view) { child.kill(SIGUSR1); });
  run();
  EXPECT_EQ(child.exit_code(), 4);
  EXPECT_EQ(child.exit()->cause(), ExitCause::Unknown);
}

TEST_F(ChildKill, TreeEndsChildrenAndGrandchildren) {
  std::string text;
  const ChildProcess child =
      spawn(io(), "sh", {"-c", "sh -c 'sleep 600 & echo x; wait' & sleep 600 & echo x; wait"});
  child.stdout_().on_data([&](std::string_view data) {
    text += data;
    if (text == "x\nx\n") {
      EXPECT_EQ(child.kill_tree(), 4U);
    }
  });
  record(child);
  run();  // the pipe ends when the last of them is gone
  EXPECT_EQ(exits.at(0).signal(), SIGKILL);
  EXPECT_EQ(exits.at(0).cause(), ExitCause::Killed);
  EXPECT_EQ(child.kill_tree(), 0U);
  end_orphans();  // dead ones, for us to reap
}

TEST_F(ChildKill, TreeReachesAnOrphanThroughTheProcessGroup) {
  const ChildProcess child = spawn(
      io(), "sh", {"-c", "sh -c 'sleep 600 &'; echo ready; wait; sleep 600"}, {.process_group = 0});
  child.stdout_().on_data([&](std::string_view) { EXPECT_GE(child.kill_tree(SIGTERM), 1U); });
  run();  // the orphan holds the pipe
  EXPECT_EQ(child.exit()->signal(), SIGTERM);
  end_orphans();
}

// --- awaiting

TEST_F(ChildAwait, EveryStepOfIt) {
  bool done = false;
  const auto test = [&]() -> asio::awaitable<void> {
    const ChildProcess child = spawn(io(), "sh", {"-c", "exit 3"});
    co_await child.async_spawn(asio::use_awaitable);
    EXPECT_EQ((co_await child.async_exit(asio::use_awaitable)).code(), 3);
    EXPECT_EQ((co_await child.async_close(asio::use_awaitable)).code(), 3);
    EXPECT_EQ((co_await child.async_exit(asio::use_awaitable)).code(), 3) << "again, afterwards";
    EXPECT_EQ((co_await child.async_close(asio::use_awaitable)).code(), 3);
    co_await child.async_spawn(asio::use_awaitable);
    done = true;
  };
  asio::co_spawn(io(), test, asio::detached);
  run();
  EXPECT_TRUE(done);
}

TEST_F(ChildAwait, MayBeGivenUpAfterATime) {
  using namespace asio::experimental::awaitable_operators;
  std::size_t first = 0;
  const auto test = [&]() -> asio::awaitable<void> {
    const ChildProcess child = spawn(io(), "sleep", {"600"});
    asio::steady_timer timer{io(), 20ms};
    const auto either =
        co_await (child.async_exit(asio::use_awaitable) || timer.async_wait(asio::use_awaitable));
    first = either.index();
    child.kill(SIGKILL);
    EXPECT_EQ((co_await child.async_exit(asio::use_awaitable)).signal(), SIGKILL);
  };
  asio::co_spawn(io(), test, asio::detached);
  run();
  EXPECT_EQ(first, 1U);
}

TEST_F(ChildAwait, AFailureIsTheResultAndNoUnhandledEvent) {
  int caught = 0;
  const auto test = [&]() -> asio::awaitable<void> {
    const ChildProcess child = spawn(io(), "no-such-program");
    try {
      co_await child.async_exit(asio::use_awaitable);
    } catch (const boost::system::system_error& error) {
      caught = error.code().value();
    }
  };
  asio::co_spawn(io(), test, asio::detached);
  run();
  EXPECT_EQ(caught, ENOENT);
}

}  // namespace
}  // namespace cohort
