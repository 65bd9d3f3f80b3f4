// Deaths and reloads while something runs out: processes, descriptors, memory, the disk of the
// runtime directory; or while an old worker is stopped. The workers before serve on, it says what
// was missing, and goes on as before once that is there again.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "harness/control_group.h"
#include "harness/load.h"
#include "harness/verbs.h"

namespace harness {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr const char* kNoProcesses =
    "spawn .*: resource temporarily unavailable \\(the limit of processes is reached: see ulimit "
    "-u, "
    "and pids.max of the cgroup\\)";

// A lower limit of a process, until the end.
class Limited {
 public:
  Limited(pid_t pid, __rlimit_resource what, rlim_t limit) : pid_{pid}, what_{what} {
    EXPECT_EQ(::prlimit(pid, what, nullptr, &before_), 0);
    const rlimit less{.rlim_cur = limit, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::prlimit(pid, what, &less, nullptr), 0);
  }
  ~Limited() { EXPECT_EQ(::prlimit(pid_, what_, &before_, nullptr), 0); }
  Limited(const Limited&) = delete;
  Limited& operator=(const Limited&) = delete;

 private:
  const pid_t pid_;
  const __rlimit_resource what_;
  rlimit before_{};
};

// That leaves a process so many descriptors: for the verb itself, and not for a worker.
rlim_t limit_with(int free, pid_t pid) {
  std::set<int> open;
  for (const auto& fd : std::filesystem::directory_iterator{"/proc/" + std::to_string(pid) + "/fd"})
    open.insert(std::stoi(fd.path().filename()));
  int limit = 0;
  for (; free > 0; ++limit) free -= open.contains(limit) ? 0 : 1;
  return static_cast<rlim_t>(limit);
}

class Shortage : public Verbs {
 protected:
  // A user who may run an application, with a runtime directory of its own.
  void become_nobody() {
    constexpr uid_t kNobody = 65534;
    as_ = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
    fs::permissions(folder_.path(), fs::perms{0755});
    fs::create_directory(runtime_);
    ASSERT_EQ(::chown(runtime_.c_str(), kNobody, kNobody), 0);
  }
  // `server`, behind the words of who starts it.
  std::unique_ptr<Program> serve_behind(Words words, const Words& options = {"-w", "2"}) {
    fs::permissions(folder_.write("server.js", script("hello world")), fs::perms{0644});
    words.insert(words.end(), {command(), "run", "--prove", "0.2"});
    words.insert(words.end(), options.begin(), options.end());
    words.emplace_back("server.js");
    auto program = std::make_unique<Program>(words, surroundings());
    EXPECT_TRUE(program->wait_for_error("listening on .* workers\\)")) << program->transcript();
    return program;
  }
  Said verb(const Words& words) const {
    Words all = as_;
    all.push_back(command());
    all.insert(all.end(), words.begin(), words.end());
    Program program{all, surroundings()};
    const auto ended = program.wait_exit();
    return {ended ? ended->code.value_or(-1) : -1, program.output(), program.errors()};
  }
  testing::AssertionResult all_serve(Program& program) const {
    return program.wait_until("two that listen", [&] {
      return has(verb({"status"}).out, "server: 2 of 2 workers listen");
    });
  }
  // A try to start one may be a child for a moment.
  static testing::AssertionResult has_only(Program& program, const std::vector<pid_t>& workers) {
    return program.wait_until("the workers before, alone",
                              [&] { return children_of(program.pid()) == workers; });
  }
  // One of two workers dies, and there can be no successor. Who is left.
  std::vector<pid_t> expect_the_other_serves(Program& program, const std::string& reason) {
    EXPECT_TRUE(all_serve(program)) << program.transcript();
    auto before = children_of(program.pid());
    EXPECT_EQ(before.size(), 2U) << program.transcript();
    if (before.size() != 2) return before;
    ::kill(before.front(), SIGKILL);
    EXPECT_TRUE(program.wait_for_error("died: killed by SIGKILL")) << program.transcript();
    EXPECT_TRUE(program.wait_for_error(reason)) << program.transcript();
    EXPECT_TRUE(has(verb({"status"}).out, "server: 1 of 2 workers listen"))
        << verb({"status"}).text();
    const std::regex line{"(^|\n)missing  a worker cannot be started, and is tried again: " +
                          reason};
    for (const char* asked : {"status", "why"}) {
      const Said said = verb({asked});
      EXPECT_TRUE(std::regex_search(said.out, line)) << said.text();
    }
    before.erase(before.begin());
    EXPECT_TRUE(has_only(program, before)) << program.transcript();
    EXPECT_EQ(http_get(port).body, "hello world\n");
    return before;
  }
  // The reload fails, with this in its reason; the workers before it serve on.
  void expect_undone(Program& program, const std::vector<pid_t>& before,
                     const std::string& reason) {
    const Said said = verb({"reload"});
    EXPECT_EQ(said.code, 111) << said.text();
    EXPECT_TRUE(has(said.err, reason)) << said.text() << program.transcript();
    EXPECT_TRUE(has_only(program, before)) << program.transcript();
    EXPECT_EQ(http_get(port).body, "hello world\n");
  }
  // Now that there is enough.
  void expect_reloaded(Program& program) const {
    const Said said = verb({"reload"});
    EXPECT_EQ(said.code, 0) << said.text() << program.transcript();
    EXPECT_EQ(http_get(port).body, "hello world\n");
  }

