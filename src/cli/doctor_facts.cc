#include "cli/doctor_facts.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "base/cgroups.h"
#include "base/parallelism.h"
#include "base/read_file.h"
#include "base/sys.h"
#include "cli/program_of.h"
#include "cluster/node_launch.h"
#include "cohort/child_process.h"
#include "cohort/parallelism.h"
#include "manager/runtime_directory.h"
#include "net/bind.h"
#include "net/slot_group.h"
#include "process/cgroup_home.h"

namespace cohort::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

Result<std::string> text_of(const char* path) {
  auto text = read_file(path);
  if (!text) return errno_error(std::string{"read "} + path);
  return std::move(*text);
}

std::optional<std::uint64_t> number_in(const std::string& path) {
  const auto number = number_of(read_file(path).value_or(""));
  if (!number || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

Result<std::string> kernel_version() {
  utsname name{};
  if (::uname(&name) == -1) return errno_error("uname");
  return std::string{name.release};
}

SpawnOptions with_patience() {
  SpawnOptions options;
  options.timeout = 10s;
  return options;
}

// This program itself: its file is there, and starts fast.
Result<void> try_child() {
  const auto self = process::running_program();
  const auto output = spawn_sync(self ? *self : "true", {"--version"}, with_patience());
  if (output.error) return *output.error;
  return {};
}

void try_steering(DoctorFacts& facts) {
  auto group = net::SlotGroup::open({.address = Address{"127.0.0.1", 0}});
  if (!group) {
    facts.port = group.error();
    return;
  }
  const std::array<unsigned, 1> weight{1};
  facts.queues = group->steer(net::choose_at_random(weight));
  if (facts.queues) facts.queues = group->add();
  if (facts.queues) facts.ebpf = group->steer_by_queues({net::kWholeShare, net::kWholeShare});
}

// The first one has all ids of users: `0 0 4294967295`.
bool in_user_namespace() {
  std::istringstream map{read_file("/proc/self/uid_map").value_or("")};
  std::uint64_t inside = 0, outside = 0, count = 0;
  return (map >> inside >> outside >> count) && (outside != 0 || count != UINT32_MAX);
}

Result<void> cgroups_readable() {
  if (const auto groups = text_of("/proc/self/cgroup"); !groups) return groups.error();
  std::error_code error;
  if (fs::is_empty("/sys/fs/cgroup", error) || error)
    return system_error(error ? error.value() : ENOENT, "read /sys/fs/cgroup");
  return {};
}

std::optional<std::uint64_t> memory_max() {
  constexpr std::uint64_t kNone = 1ULL << 62;  // The old hierarchy writes a number near 2^63.
  const auto limit = least_limit(
      read_file, "memory",
      [](const std::string& directory) { return number_in(directory + "/memory.max"); },
      [](const std::string& directory) { return number_in(directory + "/memory.limit_in_bytes"); });
  return limit && *limit < kNone ? limit : std::nullopt;
}

std::optional<std::uint64_t> pids_left() {
  const LimitOfGroup left = [](const std::string& directory) -> std::optional<std::uint64_t> {
    const auto max = number_in(directory + "/pids.max");
    const auto current = number_in(directory + "/pids.current");
    if (!max) return std::nullopt;
    return *max - std::min(*max, current.value_or(0));
  };
  return least_limit(read_file, "pids", left, left);
}

std::optional<std::uint64_t> finite(rlim_t limit) {
  if (limit == RLIM_INFINITY) return std::nullopt;
  return limit;
}

void find_limits(DoctorFacts& facts) {
  facts.cgroups = cgroups_readable();
  facts.cpus = static_cast<unsigned>(std::max(::sysconf(_SC_NPROCESSORS_ONLN), 1L));
  facts.cpus_allowed = cpus_allowed();
  facts.cpu_quota = cgroup_cpu_limit(read_file);
  facts.workers = available_parallelism();
  facts.memory_max = memory_max();
  facts.memory_of_machine = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                            static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto groups = process::plan_cgroups(process::CgroupFiles::system(), ::getpid(), "memory");
  if (!groups) facts.memory_groups = groups.error();
  facts.pids_left = pids_left();
  rlimit limit{};
  ::getrlimit(RLIMIT_NPROC, &limit);
  // The kernel does not count those of root, nor of whoever has one of these.
  if (::getuid() != 0 && !sys::has_capabilities({CAP_SYS_ADMIN}) &&
      !sys::has_capabilities({CAP_SYS_RESOURCE}))
    facts.user_processes_max = finite(limit.rlim_cur);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  facts.descriptors = finite(limit.rlim_cur);
  facts.descriptors_hard = finite(limit.rlim_max);
}

Result<std::uint64_t> system_limit(const char* file) {
  const auto text = text_of(file);
  if (!text) return text.error();
  return static_cast<std::uint64_t>(number_of(*text).value_or(0));
}

// Nothing is made: what is there already is looked at, or whether it could be made.
Result<void> directory_usable(const std::string& directory) {
  fs::path existing = directory;
  std::error_code error;
  while (!fs::exists(fs::symlink_status(existing, error)) && existing.has_relative_path())
    existing = existing.parent_path();
  if (existing == directory)
    if (const auto usable = manager::make_directory(directory); !usable) return usable;
  if (sys::access(existing.c_str(), W_OK | X_OK) == -1)
    return errno_error("write to " + existing.string());
  return {};
}

// Bound and not listening, for a moment: with SO_REUSEADDR it is in nobody's way.
Result<void> try_low_port() {
  constexpr std::uint16_t kHttp = 80;
  const auto bound = net::bind_socket({.address = Address{"127.0.0.1", kHttp}});
  if (bound || bound.error().code == boost::system::errc::address_in_use) return {};
  return bound.error();
}

unsigned listen_fds() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || number_of(pid) != ::getpid()) return 0;
  return static_cast<unsigned>(std::max(number_of(count).value_or(0), 0LL));
}

