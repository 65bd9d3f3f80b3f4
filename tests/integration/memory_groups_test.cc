// `cohort run --max-memory` with the kernel's limits: each worker in a cgroup (v2) of its own.
// Where none can be made it says why, and looks at the workers as ever.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "harness/verbs.h"

namespace harness {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr const char* kNotLimited = "no cgroup limits a worker's memory: ";

std::string text_of(const std::string& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

bool write_to(const std::string& path, const std::string& text) {
  std::ofstream file{path};
  file << text << std::flush;
  return static_cast<bool>(file);
}

// A group below the one of the test, as systemd delegates it: with a memory controller, and nobody
// in it. Empty where there can be none.
class DelegatedGroup {
 public:
  DelegatedGroup() {
    std::string mount, own;
    std::istringstream mounts{text_of("/proc/self/mountinfo")},
        groups{text_of("/proc/self/cgroup")};
    for (std::string line, word; mount.empty() && std::getline(mounts, line);)
      if (line.find(" - cgroup2 ") != std::string::npos)
        std::istringstream{line} >> word >> word >> word >> word >> mount;
    for (std::string line; std::getline(groups, line);)
      if (line.starts_with("0::")) own = line.substr(3);
    if (mount.empty() || own.empty()) return;
    const std::string parent = mount + (own == "/" ? "" : own);
    write_to(parent + "/cgroup.subtree_control", "+memory");
    const std::string path = parent + "/cohort-test-" + std::to_string(::getpid());
    if (std::error_code error; !fs::create_directory(path, error)) return;
    path_ = path;
    if (!fs::exists(path_ + "/memory.max")) remove();
  }
  ~DelegatedGroup() { remove(); }
  DelegatedGroup(const DelegatedGroup&) = delete;
  DelegatedGroup& operator=(const DelegatedGroup&) = delete;

  bool is_there() const { return !path_.empty(); }
  const std::string& path() const { return path_; }
  // Behind which a command line runs in it, or in a group below.
  Words enter(const std::string& below = "") const {
    return {"sh", "-c", "echo 0 > \"$0\" && exec \"$@\"", path_ + below + "/cgroup.procs"};
  }
  std::set<std::string> below() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator{path_})
      if (entry.is_directory()) names.insert(entry.path().filename());
    return names;
  }

 private:
  void remove() {
    if (path_.empty()) return;
    EXPECT_TRUE(eventually("the cgroup to be empty", [&] {
      for (const std::string& name : below()) ::rmdir((path_ + '/' + name).c_str());
      return ::rmdir(path_.c_str()) == 0 || errno != EBUSY;
    }));
    path_.clear();
  }

  std::string path_;
};

class MemoryGroups : public Verbs {
 protected:
  // Told by SIGUSR2 it takes a gigabyte as fast as it can.
  std::unique_ptr<Program> serve_in(Words words, const std::string& limits) {
    folder_.write("server.js", script("hello world",
                                      "const hoard = [];\n"
                                      "process.on('SIGUSR2', () => {\n"
                                      "  for (let i = 0; i < 64; ++i)\n"
                                      "    hoard.push(Buffer.alloc(16 << 20, 1));\n"
                                      "});\n"));
    words.insert(words.end(), {command(), "run", "-w", "2", "--max-memory", limits, "server.js"});
    auto program = std::make_unique<Program>(words, surroundings());
    EXPECT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
    return program;
  }
};

TEST_F(MemoryGroups, WhereThereCanBeNoneOneLineSaysWhyIfAnyWereWanted) {
  folder_.write("server.js", script("hello world"));
  auto program = run({"-w", "2", "--max-memory", "500M,1G", "server.js"});
  const std::string said = program->errors();
  if (!has(said, kNotLimited)) GTEST_SKIP() << "this test may make groups where it is";
  EXPECT_EQ(said.find(kNotLimited), said.rfind(kNotLimited)) << said;
  EXPECT_TRUE(has(said, "; --max-memory looks at it every 2 s (what to do: cohort doctor)"))
      << said;
  const Said again = verb({"reload"});
  EXPECT_EQ(again.code, 0) << again.text();
  EXPECT_EQ(said.find(kNotLimited), program->errors().rfind(kNotLimited)) << "said once";
  EXPECT_TRUE(has(verb({"events", "--json"}).out, R"("code":"memory_not_limited")"));
  EXPECT_TRUE(has(verb({"doctor"}).out, "cgroups      none for each worker: "));
  EXPECT_TRUE(program->ends_on_interrupt());
  auto unlimited = run({"-w", "2", "server.js"});
  EXPECT_FALSE(has(unlimited->errors(), kNotLimited)) << unlimited->errors();
  EXPECT_TRUE(unlimited->ends_on_interrupt());
}

