#include "cli/doctor.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "cli/tables.h"

namespace cohort::cli {
namespace {

using Todo = std::vector<std::string>;

// What a worker needs at least. Node has 11 threads, and each counts as a process.
constexpr std::uint64_t kThreadsOfNode = 12;
constexpr std::uint64_t kMemoryOfWorker = 64'000'000;
// Of the primary, with one port: measured, and some to spare.
constexpr std::uint64_t kDescriptorsOfPrimary = 30, kDescriptorsPerWorker = 6;
constexpr std::uint64_t kDescriptorsFew = 1024, kDescriptorsMany = 4096, kDescriptorsWanted = 65536;
constexpr std::uint64_t kBacklog = 511;  // what a server asks for if it does not say
constexpr std::uint64_t kFoldersWatched = 8192;
constexpr int kNodeOldest = 20;

std::string number(std::uint64_t value) { return std::to_string(value); }
std::string limit_text(std::optional<std::uint64_t> limit) {
  return limit ? number(*limit) : "no limit";
}
std::string counted(std::uint64_t count, const std::string& what) {
  return number(count) + ' ' + what + (count == 1 ? "" : "s");
}

Finding not_known(const char* check, const std::string& what, const Error& why) {
  return {check, Level::Note, what + " is not known: " + why.message(),
          "cohort works without knowing it."};
}

Finding kernel(const DoctorFacts& facts) {
  constexpr std::pair kOldest{5, 10}, kWithEbpf{5, 17};
  if (!facts.kernel) return not_known("kernel", "The version", facts.kernel.error());
  std::pair version{0, 0};
  if (std::sscanf(facts.kernel->c_str(), "%d.%d", &version.first, &version.second) != 2)
    return {"kernel", Level::Note, "an unusual version: " + *facts.kernel,
            "cohort needs Linux 5.10 or newer."};
  const std::string linux = "Linux " + *facts.kernel;
  if (version < kOldest)
    return {"kernel",
            Level::Problem,
            linux,
            "cohort needs Linux 5.10 or newer.",
            {"Upgrade the kernel of the host. A container has that of its host."}};
  if (version < kWithEbpf)
    return {"kernel",
            Level::Note,
            linux,
            "cohort works. Steering by eBPF needs Linux 5.17 or newer.",
            {"Upgrade the kernel of the host. A container has that of its host."}};
  return {"kernel", Level::Ok, linux};
}

Finding child(const DoctorFacts& facts) {
  if (facts.child) return {"child", Level::Ok, "a process was started, and its end was seen"};
  // There was no program to try it with.
  if (facts.child.error().code == boost::system::errc::no_such_file_or_directory)
    return not_known("child", "Whether a process can be started", facts.child.error());
  return {"child",
          Level::Problem,
          "no process can be started: " + facts.child.error().message(),
          "cohort cannot start workers.",
          {"Look at `descriptors` and `processes` below.",
           "seccomp has to allow clone, pidfd_open, close_range and waitid."}};
}

bool is_forbidden(const Error& error) {
  return error.code == boost::system::errc::operation_not_permitted ||
         error.code == boost::system::errc::permission_denied;
}

// Why the eBPF program could not be loaded, and what the user can do about it.
std::pair<std::string, Todo> without_ebpf(const DoctorFacts& facts) {
  const Error& why = facts.ebpf.error();
  if (facts.ebpf_turned_off) return {why.detail, {"unset COHORT_EBPF"}};
  if (why.code == boost::system::errc::not_supported)
    return {why.detail, {"Build cohort again where these are: apt install clang libbpf-dev"}};
  if (is_forbidden(why) && facts.user_namespace)
    return {"capabilities of a user namespace do not count",
            {"Run it as root, outside of a rootless container."}};
  if (is_forbidden(why) && facts.may_bpf)
    return {"it is forbidden, though the capabilities are there",
            {"Look which security module or seccomp profile forbids bpf: dmesg"}};
  if (is_forbidden(why))
    return {why.detail,
            {"Docker: docker run --cap-add BPF --cap-add PERFMON ...",
             "systemd: AmbientCapabilities=CAP_BPF CAP_PERFMON"}};
  if (!facts.btf)
    return {"there is no /sys/kernel/btf/vmlinux", {"Mount /sys, or use a kernel with BTF."}};
  return {why.code.message(), {}};
}

Finding steering(const DoctorFacts& facts) {
  if (!facts.port)
    return {"steering",
            Level::Warning,
            "no port can be opened on 127.0.0.1: " + facts.port.error().message(),
            "What the kernel can do with it is not known.",
            {"If there is no such address: ip link set lo up"}};
  if (!facts.queues)
    return {"steering",
            Level::Warning,
            "the kernel steers no connections: " + facts.queues.error().message(),
            "No adaptive, hash, sticky: the primary hands over each connection.",
            {"In gVisor: docker run --runtime=runc ..."}};
  if (!facts.ebpf) {
    auto [why, todo] = without_ebpf(facts);
    return {"steering", Level::Note, "not by eBPF: " + why,
            "cohort works: adaptive takes a random worker, not the shortest queue.",
            std::move(todo)};
  }
  return {"steering", Level::Ok, "adaptive finds the shortest queue, by eBPF"};
}

Finding cpus(const DoctorFacts& facts) {
  std::string found = counted(facts.cpus, "CPU");
  if (facts.cpus_allowed != facts.cpus) found += ", " + number(facts.cpus_allowed) + " allowed";
  if (facts.cpu_quota) found += ", the cgroup has a quota of " + number(*facts.cpu_quota);
  found += ": -w auto is " + counted(facts.workers, "worker");
  if (!facts.cgroups)
    return {"cpus", Level::Note,
            found + "; the quota is not known: " + facts.cgroups.error().message(),
            "There may be too many workers. Say how many: cohort run -w N PROGRAM"};
  if (facts.workers == 1)
    return {"cpus",
            Level::Note,
            found,
            "While the only worker is replaced, nobody serves.",
            {"cohort run -w 2 PROGRAM"}};
  return {"cpus", Level::Ok, found};
}

Finding memory(const DoctorFacts& facts) {
  if (!facts.cgroups) return not_known("memory", "The limit", facts.cgroups.error());
  const auto text = [](std::uint64_t bytes) { return memory_text(static_cast<double>(bytes)); };
  const bool limited = facts.memory_max && *facts.memory_max < facts.memory_of_machine;
  const std::uint64_t all = limited ? *facts.memory_max : facts.memory_of_machine;
  const std::uint64_t share = all / facts.workers;
  const std::string found = text(all) + (limited ? " (the limit of the cgroup)" : " (no limit)") +
                            ", for each of " + counted(facts.workers, "worker") + ' ' + text(share);
  if (share >= kMemoryOfWorker) return {"memory", Level::Ok, found};
  return {
      "memory",
      Level::Warning,
      found,
      "A Node worker needs 50 MB or more. Without it the kernel kills some.",
      {"cohort run -w " + number(std::max<std::uint64_t>(all / kMemoryOfWorker, 1)) + " PROGRAM",
       "Docker: docker run --memory 1g ...", "systemd: MemoryMax=1G"}};
}

// What --max-memory can be. Of the group in which this is asked: that of a service is another.
Finding groups(const DoctorFacts& facts) {
  if (facts.memory_groups)
    return {"cgroups", Level::Ok, "each worker can have one, with --max-memory as its limit"};
  const Error& why = facts.memory_groups.error();
  Todo todo{"systemd: Delegate=memory (cohort systemd --max-memory SIZE ... prints it)",
            "By hand: systemd-run --user --scope -p Delegate=memory cohort run ..."};
  if (why.code == boost::system::errc::no_such_file_or_directory)
    todo = {"The host needs cgroup v2 alone: systemd.unified_cgroup_hierarchy=1 when it boots."};
  if (why.code == boost::system::errc::read_only_file_system)
    todo = {"Docker: docker run --security-opt writable-cgroups=true ..."};
  return {"cgroups", Level::Note, "none for each worker: " + why.detail,
          "--max-memory looks every 2 s. Who grows faster may meet the kernel first.",
          std::move(todo)};
}

Finding descriptors(const DoctorFacts& facts) {
  const std::string found =
      "at most " + limit_text(facts.descriptors) +
      " open files in a process (hard limit: " + limit_text(facts.descriptors_hard) + ')';
  const std::uint64_t soft = facts.descriptors.value_or(kDescriptorsMany);
  if (soft >= kDescriptorsMany) return {"descriptors", Level::Ok, found};
  const std::uint64_t hard =
      std::min(facts.descriptors_hard.value_or(kDescriptorsWanted), kDescriptorsWanted);
  const Todo todo{
      hard > soft ? "ulimit -n " + number(hard) : "As root: prlimit --nofile=65536 --pid $$",
      "systemd: LimitNOFILE=65536", "Docker: docker run --ulimit nofile=65536 ..."};
  const auto needed = kDescriptorsOfPrimary + kDescriptorsPerWorker * facts.workers;
  if (soft < needed)
    return {"descriptors", Level::Problem, found,
            "The primary of " + counted(facts.workers, "worker") + " needs about " +
                number(needed) + '.',
            todo};
  return {"descriptors", soft < kDescriptorsFew ? Level::Warning : Level::Note, found,
          "Each connection of a worker is one. (Node raises its limit itself.)", todo};
}

Finding processes(const DoctorFacts& facts) {
  if (!facts.cgroups) return not_known("processes", "The limit", facts.cgroups.error());
  std::string found =
      facts.pids_left ? "room for " + number(*facts.pids_left) + " more in the cgroup (pids.max)"
                      : "no limit of the cgroup";
  found += facts.user_processes_max
               ? ", at most " + number(*facts.user_processes_max) + " of this user (ulimit -u)"
               : ", no limit of this user";
  const std::uint64_t room =
      std::min(facts.pids_left.value_or(UINT64_MAX), facts.user_processes_max.value_or(UINT64_MAX));
  if (room >= facts.workers * kThreadsOfNode) return {"processes", Level::Ok, found};
  const Todo todo{"Docker: docker run --pids-limit 1000 ...", "systemd: TasksMax=1000",
                  "The user's: ulimit -u 1000"};
  if (room <= facts.workers)
    return {"processes", Level::Problem, found,
            "There is no room for " + counted(facts.workers, "worker") + '.', todo};
  return {"processes", Level::Warning, found,
          "Each thread counts, and Node has 11: " + counted(facts.workers, "worker") +
              " may not find room.",
          todo};
}

Finding backlog(const DoctorFacts& facts) {
  if (!facts.backlog_max) return not_known("backlog", "The limit", facts.backlog_max.error());
  const std::string found =
      "at most " + number(*facts.backlog_max) + " connections wait in a queue (net.core.somaxconn)";
  if (*facts.backlog_max >= kBacklog) return {"backlog", Level::Ok, found};
  return {"backlog",
          Level::Warning,
          found,
          "cohort asks for 511. In a burst, clients wait for a second or more.",
          {"sysctl -w net.core.somaxconn=4096",
           "Docker: docker run --sysctl net.core.somaxconn=4096 ..."}};
}

Finding watch(const DoctorFacts& facts) {
  if (!facts.folders_watched_max)
    return not_known("watch", "The limit", facts.folders_watched_max.error());
  const std::string found = "at most " + number(*facts.folders_watched_max) +
                            " folders are watched (fs.inotify.max_user_watches)";
  if (*facts.folders_watched_max >= kFoldersWatched) return {"watch", Level::Ok, found};
  return {"watch",
          Level::Note,
          found,
          "cohort run --watch of a large application may not see every change.",
          {"On the host: sysctl -w fs.inotify.max_user_watches=65536"}};
}

Finding directory(const DoctorFacts& facts) {
  if (facts.directory_usable)
    return {"directory", Level::Ok, "control sockets are in " + facts.directory};
  return {"directory",
          Level::Warning,
          "no control socket: " + facts.directory_usable.error().message(),
          "Programs run. But cohort ls, status, reload... do not find them.",
          {"For cohort run, and for the others: export COHORT_RUNTIME_DIR=/tmp/me"}};
}

Finding proc(const DoctorFacts& facts) {
  if (!facts.proc)
    return {"proc",
            Level::Warning,
            "/proc cannot be read: " + facts.proc.error().message(),
            "Programs run. What workers leave behind may stay. No memory is shown.",
            {"mount -t proc proc /proc"}};
  if (facts.proc_hides)
    return {"proc",
            Level::Note,
            "/proc hides the processes of other users (hidepid)",
            "If one of them has the port, cohort cannot say which.",
            {"mount -o remount,hidepid=0 /proc"}};
  return {"proc", Level::Ok, "/proc is there"};
}

Finding init(const DoctorFacts& facts) {
  return {"init", Level::Ok,
          facts.pid == 1 ? "this is PID 1: cohort run reaps orphans, and needs no tini"
                         : "this is not PID 1 (as PID 1 cohort run needs no tini)"};
}

Finding ports(const DoctorFacts& facts) {
  if (facts.low_port) return {"ports", Level::Ok, "ports below 1024, such as 80, may be used"};
  const Error& why = facts.low_port.error();
  if (why.code != boost::system::errc::permission_denied)
    return not_known("ports", "Whether port 80 may be used", why);
  return {"ports",
          Level::Note,
          "ports below 1024 may not be used",
          "Ports from 1024 on work.",
          {"sysctl -w net.ipv4.ip_unprivileged_port_start=80",
           "Docker: docker run --cap-add NET_BIND_SERVICE ...",
           "systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE"}};
}

Finding systemd(const DoctorFacts& facts) {
  if (facts.notify_socket)
    return {"systemd", Level::Ok, "Type=notify: it is told when all workers serve", "", {}};
  if (facts.listen_fds > 0)
    return {"systemd",
            Level::Note,
            "started with " + counted(facts.listen_fds, "socket") + " (LISTEN_FDS)",
            "A worker that listens on the address of one gets it.",
            {"If a program takes LISTEN_FDS: cohort run --listen ADDRESS PROGRAM"}};
  return {"systemd", Level::Ok, "no socket activation"};
}

Finding node(const DoctorFacts& facts) {
  if (facts.node.empty())
    return {"node",
            Level::Note,
            "there is no node in PATH",
            "Programs in JavaScript cannot be run. Others can.",
            {"Install Node.js 20 or newer, or add its folder to PATH."}};
  if (!facts.node_version)
    return {"node",
            Level::Warning,
            facts.node + " does not say its version: " + facts.node_version.error().message(),
            "Programs in JavaScript may not run.",
            {facts.node + " --version"}};
  const std::string found = "Node.js " + *facts.node_version + " (" + facts.node + ')';
  int major = 0;
  if (std::sscanf(facts.node_version->c_str(), "v%d", &major) != 1 || major < kNodeOldest)
    return {"node",
            Level::Warning,
            found,
            "cohort is tried with Node.js 20 and newer.",
            {"Install Node.js 20 or newer."}};
  if (!facts.preload)
    return {"node",
            Level::Warning,
            found + ", without a preload: " + facts.preload.error().message(),
            "At a stop, busy keep-alive connections of Node workers are cut.",
            {"Let /dev/shm or /tmp be written to: docker run --tmpfs /tmp ..."}};
  return {"node", Level::Ok, found};
}

std::size_t count(const std::vector<Finding>& findings, Level level) {
  return static_cast<std::size_t>(
      std::count_if(findings.begin(), findings.end(),
                    [level](const Finding& finding) { return finding.level == level; }));
}

std::string coloured(const std::string& text, Level level, bool colour) {
  constexpr const char* kColours[] = {"\x1b[32m", "\x1b[36m", "\x1b[33m", "\x1b[31m"};
  return colour ? kColours[static_cast<std::size_t>(level)] + text + "\x1b[0m" : text;
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

}  // namespace

const char* to_string(Level level) {
  constexpr const char* kNames[] = {"ok", "note", "warning", "problem"};
  return kNames[static_cast<std::size_t>(level)];
}

std::vector<Finding> examine(const DoctorFacts& facts) {
  std::vector<Finding> findings;
  for (const auto check : {kernel, child, steering, cpus, memory, groups, descriptors, processes,
                           backlog, watch, directory, proc, init, ports, systemd, node})
    findings.push_back(check(facts));
  return findings;
}

bool any_problem(const std::vector<Finding>& findings) {
  return count(findings, Level::Problem) > 0;
}

std::string findings_text(const std::vector<Finding>& findings, bool colour) {
  constexpr std::size_t kMark = 9, kCheck = 13;
  std::string text;
  for (const Finding& finding : findings) {
    text += coloured(padded(to_string(finding.level), kMark), finding.level, colour) +
            padded(finding.check, kCheck) + finding.found + '\n';
    if (!finding.means.empty()) text += std::string(kMark, ' ') + finding.means + '\n';
    for (const std::string& line : finding.todo) text += std::string(kMark + 2, ' ') + line + '\n';
  }
  text +=
      '\n' + counted(findings.size(), "check") + ": " + number(count(findings, Level::Ok)) + " ok";
  for (const Level level : {Level::Note, Level::Warning, Level::Problem})
    if (const auto so_many = count(findings, level); so_many > 0)
      text += ", " + counted(so_many, to_string(level));
  return text + (any_problem(findings) ? ". cohort cannot run properly here.\n"
                                       : ". cohort can run here.\n");
}

Value findings_value(const std::vector<Finding>& findings) {
  Value list = Value::array();
  for (const Finding& finding : findings) {
    Value todo = Value::array();
    for (const std::string& line : finding.todo) todo.push_back(line);
    list.push_back(Value::object({{"check", finding.check},
                                  {"level", to_string(finding.level)},
                                  {"found", finding.found},
                                  {"means", finding.means},
                                  {"todo", std::move(todo)}}));
  }
  Value result = Value::object({{"findings", std::move(list)}});
  for (const auto& [name, level] :
       {std::pair{"ok", Level::Ok}, std::pair{"notes", Level::Note},
        std::pair{"warnings", Level::Warning}, std::pair{"problems", Level::Problem}})
    result[name] = static_cast<std::int64_t>(count(findings, level));
  return result;
}

}  // namespace cohort::cli