void find_node(DoctorFacts& facts) {
  const auto node = program_of("node");
  if (!std::holds_alternative<process::Program>(node)) return;
  facts.node = std::get<process::Program>(node).file;
  SpawnOptions options = with_patience();
  options.add_env = {{"NODE_OPTIONS", ""}};
  const Output output = spawn_sync(facts.node, {"--version"}, options);
  if (output.error)
    facts.node_version = *output.error;
  else
    facts.node_version = output.stdout_.substr(0, output.stdout_.find('\n'));
  if (const auto preload = cluster::preload_file(); !preload) facts.preload = preload.error();
}

}  // namespace

DoctorFacts doctor_facts() {
  DoctorFacts facts;
  facts.kernel = kernel_version();
  facts.child = try_child();
  try_steering(facts);
  const char* ebpf = std::getenv("COHORT_EBPF");
  facts.ebpf_turned_off = ebpf != nullptr && std::string_view{ebpf} == "0";
  facts.may_bpf =
      sys::has_capabilities({CAP_BPF, CAP_PERFMON}) || sys::has_capabilities({CAP_SYS_ADMIN});
  facts.user_namespace = in_user_namespace();
  facts.btf = sys::access("/sys/kernel/btf/vmlinux", R_OK) == 0;
  find_limits(facts);
  facts.backlog_max = system_limit("/proc/sys/net/core/somaxconn");
  facts.folders_watched_max = system_limit("/proc/sys/fs/inotify/max_user_watches");
  facts.directory = manager::runtime_directory(manager::surroundings());
  facts.directory_usable = directory_usable(facts.directory);
  if (const auto stat = text_of("/proc/self/stat"); !stat) facts.proc = stat.error();
  facts.proc_hides = !read_file("/proc/1/stat");
  facts.pid = ::getpid();
  facts.low_port = try_low_port();
  facts.listen_fds = listen_fds();
  facts.notify_socket = std::getenv("NOTIFY_SOCKET") != nullptr;
  find_node(facts);
  return facts;
}

}  // namespace cohort::cli