  Words as_;
};

// --- processes

TEST_F(Shortage, OfProcessesOfItsUserLeavesAPlaceEmptyUntilThereAreSome) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root becomes somebody else";
  become_nobody();
  auto program = serve_behind(as_);
  // The user itself: for another one's process root needs CAP_SYS_RESOURCE, too.
  const auto limit_to = [&](const std::string& count) {
    Words words = as_;
    const std::string pid = std::to_string(program->pid());
    words.insert(words.end(), {"prlimit", "--pid", pid, "--nproc=" + count + ':'});
    return Program{words}.exits_with(0);
  };
  rlimit before{};  // It has ours.
  ASSERT_EQ(::getrlimit(RLIMIT_NPROC, &before), 0);
  ASSERT_TRUE(limit_to("1"));
  const auto left = expect_the_other_serves(*program, kNoProcesses);
  LoadGenerator load{{.port = port, .connections = 4, .request = {.keep_alive = false}}};
  expect_undone(*program, left, "the program could not be started: spawn ");
  EXPECT_TRUE(program->wait_for_error(std::string{"not reloaded: worker .*"} + kNoProcesses +
                                      "; the workers before it serve on"));
  ASSERT_TRUE(
      limit_to(before.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(before.rlim_cur)));
  EXPECT_TRUE(all_serve(*program)) << program->transcript();
  expect_reloaded(*program);
  const LoadReport report = load.stop();
  EXPECT_EQ(report.failed, 0) << report.text() << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

// The limit is met by exec: until then a worker is root.
TEST_F(Shortage, OfProcessesOfTheWorkersUserLeavesAPlaceEmptyUntilThereAreSome) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may run workers as another user";
  fs::permissions(folder_.path(), fs::perms{0755});
  auto program = serve_behind({}, {"-w", "2", "--user", "nobody"});
  std::optional<LoadGenerator> load;
  {
    const Limited limited{program->pid(), RLIMIT_NPROC, 1};
    const auto left = expect_the_other_serves(*program, kNoProcesses);
    load.emplace(LoadOptions{.port = port, .connections = 4, .request = {.keep_alive = false}});
    expect_undone(*program, left, "the limit of processes is reached");
  }
  EXPECT_TRUE(all_serve(*program)) << program->transcript();
  expect_reloaded(*program);
  const LoadReport report = load->stop();
  EXPECT_EQ(report.failed, 0) << report.text() << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Shortage, OfProcessesOfItsCgroupLeavesAPlaceEmptyUntilThereAreSome) {
  const ControlGroup group{"pids", "pids.max"};
  if (!group.is_there()) GTEST_SKIP() << "no cgroup can be made here";
  auto program = serve_behind(group.enter());
  ASSERT_TRUE(group.set("pids.max", "1"));
  const auto left = expect_the_other_serves(*program, kNoProcesses);
  LoadGenerator load{{.port = port, .connections = 4, .request = {.keep_alive = false}}};
  expect_undone(*program, left, "the limit of processes is reached");
  const Said more = verb({"scale", "+1"});
  EXPECT_EQ(more.code, 111) << more.text();
  EXPECT_TRUE(has(more.err, "cohort: a worker of server cannot be started, and is tried again: "))
      << more.text();
  EXPECT_EQ(verb({"scale", "2", "--no-wait"}).code, 0);
  ASSERT_TRUE(group.set("pids.max", "max"));
  EXPECT_TRUE(all_serve(*program)) << program->transcript();
  expect_reloaded(*program);
  const LoadReport report = load.stop();
  EXPECT_EQ(report.failed, 0) << report.text() << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Shortage, OfProcessesFromTheStartIsAnEndThatIsWorthATry) {
  const ControlGroup group{"pids", "pids.max"};
  if (!group.is_there()) GTEST_SKIP() << "no cgroup can be made here";
  folder_.write("server.js", script("hello world"));
  Words words = group.enter();
  words.insert(words.end(), {command(), "run", "-w", "2", "server.js"});
  ASSERT_TRUE(group.set("pids.max", "1"));
  ProgramOptions options = surroundings();
  options.env.emplace_back("ASAN_OPTIONS", "detect_leaks=0");  // it would start a process for that
  Program program{words, options};
  EXPECT_TRUE(program.exits_with(111)) << program.transcript();
  EXPECT_TRUE(program.wait_for_error(kNoProcesses)) << program.transcript();
}

