// Where the cgroups (v2) of this process's children are made: found, and made fit for them.
//
// A group with processes of its own cannot share out memory to groups below it (cgroup-v2.rst, "No
// Internal Process Constraint"). So a process that is alone in its group moves into a new one
// below, `cohort-primary`, and those of its children are made beside that one:
//
//     GROUP/cohort-primary    this process, and whatever else it starts
//     GROUP/cohort-PID-1...   a child each (ChildCgroup)
//
// A process that finds itself in `cohort-primary` is there already: its parent moved, or systemd
// put it there (DelegateSubgroup=). In the root of the hierarchy nobody has to move.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "cohort/error.h"
#include "process/cgroup.h"

namespace cohort::process {

struct CgroupPlan {
  std::string parent;  ///< Of the children's groups: a directory.
  bool moves = false;  ///< This process, which is in `parent`.

  friend bool operator==(const CgroupPlan&, const CgroupPlan&) = default;
};

/// What would be done, for a process of that number whose children's groups need that controller
/// (`memory`). It only reads. An error's detail is half a sentence for people; its code:
/// ENOENT, the kernel has no such controller in v2; EBUSY, other processes are in the group; EPERM,
/// the group is systemd's own; or what refuses to be written.
Result<CgroupPlan> plan_cgroups(CgroupFiles& files, pid_t pid, const std::string& controller);

/// For a process with one thread that starts children.
class CgroupHome {
 public:
  /// As `plan_cgroups`, and done. What is left of processes that have ended is removed. After an
  /// error all is as it was.
  static Result<std::unique_ptr<CgroupHome>> make(CgroupFiles& files, pid_t pid,
                                                  const std::string& controller);
  /// The groups that are empty go, and this process is again where it came from.
  ~CgroupHome();
  CgroupHome(const CgroupHome&) = delete;
  CgroupHome& operator=(const CgroupHome&) = delete;

  /// For `SpawnOptions::cgroup_parent`.
  const std::string& parent() const { return plan_.parent; }
  /// Removes the groups of this process's children, and of processes that have ended, in which
  /// nobody lives: a child may leave somebody in its own. Not while one is being started.
  void sweep();

 private:
  CgroupHome(CgroupFiles& files, pid_t pid, std::string controller, CgroupPlan plan);
  Result<void> enter();
  Result<void> enable();

  CgroupFiles& files_;
  const pid_t pid_;
  const std::string controller_;
  const CgroupPlan plan_;
  bool entered_ = false;
  bool enabled_ = false;
};

}  // namespace cohort::process
