#include "process/cgroup.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <map>
#include <set>

#include "base/sys.h"
#include "process/child_fixture_test.h"

namespace cohort::process {
namespace {

// A tree of cgroups in memory: a new group has the files of the controllers that were delegated.
class FakeFiles final : public CgroupFiles {
 public:
  Result<void> make_directory(const std::string& path) override {
    if (read_only) return system_error(EACCES, "make " + path);
    directories.insert(path);
    for (const char* name : {"cgroup.procs", "cgroup.kill"}) files[path + '/' + name] = "";
    const std::string& enabled = files["/group/cgroup.subtree_control"];
    const auto has = [&](const char* name) { return enabled.find(name) != std::string::npos; };
    if (has("memory")) files[path + "/memory.max"] = files[path + "/memory.events"] = "";
    if (has("cpu")) files[path + "/cpu.max"] = "";
    if (has("pids")) files[path + "/pids.max"] = "";
    return {};
  }
  Result<void> remove_directory(const std::string& path) override {
    directories.erase(path);
    return {};
  }
  Result<void> write(const std::string& path, const std::string& text) override {
    const bool control = path.ends_with("subtree_control");
    if (!files.contains(path) && !control) return system_error(ENOENT, "write " + path);
    if (control && refuses_control) return system_error(EBUSY, "write " + path);
    files[path] = text;
    return {};
  }
  std::optional<std::string> read(const std::string& path) override {
    const auto found = files.find(path);
    return found == files.end() ? std::nullopt : std::optional{found->second};
  }
  Result<OwnFd> open_for_writing(const std::string& path) override {
    if (!files.contains(path)) return system_error(ENOENT, "open " + path);
    return sys::open("/dev/null", 1);
  }

  std::map<std::string, std::string> files;
  std::set<std::string> directories;
  bool read_only = false;
  bool refuses_control = false;
};

const CgroupLimits kLimits{.memory_max = 1 << 20, .cpu_max = 1.5, .processes_max = 10};

TEST(ChildCgroup, HasTheLimitsAndGoesWithItsObject) {
  FakeFiles files;
  auto group = ChildCgroup::make(files, "/group", kLimits);
  ASSERT_TRUE(group) << group.error();
  const std::string path = (*group)->path();
  EXPECT_TRUE(path.starts_with("/group/cohort-" + std::to_string(::getpid()) + '-')) << path;
  EXPECT_EQ(files.files["/group/cgroup.subtree_control"], "+memory +cpu +pids");
  EXPECT_EQ(files.files[path + "/memory.max"], "1048576");
  EXPECT_EQ(files.files[path + "/cpu.max"], "150000 100000");
  EXPECT_EQ(files.files[path + "/pids.max"], "10");
  EXPECT_GE((*group)->procs(), 0);
  (*group)->joined();
  EXPECT_EQ((*group)->procs(), -1);
  EXPECT_EQ(files.directories.size(), 1U);
  group->reset();
  EXPECT_TRUE(files.directories.empty());
}

TEST(ChildCgroup, KnowsThatTheKernelKilled) {
  FakeFiles files;
  const auto group = ChildCgroup::make(files, "/group", {.memory_max = 1 << 20}).value();
  std::string& events = files.files[group->path() + "/memory.events"];
  EXPECT_FALSE(group->out_of_memory());
  events = "low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\n";
  EXPECT_FALSE(group->out_of_memory());
  events = "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n";
  EXPECT_TRUE(group->out_of_memory());
  EXPECT_TRUE(group->kill());
  EXPECT_EQ(files.files[group->path() + "/cgroup.kill"], "1");
}

TEST(ChildCgroup, SaysWhichFileRefused) {
  FakeFiles files;
  files.refuses_control = true;
  auto group = ChildCgroup::make(files, "/group", kLimits);
  ASSERT_FALSE(group);
  EXPECT_NE(group.error().op.find("/memory.max"), std::string::npos) << group.error();
  EXPECT_NE(group.error().detail.find("cgroup_parent"), std::string::npos);
  EXPECT_TRUE(files.directories.empty());
  files.read_only = true;
  group = ChildCgroup::make(files, "/group", kLimits);
  EXPECT_EQ(group.error().code.value(), EACCES);
  group = ChildCgroup::make(files, "", kLimits);
  EXPECT_EQ(group.error().op, "find the own cgroup");
}

TEST(ChildCgroup, IsMadeBelowOurOwn) {
  const std::string mounts =
      "24 30 0:22 / /proc rw - proc proc rw\n"
      "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
  EXPECT_EQ(own_cgroup("0::/user.slice/x.scope\n", mounts), "/sys/fs/cgroup/user.slice/x.scope");
  EXPECT_EQ(own_cgroup("4:memory:/a\n0::/\n", mounts), "/sys/fs/cgroup");
  EXPECT_EQ(own_cgroup("4:memory:/a\n", mounts), std::nullopt);
  EXPECT_EQ(own_cgroup("0::/x\n", "24 30 0:22 / /proc rw - proc proc rw\n"), std::nullopt);
  EXPECT_EQ(own_cgroup("0::/pod/a/b\n", "35 24 0:30 /pod/a /cg rw - cgroup2 cgroup2 rw\n"),
            "/cg/b");
}

class CgroupOption : public ChildTest {};

// Where this machine has one that we may use, or says so.
TEST_F(CgroupOption, TheRealOneHoldsTheChildOrTheErrorSaysWhy) {
  const auto child = cohort::spawn(io(), "sh", {"-c", "cat /proc/self/cgroup; sleep 600 & wait"},
                                   {.memory_max = 64 << 20});
  record(child);
  std::string text;
  child.stdout_().on_data([&](std::string_view data) {
    text += data;
    child.kill_tree();
  });
  run();
  if (child.pid() != 0) {
    EXPECT_NE(text.find("cohort-"), std::string::npos) << text;
    EXPECT_EQ(exits.at(0).signal(), SIGKILL);
  } else {
    EXPECT_EQ(events, (Strings{"error", "close"}));
    EXPECT_NE(errors.at(0).detail.find("cgroup_parent"), std::string::npos) << errors[0];
  }
}

}  // namespace
}  // namespace cohort::process
