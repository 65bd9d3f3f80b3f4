// A cgroup (v2) of a child's own: its limits, whether the kernel killed for lack of memory, and the
// end of all that is in it.
//
// Linux's unified hierarchy (Documentation/admin-guide/cgroup-v2.rst): a directory is a group, its
// files are its settings. Made below a group that was delegated to us. The files are behind a seam,
// so that tests have a tree of their own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/error.h"
#include "cohort/fd.h"

namespace cohort::process {

/// The files of cgroups. Contract: errno values as of the system calls.
class CgroupFiles {
 public:
  virtual ~CgroupFiles() = default;
  virtual Result<void> make_directory(const std::string& path) = 0;
  virtual Result<void> remove_directory(const std::string& path) = 0;
  /// Of a file that exists: cgroup files cannot be created.
  virtual Result<void> write(const std::string& path, const std::string& text) = 0;
  virtual std::optional<std::string> read(const std::string& path) = 0;
  virtual Result<OwnFd> open_for_writing(const std::string& path) = 0;
  /// The names of the directories in it; none if it cannot be read.
  virtual std::vector<std::string> directories(const std::string& path) = 0;
  /// An extended attribute.
  virtual std::optional<std::string> attribute(const std::string& path,
                                               const std::string& name) = 0;

  /// The real ones.
  static CgroupFiles& system();
};

struct CgroupLimits {
  std::optional<std::uint64_t> memory_max{};   ///< Bytes. At it the kernel kills all in the group.
  std::optional<std::uint64_t> memory_high{};  ///< Above it, it is slowed down.
  std::optional<double> cpu_max{};             ///< CPUs.
  std::optional<std::uint64_t> processes_max{};

  bool any() const { return memory_max || memory_high || cpu_max || processes_max; }
};

/// Where this process's own group is, in the file system; pure. Both files as in /proc/self. None
/// without a unified hierarchy.
std::optional<std::string> own_cgroup(const std::string& cgroup_file,
                                      const std::string& mountinfo_file);

/// Whose child a group is for, by the group's name; nothing: it is not one of ours. Pure.
std::optional<pid_t> maker_of(std::string_view group_name);

/// One group, with one child. Destroying it removes the group if nothing lives in it any more.
class ChildCgroup {
 public:
  /// Makes it below `parent`; empty: this process's own. An error says which file refused.
  static Result<std::unique_ptr<ChildCgroup>> make(CgroupFiles& files, const std::string& parent,
                                                   const CgroupLimits& limits);
  ~ChildCgroup();
  ChildCgroup(const ChildCgroup&) = delete;
  ChildCgroup& operator=(const ChildCgroup&) = delete;

  const std::string& path() const { return path_; }
  /// cgroup.procs, for the child to join; closed with `joined()`.
  int procs() const { return procs_.get(); }
  void joined() { procs_.reset(); }
  /// Whether the kernel has killed a process of it for lack of memory.
  bool out_of_memory() const;
  /// SIGKILL to all that is in it (Linux 5.14). False if it could not be.
  bool kill() const;

 private:
  ChildCgroup(CgroupFiles& files, std::string path) : files_{files}, path_{std::move(path)} {}

  CgroupFiles& files_;
  const std::string path_;
  OwnFd procs_;
};

}  // namespace cohort::process