// --- CPUs, memory

TEST_F(Shortage, OfCpusThatTheCgroupAllowsIsFollowedBothWays) {
  const ControlGroup group{"cpu", "cgroup.procs"};
  if (!group.is_there() || !group.set_cpus({}))
    GTEST_SKIP() << "no cgroup with a quota can be made here";
  auto program = serve_behind(group.enter(), {});
  const std::size_t many = children_of(program->pid()).size();
  if (many < 2) GTEST_SKIP() << "there is one CPU";
  const auto there_are = [&](std::size_t count) {
    return program->wait_until("so many",
                               [&] { return children_of(program->pid()).size() == count; });
  };
  ASSERT_TRUE(group.set_cpus(1));
  EXPECT_TRUE(program->wait_for_error(
      "may use has changed: workers now one for each CPU of the quota of its cgroup"))
      << program->transcript();
  EXPECT_TRUE(program->wait_for_error("from now on 1 worker$")) << program->transcript();
  EXPECT_TRUE(there_are(1)) << program->transcript();
  EXPECT_TRUE(has(verb({"status"}).out, "workers  1, one for each CPU of the quota of its cgroup"));
  ASSERT_TRUE(group.set_cpus({}));
  EXPECT_TRUE(program->wait_for_error("from now on " + std::to_string(many) + " workers"))
      << program->transcript();
  EXPECT_TRUE(there_are(many)) << program->transcript();
  EXPECT_EQ(http_get(port).body, "hello world\n");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Shortage, OfMemoryThatKillsAWorkerIsSaidAndItIsReplaced) {
  const ControlGroup group{"memory", "cgroup.procs"};
  const std::string limit = std::to_string(400 << 20);
  const bool limited =
      group.is_there() &&
      (group.is_old() ? group.set("memory.limit_in_bytes", limit) : group.set("memory.max", limit));
  if (!limited) GTEST_SKIP() << "no cgroup with a limit of memory can be made here";
  folder_.write("server.js", script("hello world",
                                    "const hoard = [];\n"
                                    "const fill = () => {\n"
                                    "  hoard.push(Buffer.alloc(16 << 20, 1));\n"
                                    "  setImmediate(fill);\n"
                                    "};\n"
                                    "process.on('SIGUSR2', fill);\n"));
  Words words = group.enter();
  words.insert(words.end(), {command(), "run", "-w", "2", "server.js"});
  Program program{words, surroundings()};
  ASSERT_TRUE(program.wait_for_error("all 2 workers listen")) << program.transcript();
  const auto before = children_of(program.pid());
  ASSERT_EQ(before.size(), 2U) << program.transcript();
  ::kill(before.back(), SIGUSR2);
  EXPECT_TRUE(program.wait_for_error(
      "worker 2 .*died: killed by SIGKILL by the kernel, out of memory \\(the limit of the cgroup"))
      << program.transcript();
  EXPECT_TRUE(program.wait_for_error("worker 3 .*listens in place of worker 2"))
      << program.transcript();
  EXPECT_TRUE(is_alive(before.front()));
  const Said why = verb({"why"});
  EXPECT_TRUE(has(why.out, "by the kernel, out of memory")) << why.text();
  EXPECT_TRUE(has(verb({"why", "--json"}).out, R"("cause":"out of memory")"));
  ::kill(before.front(), SIGKILL);
  EXPECT_TRUE(program.wait_for_error("worker 1 .*died: killed by SIGKILL$")) << "that was not it";
  EXPECT_EQ(http_get(port).body, "hello world\n");
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- descriptors, disks

TEST_F(Shortage, OfDescriptorsUndoesAReload) {
  auto program = serve();
  LoadGenerator generator{{.port = port, .connections = 4}};
  {
    const Limited limited{program->pid(), RLIMIT_NOFILE, limit_with(3, program->pid())};
    expect_undone(*program, children_of(program->pid()), "too many open files");
  }
  expect_reloaded(*program);
  const LoadReport report = generator.stop();
  EXPECT_EQ(report.failed, 0) << report.text() << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

// It can open nothing, read nothing in /proc, and take no request to its control socket.
TEST_F(Shortage, OfEveryDescriptorLeavesAPlaceEmptyUntilThereAreSome) {
  auto program = serve();
  ASSERT_TRUE(all_serve(*program)) << program->transcript();
  const auto before = children_of(program->pid());
  ASSERT_EQ(before.size(), 2U) << program->transcript();
  std::optional<LoadGenerator> load;
  {
    const Limited limited{program->pid(), RLIMIT_NOFILE, 0};
    ::kill(before.front(), SIGKILL);
    EXPECT_TRUE(program->wait_for_error("died: killed by SIGKILL")) << program->transcript();
    EXPECT_TRUE(program->wait_for_error("too many open files")) << program->transcript();
    load.emplace(LoadOptions{.port = port, .connections = 4, .request = {.keep_alive = false}});
    EXPECT_TRUE(eventually("the other to serve", [&] { return load->ok() > 0; }));
  }
  EXPECT_TRUE(all_serve(*program)) << program->transcript();
  expect_reloaded(*program);
  const LoadReport report = load->stop();
  EXPECT_EQ(report.failed, 0) << report.text() << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Shortage, OfRoomForItsLogStopsNothingAndTheLinesAreThereOnceThereIsRoom) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root mounts a small disk";
  folder_.write("server.js", script("hello world"));
  const std::string disk = folder_.path() + "/disk";
  fs::create_directory(disk);
  Program program{{"unshare", "--mount", "sh", "-c",
                   "mount -t tmpfs -o size=64k none \"$0\" && : > \"$0/log\" &&\n"
                   "{ cat /dev/zero > \"$0/fill\" 2> /dev/null; exec \"$@\" 2> \"$0/log\"; }",
                   disk, command(), "run", "-w", "2", "--prove", "0.2", "server.js"},
                  surroundings()};
  ASSERT_TRUE(program.wait_until("the control socket", [&] {
    return has(verb({"status"}).out, "server: 2 of 2 workers listen");
  })) << program.transcript();
  const std::string seen = "/proc/" + std::to_string(program.pid()) + "/root" + disk;
  EXPECT_EQ(fs::file_size(seen + "/log"), 0U) << "it is full";
  LoadGenerator load{{.port = port, .connections = 4, .request = {.keep_alive = false}}};
  expect_reloaded(program);
  const LoadReport report = load.stop();
  EXPECT_EQ(report.failed, 0) << report.text();
  ASSERT_TRUE(fs::remove(seen + "/fill"));
  expect_reloaded(program);
  std::string log;
  EXPECT_TRUE(program.wait_until("the lines", [&] {
    std::ifstream file{seen + "/log"};
    log.assign(std::istreambuf_iterator<char>{file}, {});
    return has(log, "cohort: reloaded: generation 3");
  })) << log;
  EXPECT_TRUE(has(log, "cohort: all 2 workers listen")) << log;
  EXPECT_TRUE(has(log, "cohort: reloaded: generation 2")) << log;
  program.signal(SIGTERM);
  EXPECT_TRUE(program.exits_with(0));
}

TEST_F(Shortage, OfRoomForTheRuntimeDirectoryIsSaidAndTheServiceRuns) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root mounts a small disk";
  folder_.write("server.js", script("hello world"));
  std::filesystem::create_directory(runtime_);
  Program program{{"unshare", "--mount", "sh", "-c",
                   "mount -t tmpfs -o nr_inodes=1,mode=700 none \"$0\" && exec \"$@\"", runtime_,
                   command(), "run", "-w", "2", "server.js"},
                  surroundings()};
  EXPECT_TRUE(program.wait_for_error("all 2 workers listen")) << program.transcript();
  EXPECT_TRUE(program.wait_for_error("no control socket, so that .*: no space left on device"))
      << program.transcript();
  EXPECT_EQ(http_get(port).body, "hello world\n");
  program.signal(SIGHUP);
  EXPECT_TRUE(program.wait_for_error("reloaded: generation 2")) << program.transcript();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// Its socket and its lock need a name, and no room.
TEST_F(Shortage, OfRoomInTheRuntimeDirectoryThatHasNamesLeftIsNone) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root mounts a small disk";
  fs::create_directory(runtime_);
  auto program = serve_behind({"unshare", "--mount", "sh", "-c",
                               "mount -t tmpfs -o size=64k,mode=700 none \"$0\" &&\n"
                               "{ cat /dev/zero > \"$0/fill\" 2> /dev/null; exec \"$@\"; }",
                               runtime_});
  as_ = {"nsenter", "-t", std::to_string(program->pid()), "-m"};
  EXPECT_TRUE(all_serve(*program)) << program->transcript();
  expect_reloaded(*program);
  EXPECT_EQ(verb({"restart"}).code, 0) << program->transcript();
  EXPECT_TRUE(all_serve(*program)) << program->transcript();
  EXPECT_FALSE(has(program->errors(), "no control socket")) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

// It is woken when it is told to end.
TEST_F(Shortage, OfAWorkerThatIsStoppedWhileItDrainsEndsTheReloadAllTheSame) {
  auto program = serve();
  LoadGenerator generator{{.port = port, .connections = 4, .request = {.keep_alive = false}}};
  const auto before = children_of(program->pid());
  EXPECT_EQ(verb({"reload", "--no-wait"}).code, 0);
  for (const pid_t old : before) {
    EXPECT_TRUE(program->wait_until("its successor to serve", [&] {
      return has(verb({"status"}).out, "held") || has(program->errors(), "reloaded");
    })) << program->transcript();
    ::kill(old, SIGSTOP);
  }
  EXPECT_TRUE(program->wait_for_error("reloaded: generation 2")) << program->transcript();
  EXPECT_TRUE(program->wait_until("the end of those before", [&] {
    const auto now = children_of(program->pid());
    return now.size() == 2 &&
           std::find_first_of(now.begin(), now.end(), before.begin(), before.end()) == now.end();
  })) << program->transcript();
  const LoadReport report = generator.stop();
  // Those whose worker was stopped under them have waited for it.
  EXPECT_EQ(report.failed, 0) << report.text() << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