TEST_F(MemoryGroups, AWorkerThatGrowsInAMomentIsKilledAloneAndNamed) {
  const DelegatedGroup group;
  if (!group.is_there()) GTEST_SKIP() << "no cgroup (v2) with a limit of memory can be made here";
  auto program = serve_in(group.enter(), "100M,200M");
  EXPECT_FALSE(has(program->errors(), kNotLimited)) << program->errors();
  const std::string first = "cohort-" + std::to_string(program->pid()) + "-";
  EXPECT_EQ(group.below().size(), 3U) << "cohort-primary, and two workers";
  for (const std::string& name : group.below()) {
    if (!name.starts_with(first)) continue;
    EXPECT_EQ(text_of(group.path() + '/' + name + "/memory.max"), std::to_string(200 << 20) + '\n');
    EXPECT_EQ(text_of(group.path() + '/' + name + "/memory.high"), "max\n");
    EXPECT_EQ(text_of(group.path() + '/' + name + "/memory.oom.group"), "1\n");
  }
  const auto before = children_of(program->pid());
  ASSERT_EQ(before.size(), 2U) << program->transcript();
  ::kill(before.back(), SIGUSR2);
  // On a slow machine the primary may see it first.
  EXPECT_TRUE(program->wait_for_error("worker 2 .*(died|left): killed by SIGKILL"))
      << program->transcript();
  if (!has(program->errors(), "worker 2 is killed: it has ")) {
    EXPECT_TRUE(
        has(program->errors(), "by the kernel, out of memory (it may have 200 MB: --max-memory)"))
        << program->transcript();
    EXPECT_TRUE(has(verb({"why", "--json"}).out, R"("cause":"out of memory")"));
  }
  EXPECT_TRUE(program->wait_for_error("worker [3-9] .*listens")) << program->transcript();
  EXPECT_TRUE(is_alive(before.front()));
  EXPECT_EQ(http_get(port).body, "hello world\n");
  EXPECT_TRUE(
      eventually("the group of the dead to be gone", [&] { return group.below().size() == 3; }));
  EXPECT_TRUE(program->ends_on_interrupt());
  EXPECT_TRUE(group.below().empty()) << "nothing is left";
}

TEST_F(MemoryGroups, OfAReloadNeedARestartFirstAndAreGoneWithTheLimit) {
  const DelegatedGroup group;
  if (!group.is_there()) GTEST_SKIP() << "no cgroup (v2) with a limit of memory can be made here";
  folder_.write("server.js", script("hello world"));
  const auto limit = [&](const std::string& line) {
    folder_.write("cohort.toml",
                  "[server]\nprogram = \"server.js\"\nworkers = 2\nprove = 0.2\n" + line);
  };
  const auto groups_of_workers = [&] {
    const auto names = group.below();
    return names.size() - names.count("cohort-primary");
  };
  limit("");
  Words words = group.enter();
  words.insert(words.end(), {command(), "run"});
  Program program{words, surroundings()};
  ASSERT_TRUE(program.wait_for_error("all 2 workers listen")) << program.transcript();
  EXPECT_TRUE(group.below().empty());
  limit("max-memory = \"500M,1G\"\n");
  EXPECT_EQ(verb({"reload"}).code, 0) << program.transcript();
  EXPECT_TRUE(program.wait_for_error(std::string{kNotLimited} + "its workers run without"));
  EXPECT_TRUE(group.below().empty());
  EXPECT_EQ(verb({"restart"}).code, 0) << program.transcript();
  EXPECT_EQ(groups_of_workers(), 2U);
  limit("");
  EXPECT_EQ(verb({"reload"}).code, 0) << program.transcript();
  EXPECT_TRUE(eventually("the old ones to be gone", [&] { return groups_of_workers() == 0; }));
  EXPECT_EQ(http_get(port).body, "hello world\n");
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(MemoryGroups, OfAPrimaryThatWasKilledAreRemovedByTheNextOne) {
  const DelegatedGroup group;
  if (!group.is_there()) GTEST_SKIP() << "no cgroup (v2) with a limit of memory can be made here";
  const std::string first = [&] {
    auto program = serve_in(group.enter(), "500M");
    program->signal(SIGKILL);
    EXPECT_TRUE(program->leaves_no_process());
    return "cohort-" + std::to_string(program->pid()) + "-";
  }();
  const auto left = [&] {
    const auto names = group.below();
    return std::count_if(names.begin(), names.end(),
                         [&](const std::string& name) { return name.starts_with(first); });
  };
  EXPECT_EQ(left(), 2);
  auto program = serve_in(group.enter("/cohort-primary"), "500M");
  EXPECT_EQ(left(), 0);
  EXPECT_TRUE(program->ends_on_interrupt());
  EXPECT_EQ(group.below(), std::set<std::string>{"cohort-primary"}) << "in which it was started";
}

}  // namespace
}  // namespace harness
