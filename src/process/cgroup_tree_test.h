// A tree of cgroups in memory, with the kernel's rules: files exist as their controllers were
// enabled, and a group with processes of its own enables none.
#pragma once

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/sys.h"
#include "process/cgroup.h"

namespace cohort::process {

class CgroupTree final : public CgroupFiles {
 public:
  static constexpr pid_t kSelf = 7;

  /// Mounted at /cg; this process is in `group`, which has these controllers.
  explicit CgroupTree(const std::string& group = "/group",
                      const std::string& controllers = "cpu memory pids", pid_t self = kSelf)
      : line_{std::to_string(self) + '\n'} {
    files["/proc/self/mountinfo"] = "35 24 0:30 / /cg rw - cgroup2 cgroup2 rw\n";
    add("/cg", controllers);
    files.erase("/cg/cgroup.type");
    for (std::size_t end = 1; end != std::string::npos && group != "/";) {
      end = group.find('/', end + 1);
      add("/cg" + group.substr(0, end), controllers);
    }
    enter("/cg" + (group == "/" ? "" : group));
  }

  Result<void> make_directory(const std::string& path) override {
    if (fails()) return system_error(EACCES, "make " + path);
    if (directories_.contains(path)) return system_error(EEXIST, "make " + path);
    add(path, files[parent_of(path) + "/cgroup.subtree_control"]);
    return {};
  }
  Result<void> remove_directory(const std::string& path) override {
    if (!files[path + "/cgroup.procs"].empty() || !directories(path).empty())
      return system_error(EBUSY, "remove " + path);
    if (directories_.erase(path) == 0) return system_error(ENOENT, "remove " + path);
    std::erase_if(files, [&](const auto& file) { return file.first.starts_with(path + '/'); });
    return {};
  }
  Result<void> write(const std::string& path, const std::string& text) override {
    if (fails()) return system_error(EACCES, "write " + path);
    if (!files.contains(path)) return system_error(ENOENT, "write " + path);
    const std::string group = parent_of(path);
    if (path.ends_with("/cgroup.subtree_control")) {
      if (files.contains(group + "/cgroup.type") && !files[group + "/cgroup.procs"].empty() &&
          text.find('+') != std::string::npos)
        return system_error(EBUSY, "write " + path);
      control(files[path], text);
    } else if (path.ends_with("/cgroup.procs")) {
      if (files.contains(group + "/cgroup.type") &&
          !files[group + "/cgroup.subtree_control"].empty())
        return system_error(EBUSY, "write " + path);
      enter(group);
    } else {
      files[path] = text;
    }
    return {};
  }
  std::optional<std::string> read(const std::string& path) override {
    const auto found = files.find(path);
    return found == files.end() ? std::nullopt : std::optional{found->second};
  }
  Result<OwnFd> open_for_writing(const std::string& path) override {
    if (read_only) return system_error(EROFS, "open " + path);
    if (!files.contains(path)) return system_error(ENOENT, "open " + path);
    return sys::open("/dev/null", 1);
  }
  std::vector<std::string> directories(const std::string& path) override {
    std::vector<std::string> names;
    for (const std::string& each : directories_)
      if (parent_of(each) == path) names.push_back(each.substr(path.size() + 1));
    return names;
  }
  std::optional<std::string> attribute(const std::string& path, const std::string& name) override {
    return read(path + '#' + name);
  }

  void add(const std::string& path, const std::string& controllers) {
    directories_.insert(path);
    for (const char* name : {"procs", "kill", "type", "subtree_control"})
      files[path + "/cgroup." + name] = "";
    files[path + "/cgroup.controllers"] = controllers;
    const auto has = [&](const char* name) { return controllers.find(name) != std::string::npos; };
    if (has("memory"))
      for (const char* name : {"max", "high", "oom.group", "events"})
        files[path + "/memory." + name] = "";
    if (has("cpu")) files[path + "/cpu.max"] = "";
    if (has("pids")) files[path + "/pids.max"] = "";
  }
  /// This process, from where it is.
  void enter(const std::string& group) {
    std::string& before = files[where_ + "/cgroup.procs"];
    if (const auto at = before.find(line_); at != std::string::npos) before.erase(at, line_.size());
    files[group + "/cgroup.procs"] += line_;
    where_ = group;
    files["/proc/self/cgroup"] = "0::" + (group == "/cg" ? "/" : group.substr(3)) + '\n';
  }
  const std::string& where() const { return where_; }
  const std::set<std::string>& all() const { return directories_; }

  std::map<std::string, std::string> files;
  bool read_only = false;
  std::optional<int> fails_at{};  ///< That change fails, the first being 0.
  int changes = 0;

 private:
  static std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }
  bool fails() { return changes++ == fails_at; }
  static void control(std::string& enabled, const std::string& change) {
    std::set<std::string> names;
    std::istringstream before{enabled}, words{change};
    for (std::string name; before >> name;) names.insert(name);
    for (std::string word; words >> word;) {
      if (word.front() == '+') names.insert(word.substr(1));
      if (word.front() == '-') names.erase(word.substr(1));
    }
    enabled.clear();
    for (const std::string& name : names) enabled += (enabled.empty() ? "" : " ") + name;
  }

  const std::string line_;  // of cgroup.procs, for this process
  std::set<std::string> directories_;
  std::string where_;
};

}  // namespace cohort::process
