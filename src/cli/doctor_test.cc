#include "cli/doctor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace cohort::cli {
namespace {

const Error kNone = system_error(ENOENT, "read it");
const Error kForbidden = system_error(EPERM, "steer by queue lengths");

// A machine on which all is well.
DoctorFacts healthy() {
  DoctorFacts facts;
  facts.kernel = std::string{"6.1.0-13-amd64"};
  facts.may_bpf = facts.btf = true;
  facts.cpus = facts.cpus_allowed = facts.workers = 4;
  facts.memory_of_machine = 8'000'000'000;
  facts.descriptors = facts.descriptors_hard = 65536;
  facts.backlog_max = std::uint64_t{4096};
  facts.folders_watched_max = std::uint64_t{65536};
  facts.directory = "/run/cohort";
  facts.pid = 4711;
  facts.node = "/usr/bin/node";
  facts.node_version = std::string{"v26.1.0"};
  return facts;
}

Finding of(const std::string& check, const DoctorFacts& facts) {
  for (const Finding& finding : examine(facts))
    if (finding.check == check) return finding;
  ADD_FAILURE() << "no check " << check;
  return {};
}

template <class Change>
Finding with(const std::string& check, Change change) {
  DoctorFacts facts = healthy();
  change(facts);
  return of(check, facts);
}

// `warning FOUND | MEANS | WHAT TO DO | WHAT ELSE`
std::string text(const Finding& finding) {
  std::string all = std::string{to_string(finding.level)} + ' ' + finding.found;
  if (!finding.means.empty()) all += " | " + finding.means;
  for (const std::string& line : finding.todo) all += " | " + line;
  return all;
}

bool has(const Finding& finding, std::string_view part) {
  return text(finding).find(part) != std::string::npos;
}

TEST(Doctor, AHealthyMachineHasNothingToDo) {
  for (const Finding& finding : examine(healthy())) {
    EXPECT_EQ(finding.level, Level::Ok) << text(finding);
    EXPECT_TRUE(finding.means.empty() && finding.todo.empty()) << text(finding);
  }
  EXPECT_FALSE(any_problem(examine(healthy())));
}

TEST(Doctor, EveryFindingThatIsNotOkSaysWhatItMeans) {
  DoctorFacts facts;
  facts.kernel = kNone;
  facts.child = facts.port = facts.cgroups = facts.directory_usable = facts.proc = facts.low_port =
      Result<void>{kNone};
  facts.backlog_max = kNone;
  facts.folders_watched_max = kNone;
  for (const Finding& finding : examine(facts))
    EXPECT_EQ(finding.level == Level::Ok, finding.means.empty()) << text(finding);
}

TEST(DoctorKernel, HasToBeNewEnough) {
  const auto of_version = [](const char* version) {
    return with("kernel", [&](DoctorFacts& facts) { facts.kernel = std::string{version}; });
  };
  EXPECT_EQ(of_version("4.18.0-553.el8").level, Level::Problem);
  EXPECT_EQ(of_version("5.9.16").level, Level::Problem);
  EXPECT_EQ(of_version("5.10.0").level, Level::Note);
  EXPECT_TRUE(has(of_version("5.15.0-91-generic"), "needs Linux 5.17")) << "for eBPF";
  EXPECT_EQ(text(of_version("5.17.0")), "ok Linux 5.17.0");
  EXPECT_EQ(of_version("odd").level, Level::Note);
  EXPECT_EQ(text(with("kernel", [](DoctorFacts& facts) { facts.kernel = kNone; })),
            "note The version is not known: read it: no such file or directory | cohort works "
            "without knowing it.");
}

TEST(DoctorChild, IsAProblemIfNoneCanBeStarted) {
  const Finding finding =
      with("child", [](DoctorFacts& facts) { facts.child = system_error(ENOSYS, "spawn cohort"); });
  EXPECT_EQ(finding.level, Level::Problem);
  EXPECT_TRUE(has(finding, "spawn cohort")) << text(finding);
  EXPECT_EQ(with("child", [](DoctorFacts& facts) { facts.child = kNone; }).level, Level::Note)
      << "there is no program to try it with";
}

TEST(DoctorSteering, WithoutAPortOrQueuesIsAWarning) {
  EXPECT_EQ(with("steering", [](DoctorFacts& facts) { facts.port = kNone; }).level, Level::Warning);
  const Finding finding = with("steering", [](DoctorFacts& facts) { facts.queues = kForbidden; });
  EXPECT_EQ(finding.level, Level::Warning);
  EXPECT_TRUE(has(finding, "No adaptive, hash, sticky")) << text(finding);
}

TEST(DoctorSteering, WithoutEbpfIsANoteThatSaysWhatIsMissing) {
  const auto because = [](const Error& why, auto change) {
    return with("steering", [&](DoctorFacts& facts) {
      facts.ebpf = why;
      facts.may_bpf = false;
      change(facts);
    });
  };
  const auto nothing = [](DoctorFacts&) {};
  const Finding forbidden = because(kForbidden, nothing);
  EXPECT_EQ(forbidden.level, Level::Note);
  EXPECT_TRUE(has(forbidden, "a random worker")) << text(forbidden);
  EXPECT_TRUE(has(forbidden, "docker run --cap-add BPF --cap-add PERFMON")) << text(forbidden);
  EXPECT_TRUE(has(because(kForbidden, [](DoctorFacts& facts) { facts.may_bpf = true; }),
                  "security module or seccomp"));
  EXPECT_TRUE(has(because(kForbidden, [](DoctorFacts& facts) { facts.user_namespace = true; }),
                  "rootless"));
  EXPECT_TRUE(has(because(system_error(ENOTSUP, "steer"), nothing), "clang libbpf-dev"));
  EXPECT_TRUE(has(because(system_error(ENOTSUP, "steer"),
                          [](DoctorFacts& facts) { facts.ebpf_turned_off = true; }),
                  "unset COHORT_EBPF"));
  EXPECT_TRUE(has(because(kNone, [](DoctorFacts& facts) { facts.btf = false; }),
                  "there is no /sys/kernel/btf/vmlinux"));
  EXPECT_TRUE(because(system_error(EINVAL, "steer"), nothing).todo.empty()) << "nobody knows";
}

TEST(DoctorCpus, SaysWhyThereAreSoManyWorkers) {
  EXPECT_EQ(text(of("cpus", healthy())), "ok 4 CPUs: -w auto is 4 workers");
  EXPECT_EQ(text(with("cpus",
                      [](DoctorFacts& facts) {
                        facts.cpus_allowed = 3;
                        facts.cpu_quota = facts.workers = 2;
                      })),
            "ok 4 CPUs, 3 allowed, the cgroup has a quota of 2: -w auto is 2 workers");
  const Finding one = with("cpus", [](DoctorFacts& facts) { facts.workers = 1; });
  EXPECT_EQ(one.level, Level::Note);
  EXPECT_TRUE(has(one, "-w auto is 1 worker |")) << text(one);
}

TEST(DoctorMemory, IsSharedByTheWorkers) {
  EXPECT_EQ(text(of("memory", healthy())), "ok 8.0 GB (no limit), for each of 4 workers 2.0 GB");
  const auto limited = [](std::uint64_t bytes) {
    return with("memory", [&](DoctorFacts& facts) { facts.memory_max = bytes; });
  };
  EXPECT_EQ(text(limited(512'000'000)),
            "ok 512 MB (the limit of the cgroup), for each of 4 workers 128 MB");
  const Finding little = limited(128'000'000);
  EXPECT_EQ(little.level, Level::Warning);
  EXPECT_TRUE(has(little, "cohort run -w 2 PROGRAM")) << text(little);
  EXPECT_TRUE(has(limited(1'000'000), "cohort run -w 1 PROGRAM"));
  EXPECT_TRUE(has(limited(9'000'000'000), "(no limit)")) << "more than there is";
}

TEST(DoctorDescriptors, AreAProblemIfThePrimaryNeedsMore) {
  const auto of_limit = [](std::optional<std::uint64_t> soft, std::optional<std::uint64_t> hard) {
    return with("descriptors", [&](DoctorFacts& facts) {
      facts.descriptors = soft;
      facts.descriptors_hard = hard;
    });
  };
  EXPECT_EQ(of_limit(53, 53).level, Level::Problem);
  EXPECT_EQ(of_limit(54, 54).level, Level::Warning);
  EXPECT_EQ(of_limit(1024, 2000).level, Level::Note);
  EXPECT_TRUE(has(of_limit(1024, 2000), "| ulimit -n 2000 |")) << "no more than is allowed";
  EXPECT_TRUE(has(of_limit(1024, std::nullopt), "| ulimit -n 65536 |"));
  EXPECT_TRUE(has(of_limit(64, 64), "| As root: prlimit --nofile=65536 --pid $$ |"));
  EXPECT_EQ(of_limit(4096, 4096).level, Level::Ok);
  EXPECT_TRUE(has(of_limit(std::nullopt, std::nullopt), "ok at most no limit"));
}

TEST(DoctorCgroups, ForWorkersNeedADelegatedGroupOfTheirOwn) {
  const auto without = [](int number, const char* why) {
    return with("cgroups", [&](DoctorFacts& facts) {
      facts.memory_groups = Result<void>{system_error(number, "make cgroups", why)};
    });
  };
  EXPECT_EQ(text(without(EBUSY, "another process is in its cgroup")),
            "note none for each worker: another process is in its cgroup | --max-memory looks "
            "every 2 s. Who grows faster may meet the kernel first. | systemd: Delegate=memory "
            "(cohort systemd --max-memory SIZE ... prints it) | By hand: systemd-run --user "
            "--scope -p Delegate=memory cohort run ...");
  EXPECT_TRUE(has(without(EPERM, "x"), "systemd: Delegate=memory"));
  EXPECT_TRUE(has(without(EACCES, "x"), "systemd: Delegate=memory"));
  EXPECT_TRUE(has(without(ENOENT, "x"), "systemd.unified_cgroup_hierarchy=1"));
  EXPECT_TRUE(has(without(EROFS, "x"), "docker run --security-opt writable-cgroups=true"));
}

TEST(DoctorProcesses, NeedRoomForEveryThreadOfNode) {
  const auto with_room = [](std::optional<std::uint64_t> group, std::optional<std::uint64_t> user) {
    return with("processes", [&](DoctorFacts& facts) {
      facts.pids_left = group;
      facts.user_processes_max = user;
    });
  };
  EXPECT_EQ(with_room({}, {}).level, Level::Ok);
  EXPECT_EQ(with_room(48, {}).level, Level::Ok);
  EXPECT_EQ(with_room(47, {}).level, Level::Warning);
  EXPECT_EQ(with_room({}, 20).level, Level::Warning);
  EXPECT_EQ(with_room(4, 1000).level, Level::Problem);
  EXPECT_TRUE(has(with_room(4, 1000), "room for 4 more in the cgroup (pids.max), at most 1000 of"));
}

TEST(DoctorCgroups, ThatCannotBeReadAreANoteWhereverTheyCount) {
  for (const char* check : {"cpus", "memory", "processes"})
    EXPECT_EQ(with(check, [](DoctorFacts& facts) { facts.cgroups = kNone; }).level, Level::Note)
        << check;
}

TEST(DoctorBacklog, IsToBeAsLongAsServersAskFor) {
  const auto of_limit = [](Result<std::uint64_t> max) {
    return with("backlog", [&](DoctorFacts& facts) { facts.backlog_max = max; });
  };
  EXPECT_EQ(of_limit(std::uint64_t{511}).level, Level::Ok);
  EXPECT_EQ(of_limit(std::uint64_t{128}).level, Level::Warning);
  EXPECT_TRUE(has(of_limit(std::uint64_t{128}), "sysctl -w net.core.somaxconn=4096"));
  EXPECT_EQ(of_limit(kNone).level, Level::Note);
}

TEST(DoctorDirectory, ThatCannotBeHadIsAWarning) {
  EXPECT_EQ(text(of("directory", healthy())), "ok control sockets are in /run/cohort");
  const Finding finding =
      with("directory", [](DoctorFacts& facts) { facts.directory_usable = kForbidden; });
  EXPECT_EQ(finding.level, Level::Warning);
  EXPECT_TRUE(has(finding, "export COHORT_RUNTIME_DIR=")) << text(finding);
}

TEST(DoctorProc, IsMissedOrHides) {
  EXPECT_EQ(with("proc", [](DoctorFacts& facts) { facts.proc = kNone; }).level, Level::Warning);
  EXPECT_EQ(with("proc", [](DoctorFacts& facts) { facts.proc_hides = true; }).level, Level::Note);
}

TEST(DoctorInit, SaysThatPid1ReapsOrphans) {
  EXPECT_TRUE(has(with("init", [](DoctorFacts& facts) { facts.pid = 1; }), "ok this is PID 1:"));
  EXPECT_TRUE(has(of("init", healthy()), "ok this is not PID 1"));
}

TEST(DoctorPorts, BelowTheFirstFreeOneAreANote) {
  const Finding finding = with(
      "ports", [](DoctorFacts& facts) { facts.low_port = system_error(EACCES, "listen *:80"); });
  EXPECT_EQ(finding.level, Level::Note);
  EXPECT_TRUE(has(finding, "sysctl -w net.ipv4.ip_unprivileged_port_start=80")) << text(finding);
  EXPECT_TRUE(has(with("ports", [](DoctorFacts& facts) { facts.low_port = kNone; }),
                  "note Whether port 80 may be used is not known"));
}

TEST(DoctorSystemd, IsToldWhenItWaitsForThat) {
  EXPECT_EQ(with("systemd", [](DoctorFacts& facts) { facts.notify_socket = true; }).level,
            Level::Ok);
  const Finding sockets = with("systemd", [](DoctorFacts& facts) { facts.listen_fds = 2; });
  EXPECT_EQ(sockets.level, Level::Note);
  EXPECT_TRUE(has(sockets, "started with 2 sockets")) << text(sockets);
}

TEST(DoctorNode, IsMissedOnlyByProgramsInJavaScript) {
  EXPECT_EQ(with("node", [](DoctorFacts& facts) { facts.node.clear(); }).level, Level::Note);
  EXPECT_EQ(text(of("node", healthy())), "ok Node.js v26.1.0 (/usr/bin/node)");
  const auto of_version = [](Result<std::string> version) {
    return with("node", [&](DoctorFacts& facts) { facts.node_version = version; });
  };
  EXPECT_EQ(of_version(std::string{"v20.0.0"}).level, Level::Ok);
  EXPECT_EQ(of_version(std::string{"v18.20.1"}).level, Level::Warning);
  EXPECT_EQ(of_version(std::string{}).level, Level::Warning);
  EXPECT_EQ(of_version(kNone).level, Level::Warning);
  EXPECT_EQ(with("node", [](DoctorFacts& facts) { facts.preload = kNone; }).level, Level::Warning);
}

const std::vector<Finding>& some() {
  static const std::vector<Finding> findings{
      {"kernel", Level::Ok, "Linux 6.1"},
      {"node", Level::Note, "none", "It is missed.", {"apt install nodejs", "Or not."}},
      {"descriptors", Level::Problem, "too few", "It cannot run.", {"ulimit -n 65536"}}};
  return findings;
}

TEST(DoctorText, HasALineForEachCheckAndWhatToDoBelow) {
  EXPECT_EQ(findings_text(some(), false),
            "ok       kernel       Linux 6.1\n"
            "note     node         none\n"
            "         It is missed.\n"
            "           apt install nodejs\n"
            "           Or not.\n"
            "problem  descriptors  too few\n"
            "         It cannot run.\n"
            "           ulimit -n 65536\n"
            "\n"
            "3 checks: 1 ok, 1 note, 1 problem. cohort cannot run properly here.\n");
  EXPECT_EQ(findings_text({some().front()}, true),
            "\x1b[32mok       \x1b[0mkernel       Linux 6.1\n"
            "\n1 check: 1 ok. cohort can run here.\n");
}

// What is found may be long: it has an error of the system.
TEST(DoctorText, WhatToDoFitsATerminal) {
  constexpr std::size_t kMeans = 80 - 9, kTodo = 80 - 11;
  DoctorFacts little = healthy(), nothing = healthy();
  little.kernel = nothing.kernel = std::string{"4.18.0"};
  little.workers = 1;
  little.ebpf = little.directory_usable = Result<void>{kForbidden};
  little.low_port = system_error(EACCES, "listen *:80");
  little.memory_max = 1'000'000;
  little.descriptors = little.pids_left = 10;
  little.backlog_max = std::uint64_t{1};
  little.folders_watched_max = std::uint64_t{1};
  little.listen_fds = 1;
  little.node.clear();
  nothing.child = nothing.queues = Result<void>{kForbidden};
  nothing.cgroups = nothing.proc = nothing.preload = Result<void>{kNone};
  nothing.descriptors = 1024;
  nothing.notify_socket = true;
  for (const DoctorFacts& facts : {little, nothing})
    for (const Finding& finding : examine(facts)) {
      EXPECT_LE(finding.means.size(), kMeans) << finding.means;
      for (const std::string& line : finding.todo) EXPECT_LE(line.size(), kTodo) << line;
    }
}

TEST(DoctorJson, HasTheSameAsTheText) {
  const auto& findings = some();
  EXPECT_EQ(to_json(findings_value({findings.back()})),
            R"({"findings":[{"check":"descriptors","level":"problem","found":"too few",)"
            R"("means":"It cannot run.","todo":["ulimit -n 65536"]}],)"
            R"("ok":0,"notes":0,"warnings":0,"problems":1})");
}

}  // namespace
}  // namespace cohort::cli
