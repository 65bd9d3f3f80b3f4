// No worker outlives its primary: the primary is killed, the worker has to die in every case.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/sys.h"
#include "process/exit_record.h"
#include "process/helpers_test.h"

namespace cohort::process {
namespace {

using namespace std::chrono_literals;

constexpr const char* kBusyLoop = "echo ready; while :; do :; done";

// A primary in a process of its own, with one worker, in the role `primary`.
class Primary {
 public:
  /// Returns when the worker has written `ready`.
  explicit Primary(const std::vector<std::string>& args) {
    // The orphans become ours, so that they can be reaped.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    OwnFd ends[2];
    if (sys::pipe(ends) == -1) return;
    SpawnRequest request = role_request("primary", args);
    request.fds = {-1, ends[1].get(), 2};
    auto child = spawn(request);
    ends[1].reset();
    if (!child) return;
    process_ = std::move(*child);
    for (std::string line = "-"; !line.empty() && !(ready_ && worker_ && survivor_);)
      take_line(line = read_line(ends[0].get()));
  }
  ~Primary() {
    for (const OwnFd* fd : {&process_.pidfd, &worker_, &member_, &survivor_}) {
      if (!*fd) continue;
      sys::signal_process(fd->get(), SIGKILL);
      ends_within(fd->get(), 30s);
      try_reap(fd->get());
    }
  }
  Primary(const Primary&) = delete;
  Primary& operator=(const Primary&) = delete;

  bool worker_runs() const { return worker_ && ready_ && !ends_within(worker_.get(), 0ms); }
  pid_t worker_pid() const { return worker_pid_; }
  int worker() const { return worker_.get(); }
  int member() const { return member_.get(); }
  int survivor() const { return survivor_.get(); }
  void kill() const { sys::signal_process(process_.pidfd.get(), SIGKILL); }

 private:
  void take_line(const std::string& line) {
    const auto number = [&] { return std::stoi(line.substr(line.find(' ') + 1)); };
    if (line == "ready")
      ready_ = true;
    else if (line.starts_with("worker "))
      worker_ = open_process(worker_pid_ = number());
    else if (line.starts_with("survivor "))
      survivor_ = open_process(number());
    else if (line.starts_with("member "))
      member_ = open_process(number());
    else
      ADD_FAILURE() << "primary: " << line;
  }
  static OwnFd open_process(pid_t pid) {
    return OwnFd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  }

  Child process_;
  OwnFd worker_;
  OwnFd member_;  // of the worker's process group
  OwnFd survivor_;
  pid_t worker_pid_ = 0;
  bool ready_ = false;
};

void expect_death_with_primary(const std::vector<std::string>& args) {
  const Primary primary{args};
  ASSERT_TRUE(primary.worker_runs());
  primary.kill();
  EXPECT_TRUE(ends_within(primary.worker(), 5s));
  EXPECT_FALSE(ends_within(primary.survivor(), 0ms)) << "the other child was not to die";
}

TEST(Death, OfThePrimaryIsThatOfABusyWorker) {
  expect_death_with_primary({"main", "-", "sh", "-c", kBusyLoop});
}

// PR_SET_PDEATHSIG is not set here: the lifeline alone.
TEST(Death, OfThePrimaryIsThatOfAWorkerSpawnedByAThread) {
  expect_death_with_primary({"thread", "-", "sh", "-c", kBusyLoop});
}

// The first descriptor above the three: PR_SET_PDEATHSIG alone is left.
TEST(Death, OfThePrimaryIsThatOfAWorkerThatClosedItsLifeline) {
  expect_death_with_primary({"main", "-", "sh", "-c", std::string{"exec 3<&-; "} + kBusyLoop});
}

TEST(Death, OfThePrimaryIsThatOfAWorkerThatExecsAnother) {
  expect_death_with_primary({"main", "-", "sh", "-c", "exec sh -c 'echo ready; exec sleep 100'"});
}

constexpr const char* kWithMember = "sh -c 'echo member $$; echo ready; while :; do :; done'; exit";

TEST(Death, OfThePrimaryIsThatOfWhatAWorkerStarted) {
  const Primary primary{{"main", "-", "sh", "-c", kWithMember}};
  ASSERT_TRUE(primary.worker_runs());
  ASSERT_FALSE(ends_within(primary.member(), 0ms));
  primary.kill();
  EXPECT_TRUE(ends_within(primary.worker(), 5s));
  EXPECT_TRUE(ends_within(primary.member(), 5s));
}

TEST(Death, OfThePrimaryIsThatOfWhatAWorkerOfAnotherUserStarted) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may change the user";
  const Primary primary{{"thread", std::to_string(kNobody), "sh", "-c", kWithMember}};
  ASSERT_TRUE(primary.worker_runs());
  primary.kill();
  EXPECT_TRUE(ends_within(primary.member(), 5s));
}

TEST(Death, OfThePrimaryIsThatOfAWorkerOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may change the user";
  expect_death_with_primary({"main", std::to_string(kNobody), "sh", "-c", kBusyLoop});
}

TEST(Death, OfThePrimaryIsThatOfAWorkerThatChangesItsUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may change the user";
  expect_death_with_primary({"main", "-", "/proc/self/exe", "--role=become_nobody_and_spin"});
}

TEST(Death, OfThePrimaryIsThatOfAWorkerWithFileCapabilities) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give a file capabilities";
  const TemporaryDirectory directory;
  const std::string shell = directory.path() + "/shell";
  std::filesystem::copy_file("/bin/sh", shell);
  const Exit setcap =
      run(program_request("sh",
                          {"-c", "PATH=$PATH:/sbin:/usr/sbin; setcap cap_net_raw+ep " + shell}))
          .exit;
  if (!setcap.success()) GTEST_SKIP() << "setcap is missing or refused by the file system";
  const std::vector<std::string> args{"main", std::to_string(kNobody), shell, "-c", kBusyLoop};
  {
    const Primary primary{args};
    ASSERT_TRUE(primary.worker_runs());
    std::ifstream status{"/proc/" + std::to_string(primary.worker_pid()) + "/status"};
    const std::string text{std::istreambuf_iterator<char>{status}, {}};
    if (text.find("CapEff:\t0000000000002000") == std::string::npos)
      GTEST_SKIP() << "the temporary directory is mounted without file capabilities";
  }
  expect_death_with_primary(args);
}

TEST(Death, OfTheThreadThatSpawnedIsNotThatOfTheWorker) {
  const Primary primary{{"thread", "-", "sh", "-c", kBusyLoop}};
  ASSERT_TRUE(primary.worker_runs());
  EXPECT_FALSE(ends_within(primary.worker(), 200ms));
}

}  // namespace
}  // namespace cohort::process
