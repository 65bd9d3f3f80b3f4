#include "process/cgroup.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "base/sys.h"

namespace cohort::process {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "cohort-";

class SystemFiles final : public CgroupFiles {
 public:
  Result<void> make_directory(const std::string& path) override {
    if (sys::mkdir(path.c_str(), 0755) == -1) return errno_error("make " + path);
    return {};
  }
  Result<void> remove_directory(const std::string& path) override {
    if (sys::rmdir(path.c_str()) == -1) return errno_error("remove " + path);
    return {};
  }
  Result<void> write(const std::string& path, const std::string& text) override {
    const OwnFd file = sys::open(path.c_str(), O_WRONLY);
    if (!file || sys::write(file.get(), text.data(), text.size()) == -1)
      return errno_error("write " + path);
    return {};
  }
  std::optional<std::string> read(const std::string& path) override {
    const OwnFd file = sys::open(path.c_str(), O_RDONLY);
    if (!file) return std::nullopt;
    std::string text;
    char buffer[4096];
    ssize_t size = 0;
    while ((size = sys::read(file.get(), buffer, sizeof buffer)) > 0)
      text.append(buffer, static_cast<std::size_t>(size));
    if (size < 0) return std::nullopt;
    return text;
  }
  Result<OwnFd> open_for_writing(const std::string& path) override {
    OwnFd file = sys::open(path.c_str(), O_WRONLY);
    if (!file) return errno_error("open " + path);
    return file;
  }
  std::vector<std::string> directories(const std::string& path) override {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator entry{path, error}, end; !error && entry != end;
         entry.increment(error))
      if (entry->is_directory(error)) names.push_back(entry->path().filename().string());
    return names;
  }
  std::optional<std::string> attribute(const std::string& path, const std::string& name) override {
    char value[64];
    const ssize_t size = sys::getxattr(path.c_str(), name.c_str(), value, sizeof value);
    if (size < 0) return std::nullopt;
    return std::string{value, static_cast<std::size_t>(size)};
  }
};

// `0::/a/b` of /proc/self/cgroup.
std::optional<std::string> group_in_hierarchy(const std::string& cgroup_file) {
  std::istringstream lines{cgroup_file};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("0::")) return line.substr(3);
  return std::nullopt;
}

// A line of mountinfo: `36 35 98:0 /root /mount/point options - type source options`.
struct Mount {
  std::string root;
  std::string point;
};
std::optional<Mount> unified_mount(const std::string& mountinfo_file) {
  std::istringstream lines{mountinfo_file};
  for (std::string line; std::getline(lines, line);) {
    const auto separator = line.find(" - cgroup2 ");
    if (separator == std::string::npos) continue;
    std::istringstream words{line};
    std::string id, parent, device;
    Mount mount;
    if (words >> id >> parent >> device >> mount.root >> mount.point) return mount;
  }
  return std::nullopt;
}

std::string cpu_max_text(double cpus) {
  constexpr int kPeriod = 100'000;  // microseconds, the kernel's default
  return std::to_string(std::lround(cpus * kPeriod)) + ' ' + std::to_string(kPeriod);
}

std::string next_name() {
  static std::atomic<unsigned> count{0};
  return std::string{kPrefix} + std::to_string(::getpid()) + '-' + std::to_string(++count);
}

// The controllers that `limits` need, as cgroup.subtree_control takes them.
std::string controllers(const CgroupLimits& limits) {
  std::string names;
  if (limits.memory_max || limits.memory_high) names += " +memory";
  if (limits.cpu_max) names += " +cpu";
  if (limits.processes_max) names += " +pids";
  return names.substr(std::min<std::size_t>(names.size(), 1));
}

bool is_there(const Error& error) { return error.code == boost::system::errc::file_exists; }
constexpr int kTries = 1000;

