// What the child's half of spawn sets beyond Node: limits, priority, CPUs, groups, sessions.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "base/sys.h"
#include "process/child_fixture_test.h"
#include "process/helpers_test.h"
#include "process/spawn.h"

namespace cohort {
namespace {

class SpawnOption : public ChildTest {
 protected:
  Error error_of(const SpawnOptions& options) {
    record(spawn(io(), "true", {}, options));
    run();
    return errors.empty() ? Error{} : errors.back();
  }
};

TEST_F(SpawnOption, UmaskNiceAndLimitsAreTheChilds) {
  const int nice = ::getpriority(PRIO_PROCESS, 0);
  EXPECT_EQ(
      output_of(
          "umask; nice; ulimit -n; ulimit -Hn; ulimit -c",
          {.umask = 027, .nice = 3, .limits = {{RLIMIT_NOFILE, 20, 30}, {RLIMIT_CORE, 0, 0}}}),
      "0027\n" + std::to_string(nice + 3) + "\n20\n30\n0\n");
  EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), nice) << "ours is as it was";
  const mode_t mask = ::umask(022);
  ::umask(mask);
  EXPECT_EQ(output_of("umask"), "00" + std::to_string(mask / 8) + std::to_string(mask % 8) + "\n");
}

TEST_F(SpawnOption, CpusAreTheChilds) {
  cpu_set_t ours;
  ::sched_getaffinity(0, sizeof ours, &ours);
  unsigned last = 0;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &ours)) last = cpu;
  EXPECT_EQ(output_of("grep Cpus_allowed_list /proc/self/status | cut -f2", {.cpus = {last}}),
            std::to_string(last) + "\n");
  EXPECT_EQ(error_of({.cpus = {1000}}).code.value(), EINVAL);
  cpu_set_t after;
  ::sched_getaffinity(0, sizeof after, &after);
  EXPECT_TRUE(CPU_EQUAL(&ours, &after));
}

TEST_F(SpawnOption, NoNewPrivsIsTheChilds) {
  EXPECT_EQ(output_of("grep NoNewPrivs /proc/self/status | cut -f2", {.no_new_privs = true}),
            "1\n");
  EXPECT_EQ(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
}

TEST_F(SpawnOption, AProcessGroupOfItsOwnOrOneToJoin) {
  const ChildProcess leader =
      spawn(io(), "sleep", {"600"}, {.stdio = Stdio::Ignore, .process_group = 0});
  EXPECT_EQ(::getpgid(leader.pid()), leader.pid());
  const ChildProcess member =
      spawn(io(), "sleep", {"600"}, {.stdio = Stdio::Ignore, .process_group = leader.pid()});
  EXPECT_EQ(::getpgid(member.pid()), leader.pid());
  const ChildProcess plain = spawn(io(), "sleep", {"600"}, {.stdio = Stdio::Ignore});
  EXPECT_EQ(::getpgid(plain.pid()), ::getpgrp());
  for (const ChildProcess& child : {leader, member, plain}) EXPECT_TRUE(child.kill());
  run();
  EXPECT_EQ(error_of({.process_group = 1}).message(),
            "spawn true: process group: operation not permitted");
}

TEST_F(SpawnOption, EachFailureIsNamed) {
  EXPECT_EQ(error_of({.limits = {{1000, 1, 1}}}).message(),
            "spawn true: resource limit 1000: invalid argument");
  process::SpawnRequest request = process::program_request("true");
  request.cgroup_procs = STDIN_FILENO;
  const OwnFd read_only = sys::open("/dev/null", 0);
  request.cgroup_procs = read_only.get();
  EXPECT_EQ(process::spawn(request).error().message(), "spawn true: cgroup: bad file descriptor");
}

TEST_F(SpawnOption, TheParentDeathSignalIsTheLifelines) {
  process::SpawnRequest request = process::program_request(
      "sh", {"-c", "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.01; done"});
  OwnFd ends[2];
  ASSERT_EQ(sys::pipe(ends), 0);
  request.fds = {-1, ends[1].get(), 2};
  request.die_with_parent = true;
  request.death_signal = SIGTERM;
  auto child = process::spawn(request);
  ASSERT_TRUE(child) << child.error();
  ends[1].reset();
  EXPECT_EQ(process::read_line(ends[0].get()), "ready");
  child->lifeline.reset();  // as when this process ends
  EXPECT_EQ(process::read_line(ends[0].get()), "asked");
  EXPECT_EQ(process::wait_exit(*child).code(), 5);
}

}  // namespace
}  // namespace cohort
