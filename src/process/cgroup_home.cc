#include "process/cgroup_home.h"

#include <algorithm>
#include <cerrno>
#include <sstream>
#include <string_view>
#include <utility>

namespace cohort::process {
namespace {

constexpr std::string_view kLeaf = "/cohort-primary";

// A name in a list of them, separated by blanks.
bool lists(const std::string& text, const std::string& name) {
  std::istringstream words{text};
  for (std::string word; words >> word;)
    if (word == name) return true;
  return false;
}

// systemd marks what it has delegated. In the groups of its other units nobody else may make some:
// it would undo that at its next reload.
bool is_systemds_own(CgroupFiles& files, const std::string& group) {
  if (!group.ends_with(".service") && !group.ends_with(".scope")) return false;
  return files.attribute(group, "user.delegate") != "1" &&
         files.attribute(group, "trusted.delegate") != "1";
}

Error cannot(int number, std::string why) {
  return system_error(number, "make cgroups", std::move(why));
}

// 0 is a process that cannot be seen from this PID namespace.
Result<void> is_alone(CgroupFiles& files, const std::string& group, pid_t pid) {
  const auto processes = files.read(group + "/cgroup.procs");
  if (!processes) return cannot(EACCES, "who is in its cgroup cannot be read");
  std::istringstream lines{*processes};
  std::size_t others = 0;
  for (pid_t each = 0; lines >> each;) others += each == pid ? 0 : 1;
  if (others == 0) return {};
  return cannot(EBUSY, others == 1 ? "another process is in its cgroup"
                                   : std::to_string(others) + " other processes are in its cgroup");
}

}  // namespace

Result<CgroupPlan> plan_cgroups(CgroupFiles& files, pid_t pid, const std::string& controller) {
  const auto own = own_cgroup(files.read("/proc/self/cgroup").value_or(""),
                              files.read("/proc/self/mountinfo").value_or(""));
  if (!own) return cannot(ENOENT, "there are no cgroups (v2) here");
  CgroupPlan plan{.parent = *own};
  if (own->ends_with(kLeaf))
    plan.parent.resize(own->size() - kLeaf.size());
  else
    plan.moves = files.read(*own + "/cgroup.type").has_value();  // which the root has not
  const auto controllers = files.read(plan.parent + "/cgroup.controllers");
  if (!controllers || !lists(*controllers, controller))
    return cannot(ENOENT, "its cgroup (v2) has no " + controller + " controller");
  if (plan.moves && is_systemds_own(files, plan.parent))
    return cannot(EPERM, "systemd has not delegated its cgroup");
  if (const auto file = files.open_for_writing(plan.parent + "/cgroup.subtree_control"); !file)
    return cannot(file.error().code.value(),
                  "its cgroup cannot be written: " + file.error().code.message());
  if (plan.moves)
    if (const auto alone = is_alone(files, plan.parent, pid); !alone) return alone.error();
  return plan;
}

CgroupHome::CgroupHome(CgroupFiles& files, pid_t pid, std::string controller, CgroupPlan plan)
    : files_{files}, pid_{pid}, controller_{std::move(controller)}, plan_{std::move(plan)} {}

Result<std::unique_ptr<CgroupHome>> CgroupHome::make(CgroupFiles& files, pid_t pid,
                                                     const std::string& controller) {
  auto plan = plan_cgroups(files, pid, controller);
  if (!plan) return plan.error();
  std::unique_ptr<CgroupHome> home{new CgroupHome{files, pid, controller, *std::move(plan)}};
  home->sweep();
  if (home->plan_.moves)
    if (const auto entered = home->enter(); !entered) return entered.error();
  if (const auto enabled = home->enable(); !enabled) return enabled.error();
  return home;
}

Result<void> CgroupHome::enter() {
  const std::string leaf = plan_.parent + std::string{kLeaf};
  auto made = files_.make_directory(leaf);
  if (!made && made.error().code != boost::system::errc::file_exists) return made;
  entered_ = true;
  return files_.write(leaf + "/cgroup.procs", "0");
}

Result<void> CgroupHome::enable() {
  const std::string file = plan_.parent + "/cgroup.subtree_control";
  if (lists(files_.read(file).value_or(""), controller_)) return {};
  auto written = files_.write(file, '+' + controller_);
  enabled_ = written.has_value();
  return written;
}

CgroupHome::~CgroupHome() {
  sweep();
  if (!entered_) return;
  // In this order: nobody can enter a group that shares out.
  if (enabled_)
    std::ignore = files_.write(plan_.parent + "/cgroup.subtree_control", '-' + controller_);
  std::ignore = files_.write(plan_.parent + "/cgroup.procs", "0");
  std::ignore = files_.remove_directory(plan_.parent + std::string{kLeaf});
}

void CgroupHome::sweep() {
  for (const std::string& name : files_.directories(plan_.parent)) {
    const auto maker = maker_of(name);
    if (!maker) continue;
    const bool lives =
        *maker != pid_ && files_.read("/proc/" + std::to_string(*maker) + "/stat").has_value();
    if (!lives) std::ignore = files_.remove_directory(plan_.parent + '/' + name);
  }
}

}  // namespace cohort::process