Error with_hint(Error error) {
  error.detail =
      "limits need a cgroup (v2) that is delegated to this program, with the controller, "
      "and without processes of its own: see cgroup_parent";
  return error;
}

}  // namespace

CgroupFiles& CgroupFiles::system() {
  static SystemFiles files;
  return files;
}

std::optional<std::string> own_cgroup(const std::string& cgroup_file,
                                      const std::string& mountinfo_file) {
  const auto group = group_in_hierarchy(cgroup_file);
  const auto mount = unified_mount(mountinfo_file);
  if (!group || !mount) return std::nullopt;
  std::string_view path = *group;
  // In a container the mount may show only a part of the hierarchy.
  if (mount->root != "/" && path.starts_with(mount->root)) path.remove_prefix(mount->root.size());
  return mount->point + (path == "/" ? "" : std::string{path});
}

std::optional<pid_t> maker_of(std::string_view group_name) {
  if (!group_name.starts_with(kPrefix)) return std::nullopt;
  group_name.remove_prefix(kPrefix.size());
  pid_t pid = 0;
  const char* const end = group_name.data() + group_name.size();
  const auto [rest, error] = std::from_chars(group_name.data(), end, pid);
  if (error != std::errc{} || rest == end || *rest != '-' || pid <= 0) return std::nullopt;
  return pid;
}

Result<std::unique_ptr<ChildCgroup>> ChildCgroup::make(CgroupFiles& files,
                                                       const std::string& parent,
                                                       const CgroupLimits& limits) {
  std::string below = parent;
  if (below.empty()) {
    const auto own = own_cgroup(files.read("/proc/self/cgroup").value_or(""),
                                files.read("/proc/self/mountinfo").value_or(""));
    if (!own) return with_hint(system_error(ENOENT, "find the own cgroup"));
    below = *own;
  }
  // Already so where it was delegated with its controllers; if it fails, the limit's file says it.
  std::ignore = files.write(below + "/cgroup.subtree_control", controllers(limits));
  std::string path = below + '/' + next_name();
  auto made = files.make_directory(path);
  // Left by another process that had this number, and somebody lives in it.
  for (int tries = 0; !made && is_there(made.error()) && tries < kTries; ++tries)
    made = files.make_directory(path = below + '/' + next_name());
  if (!made) return with_hint(made.error());
  std::unique_ptr<ChildCgroup> group{new ChildCgroup{files, std::move(path)}};
  const auto set = [&](const char* name, const std::string& value) {
    return files.write(group->path_ + '/' + name, value);
  };
  Result<void> done;
  if (limits.memory_max) done = set("memory.max", std::to_string(*limits.memory_max));
  // Else it swaps instead of ending; there is no such file where there is no swap.
  if (done && limits.memory_max) std::ignore = set("memory.swap.max", "0");
  // What is left of a program of which the kernel has killed a part is of no use.
  if (done && limits.memory_max) done = set("memory.oom.group", "1");
  if (done && limits.memory_high) done = set("memory.high", std::to_string(*limits.memory_high));
  if (done && limits.cpu_max) done = set("cpu.max", cpu_max_text(*limits.cpu_max));
  if (done && limits.processes_max) done = set("pids.max", std::to_string(*limits.processes_max));
  if (!done) return with_hint(done.error());
  auto procs = files.open_for_writing(group->path_ + "/cgroup.procs");
  if (!procs) return with_hint(procs.error());
  group->procs_ = std::move(*procs);
  return group;
}

ChildCgroup::~ChildCgroup() { std::ignore = files_.remove_directory(path_); }

bool ChildCgroup::out_of_memory() const {
  std::istringstream words{files_.read(path_ + "/memory.events").value_or("")};
  std::string name;
  for (std::uint64_t count = 0; words >> name >> count;)
    if (name == "oom_kill") return count > 0;
  return false;
}

bool ChildCgroup::kill() const { return files_.write(path_ + "/cgroup.kill", "1").has_value(); }

}  // namespace cohort::process
