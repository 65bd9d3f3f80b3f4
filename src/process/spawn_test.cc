#include "process/spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <random>
#include <sstream>

#include "base/sys.h"
#include "leak_check.h"
#include "process/exit_record.h"
#include "process/helpers_test.h"

namespace cohort::process {
namespace {

std::string message(const SpawnRequest& request) {
  const auto child = spawn(request);
  if (!child) return child.error().message();
  wait_exit(*child);
  return "spawned";
}

std::string identity(int fd) {
  struct stat info{};
  ::fstat(fd, &info);
  return std::to_string(info.st_dev) + ':' + std::to_string(info.st_ino);
}

// What the role `descriptors` printed.
std::map<int, std::string> parse_descriptors(const std::string& text) {
  std::map<int, std::string> result;
  std::istringstream lines{text};
  int fd = 0;
  for (std::string id; lines >> fd >> id;) result[fd] = id;
  return result;
}

TEST(Spawn, RunsTheProgramWithItsArgumentsEnvironmentAndDirectory) {
  const TemporaryDirectory directory;
  SpawnRequest request = program_request("sh", {"-c", "echo \"$0 $1 $COLOR\"; pwd", "one two"});
  request.argv.emplace_back("three");
  request.env = {"PATH=/bin:/usr/bin", "COLOR=blue"};
  request.cwd = directory.path();
  const Output output = run(request);
  EXPECT_EQ(output.text, "one two three blue\n" + directory.path() + '\n');
  EXPECT_TRUE(output.exit.success());
}

TEST(Spawn, ReportsCodeAndSignal) {
  EXPECT_EQ(run(program_request("sh", {"-c", "exit 7"})).exit.code(), 7);
  EXPECT_EQ(run(program_request("sh", {"-c", "kill -TERM $$"})).exit.signal(), SIGTERM);
}

TEST(Spawn, MeasuresWhatTheChildUsed) {
  const Exit exit =
      run(program_request("sh", {"-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"})).exit;
  EXPECT_GT(exit.user_time().count(), 0);
  EXPECT_GT(exit.peak_memory_bytes(), 100'000U);
}

TEST(Spawn, SearchesThePathOfTheRequest) {
  const TemporaryDirectory bin;
  bin.write("greet", "#!/bin/sh\necho hello\n", 0755);
  SpawnRequest request = program_request("greet");
  request.env = {"PATH=/no/such:/bin"};
  EXPECT_EQ(message(request), "spawn greet: no such file or directory");
  request.env = {"PATH=/no/such:" + bin.path()};
  EXPECT_EQ(run(request).text, "hello\n");
  request.env = {"PATH=:/no/such"};  // an empty entry is the working directory, the child's
  request.cwd = bin.path();
  EXPECT_EQ(run(request).text, "hello\n");
  request = program_request("true");
  request.env = {"LANG=C"};
  EXPECT_TRUE(run(request).exit.success()) << "without PATH: /bin:/usr/bin";
}

TEST(Spawn, TakesTheNextInPathIfOneMayNotBeExecuted) {
  const TemporaryDirectory locked, open;
  const std::string file = locked.write("greet", "#!/bin/sh\n", 0644);
  SpawnRequest request = program_request("greet");
  request.env = {"PATH=" + locked.path() + ':' + open.path()};
  EXPECT_EQ(message(request), "spawn greet: permission denied (" + file + " may not be executed)");
  open.write("greet", "#!/bin/sh\necho hello\n", 0755);
  EXPECT_EQ(run(request).text, "hello\n");
}

TEST(SpawnError, NamesTheProgram) {
  EXPECT_EQ(message(program_request("/no/such")), "spawn /no/such: no such file or directory");
  SpawnRequest request = program_request("no-such-program");
  request.env = {"PATH=/bin:/usr/bin"};
  EXPECT_EQ(message(request), "spawn no-such-program: no such file or directory");
  EXPECT_EQ(message(program_request("/tmp")),
            "spawn /tmp: permission denied (/tmp may not be executed)");
}

TEST(SpawnError, NamesTheWorkingDirectory) {
  SpawnRequest request = program_request("true");
  request.cwd = "/no/such";
  EXPECT_EQ(message(request), "spawn true: working directory /no/such: no such file or directory");
}

TEST(SpawnError, SaysThatAScriptHasNoInterpreter) {
  const TemporaryDirectory directory;
  const std::string orphan = directory.write("orphan", "#!/no/such\n", 0755);
  SpawnRequest request = program_request("./orphan");
  request.cwd = directory.path();
  EXPECT_EQ(message(request),
            "spawn ./orphan: no such file or directory (" + directory.path() +
                "/./orphan exists, but what interprets it does not: its #! line, or its "
                "dynamic loader)");
}

// As execvp.
TEST(Spawn, RunsATextWithoutAnInterpreterLineInTheShell) {
  const TemporaryDirectory directory;
  const std::string script = directory.write("script", "echo \"$0 $# $2\"; exit 4", 0755);
  const Output output = run(program_request(script, {"one", "two words"}));
  EXPECT_EQ(output.text, script + " 2 two words\n");
  EXPECT_EQ(output.exit.code(), 4);
  SpawnRequest found = program_request("script", {"one", "two words"});
  found.env = {"PATH=/nowhere:" + directory.path()};
  EXPECT_EQ(run(found).text, script + " 2 two words\n") << "by the path at which it was found";
  found.argv = {"another name"};
  EXPECT_EQ(run(found).text, script + " 0 \n");
  EXPECT_TRUE(run(program_request(directory.write("empty", "", 0755))).exit.success());
  const std::string foreign = directory.write("foreign",
                                              "\x7f"
                                              "ELF of another machine",
                                              0755);
  EXPECT_EQ(message(program_request(foreign)),
            "spawn " + foreign +
                ": exec format error (a program for another machine, or a script "
                "without #! and no /bin/sh to run it)");
}

TEST(SpawnError, SaysWhichLimitWasReached) {
  SpawnRequest request = program_request("true", {"short", std::string(200'000, 'x')});
  EXPECT_EQ(message(request),
            "spawn true: argument list too long (argument 2 has 200000 bytes, and one may have "
            "131071: give it in a file, or through stdin)");
  request = program_request("true");
  request.env.push_back("LONG=" + std::string(131'072 - 5, 'x'));
  EXPECT_EQ(message(request),
            "spawn true: argument list too long (the variable LONG has 131072 "
            "bytes, and one may have 131071: give it in a file, or through "
            "stdin)")
      << "with its name";
  request = program_request("true", std::vector<std::string>(100, std::string(100'000, 'x')));
  EXPECT_EQ(message(request),
            "spawn true: argument list too long (the arguments and the environment together are "
            "too long: see ulimit -s)");

  request = program_request("true");
  request.fds = {0, 1, 2};
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const int lowest_free = sys::duplicate(0).get();
  const rlimit none_left{static_cast<rlim_t>(lowest_free), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
  const std::string text = message(request);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(text,
            "spawn true: too many open files (the limit of open files is reached: see ulimit -n)");
}

TEST(SpawnError, NamesTheDescriptorThatIsNotOpen) {
  SpawnRequest request = program_request("true");
  request.fds = {0, 1, 2, -1, 1'000'000};
  EXPECT_EQ(message(request), "spawn true: descriptor 4: bad file descriptor");
}

TEST(SpawnError, RefusesWhatCannotBePassedOn) {
  const std::string nul("a\0b", 3);
  const auto refused = [](const SpawnRequest& request) {
    const auto child = spawn(request);
    return !child && child.error().code == Errc::InvalidArgument;
  };
  EXPECT_TRUE(refused(program_request("")));
  EXPECT_TRUE(refused(program_request(nul)));
  EXPECT_TRUE(refused(program_request("true", {nul})));
  SpawnRequest request = program_request("true");
  request.cwd = nul;
  EXPECT_TRUE(refused(request));
  request = program_request("true");
  request.env.push_back(nul);
  EXPECT_TRUE(refused(request));
  request = program_request("true");
  request.argv.clear();
  EXPECT_TRUE(refused(request));
}

TEST(SpawnError, LeaksNothingWhicheverCallFails) {
  SpawnRequest request = program_request("true");
  request.die_with_parent = true;
  for (int n = 0;; ++n) {
    const auto descriptors = harness::open_descriptors();
    const auto before = harness::children();
    bool fired = false;
    const auto failing_spawn = [&] {
      const sys::FailNth fail{n, EMFILE};
      auto result = spawn(request);
      fired = fail.fired();
      return result;
    };
    if (const auto child = failing_spawn()) {
      EXPECT_TRUE(wait_exit(*child).success());
      EXPECT_FALSE(fired);
    } else {
      EXPECT_EQ(child.error().code.value(), EMFILE);
    }
    EXPECT_EQ(harness::open_descriptors(), descriptors);
    EXPECT_EQ(harness::children(), before);
    if (!fired) {
      EXPECT_GE(n, 2) << "/dev/null and the lifeline can fail";
      break;
    }
  }
}

TEST(SpawnError, OfTheChildLeaksNothing) {
  const auto descriptors = harness::open_descriptors();
  const auto before = harness::children();
  SpawnRequest request = program_request("/no/such");
  request.die_with_parent = true;
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(spawn(request));
  EXPECT_EQ(harness::open_descriptors(), descriptors);
  EXPECT_EQ(harness::children(), before);
}

// One descriptor of each kind that a server has, none of them close-on-exec.
std::vector<OwnFd> every_kind() {
  std::vector<OwnFd> fds;
  const auto add = [&](long fd) { fds.emplace_back(static_cast<int>(fd)); };
  int pair[2];
  EXPECT_EQ(::pipe(pair), 0);
  add(pair[0]);
  add(pair[1]);
  add(::open("/etc/passwd", O_RDONLY));
  add(::open("/proc/self", O_RDONLY | O_DIRECTORY));
  add(::socket(AF_INET, SOCK_STREAM, 0));
  add(::socket(AF_INET6, SOCK_DGRAM, 0));
  add(::socket(AF_UNIX, SOCK_SEQPACKET, 0));
  add(::epoll_create1(0));
  add(::eventfd(0, 0));
  add(::timerfd_create(CLOCK_MONOTONIC, 0));
  sigset_t signals;
  ::sigemptyset(&signals);
  add(::signalfd(-1, &signals, 0));
  add(::inotify_init());
  add(::syscall(SYS_memfd_create, "cohort", 0));
  add(::posix_openpt(O_RDWR | O_NOCTTY));
  add(::fcntl(fds[0].get(), F_DUPFD, 900));
  for (const OwnFd& fd : fds) EXPECT_TRUE(fd);
  return fds;
}

TEST(SpawnDescriptors, OfEveryKindAreClosedInTheChild) {
  const auto fds = every_kind();
  const auto child = parse_descriptors(run(role_request("descriptors")).text);
  std::vector<int> numbers;
  for (const auto& [fd, id] : child) numbers.push_back(fd);
  EXPECT_EQ(numbers, (std::vector<int>{0, 1, 2}));
}

TEST(SpawnDescriptors, AreClosedAlsoWhereCloseRangeIsRefused) {
  const Output output = run(role_request("without_close_range"));
  EXPECT_TRUE(output.exit.success()) << output.exit;
  EXPECT_EQ(parse_descriptors(output.text).size(), 3U) << output.text;
}

TEST(SpawnDescriptors, AreDevNullUnlessGiven) {
  const OwnFd null = sys::open("/dev/null", O_RDWR);
  SpawnRequest request = role_request("descriptors");
  request.fds = {};
  const auto child = parse_descriptors(run(request).text);
  EXPECT_EQ(child.at(0), identity(null.get()));
  EXPECT_EQ(child.at(2), identity(null.get()));
}

TEST(SpawnDescriptors, LandWhereThePlanSaysHoweverTheNumbersOverlap) {
  std::vector<OwnFd> files;
  for (int i = 0; i < 12; ++i)
    files.emplace_back(static_cast<int>(::syscall(SYS_memfd_create, "cohort", MFD_CLOEXEC)));
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::mt19937 random{seed};
    SpawnRequest request = role_request("descriptors");
    request.die_with_parent = seed % 2 == 0;
    request.fds.resize(3 + random() % 12);
    for (int& fd : request.fds) fd = random() % 4 == 0 ? -1 : files[random() % files.size()].get();
    std::map<int, std::string> expected;
    for (std::size_t i = 0; i < request.fds.size(); ++i)
      if (request.fds[i] >= 0) expected[static_cast<int>(i)] = identity(request.fds[i]);
    auto child = parse_descriptors(run(request).text);
    const auto lifelines = child.erase(static_cast<int>(request.fds.size()));
    EXPECT_EQ(lifelines, request.die_with_parent ? 1U : 0U);
    for (const int fd : {0, 1, 2})  // the pipe of the test, /dev/null
      if (fd == 1 || request.fds[static_cast<std::size_t>(fd)] < 0) expected[fd] = child[fd];
    EXPECT_EQ(child, expected) << "seed " << seed;
  }
}

TEST(SpawnSignals, AreAtTheirDefaultAndNotBlockedInTheChild) {
  struct sigaction ignore{};
  struct sigaction before_pipe{};
  struct sigaction before_user{};
  struct sigaction handle{};
  ignore.sa_handler = SIG_IGN;
  handle.sa_handler = [](int) {};
  ::sigaction(SIGPIPE, &ignore, &before_pipe);
  ::sigaction(SIGUSR1, &handle, &before_user);
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const Output output = run(program_request("cat", {"/proc/self/status"}));
  sigset_t mine;
  ::pthread_sigmask(SIG_SETMASK, &before, &mine);
  ::sigaction(SIGPIPE, &before_pipe, nullptr);
  ::sigaction(SIGUSR1, &before_user, nullptr);
  for (const char* set : {"SigBlk", "SigIgn", "SigCgt"})
    EXPECT_NE(output.text.find(std::string{set} + ":\t0000000000000000\n"), std::string::npos)
        << set << '\n'
        << output.text;
  EXPECT_EQ(::sigismember(&mine, SIGUSR2), 1) << "the parent's mask is as it was";
}

TEST(SpawnSignals, ThatArriveMeanwhileAreHandledByTheParentOnly) {
  EXPECT_EQ(run(role_request("storm")).text, "failed 0 phantoms 0 handled some\n");
}

TEST(SpawnIdentity, IsThatOfTheRequestWithoutTheParentsGroups) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may change the user";
  std::vector<gid_t> before(static_cast<std::size_t>(::getgroups(0, nullptr)));
  ASSERT_NE(::getgroups(static_cast<int>(before.size()), before.data()), -1);
  const gid_t groups[] = {1, 2};
  ASSERT_EQ(::setgroups(2, groups), 0);
  SpawnRequest request = program_request("sh", {"-c", "id -u; id -g; id -G"});
  request.uid = kNobody;
  request.gid = kNobody;
  const Output output = run(request);
  ASSERT_EQ(::setgroups(before.size(), before.data()), 0);
  EXPECT_EQ(output.text, "65534\n65534\n65534\n");
}

TEST(SpawnIdentity, ChangedInTheChildLeavesTheParentDumpable) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may change the user";
  ASSERT_EQ(::prctl(PR_GET_DUMPABLE), 1);
  SpawnRequest request = program_request("true");
  request.uid = kNobody;
  EXPECT_TRUE(run(request).exit.success());
  EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 1);
  request.file = "/no/such";
  EXPECT_FALSE(spawn(request));
  EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 1);
}

TEST(SpawnIdentity, LeavesNoIdAndNoCapabilityToGoBackTo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may change the user";
  SpawnRequest request =
      program_request("grep", {"-E", "^(Uid|Gid|CapPrm|CapAmb):", "/proc/self/status"});
  request.uid = kNobody;
  request.gid = kNobody;
  const std::string none = "0000000000000000\n", four = "\t65534\t65534\t65534\t65534\n";
  EXPECT_EQ(run(request).text,
            "Uid:" + four + "Gid:" + four + "CapPrm:\t" + none + "CapAmb:\t" + none);
}

// Setuid and setgid are the bits 7 and 6.
TEST(SpawnIdentity, OfAnotherUserHasNoAmbientCapabilities) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may hand capabilities down";
  const std::string both = "00000000000000c0\n", none = "0000000000000000\n";
  EXPECT_EQ(run(role_request("ambient")).text,
            "Uid:\t65533\t65533\t65533\t65533\nCapPrm:\t" + both + "CapAmb:\t" + both +
                "Uid:\t65534\t65534\t65534\t65534\nCapPrm:\t" + none + "CapAmb:\t" + none);
}

// setresuid(2) takes -1 for "as it is": the child would be root, and nobody would know.
TEST(SpawnIdentity, OfNobodyAtAllIsRefused) {
  SpawnRequest request = program_request("true");
  request.uid = static_cast<uid_t>(-1);
  EXPECT_EQ(message(request),
            "spawn true: invalid argument (-1 is the id of no user and of no group)");
  request.uid.reset();
  request.gid = static_cast<gid_t>(-1);
  EXPECT_EQ(message(request),
            "spawn true: invalid argument (-1 is the id of no user and of no group)");
}

TEST(SpawnIdentity, ThatMayNotExecuteTheProgramIsNamed) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may change the user";
  const TemporaryDirectory directory;
  SpawnRequest request = program_request(directory.write("program", "#!/bin/sh\n", 0700));
  EXPECT_EQ(message(request), "spawned");
  request.uid = kNobody;
  EXPECT_EQ(message(request), "spawn " + request.file +
                                  ": permission denied (user 65534 may not "
                                  "execute " +
                                  request.file + ", or not search a directory on the way to it)");
}

TEST(SpawnIdentity, WithoutPrivilegeIsRefusedWhatIsNotItsOwn) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become nobody";
  EXPECT_EQ(
      run(role_request("nobody")).text,
      "spawn true: user 0: operation not permitted (changing it needs root, or CAP_SETUID and "
      "CAP_SETGID)\n"
      "spawn /proc/1/root/program: permission denied (a directory on the way to it may not be "
      "searched)\n");
}

TEST(SpawnGroup, IsItsOwnOnRequest) {
  SpawnRequest request = program_request(
      "sh", {"-c", "read a b c d group rest < /proc/$$/stat; echo $(($$ == group))"});
  request.fds = {-1, -1, 2};
  request.process_group = 0;
  EXPECT_EQ(run(request).text, "1\n");
  request.process_group.reset();
  EXPECT_EQ(run(request).text, "0\n");
}

TEST(Spawn, TellsTheChildItsOwnPidInAVariable) {
  SpawnRequest request = program_request("sh", {"-c", "echo $$; echo $LISTEN_PID; echo $AFTER"});
  request.env = {"PATH=/bin:/usr/bin", "LISTEN_PID=1", "AFTER=a"};
  request.pid_variable = "LISTEN_PID";
  const std::string text = run(request).text;
  const std::string pid = text.substr(0, text.find('\n'));
  EXPECT_EQ(text, pid + '\n' + pid + "\na\n");
}

TEST(Lifeline, IsToldToAChildThatAsksAndAdoptedByIt) {
  SpawnRequest request = role_request("lifeline");
  request.fds = {-1, -1, 2, -1, 2};
  request.die_with_parent = true;
  request.lifeline_in_env = true;
  EXPECT_EQ(run(request).text, "variable 5\nadopted\nvariable afterwards unset\nclose-on-exec 1\n");
}

TEST(Lifeline, OfTheParentIsNotTakenForTheChilds) {
  SpawnRequest request = role_request("lifeline");
  request.env.emplace_back("COHORT_LIFELINE_FD=9");
  EXPECT_EQ(run(request).text, "variable none\nnot adopted\nvariable afterwards unset\n");
}

TEST(Lifeline, IsNotADescriptorThatOnlyHasItsNumber) {
  EXPECT_EQ(run(role_request("no_lifeline")).text,
            "not adopted\nvariable afterwards unset\nclose-on-exec 0\n");
}

TEST(Lifeline, KillsTheChildAsItIsClosed) {
  SpawnRequest request = program_request("sleep", {"100"});
  request.die_with_parent = true;
  auto child = spawn(request);
  ASSERT_TRUE(child) << child.error();
  child->lifeline.reset();
  EXPECT_EQ(wait_exit(*child).signal(), SIGKILL);
}

}  // namespace
}  // namespace cohort::process
