// Fails a test program that ends with more descriptors or children than it began with.
//
//     int main(int argc, char** argv) {
//       testing::InitGoogleTest(&argc, argv);
//       harness::check_leaks();
//       return RUN_ALL_TESTS();
//     }
//
// Without a main of one's own, at namespace scope: `const auto* const kLeaks =
// harness::check_leaks();`
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

namespace harness {

/// Open descriptors of this process: number -> what it is open on.
inline std::map<int, std::string> open_descriptors() {
  namespace fs = std::filesystem;
  const fs::path self = fs::path{"/proc"} / std::to_string(::getpid()) / "fd";
  std::map<int, std::string> result;
  for (const auto& entry : fs::directory_iterator{"/proc/self/fd"}) {
    std::error_code error;
    const fs::path target = fs::read_symlink(entry.path(), error);
    // The iterator's own descriptor is gone by the time anybody looks.
    if (!error && target != self) result[std::stoi(entry.path().filename())] = target.string();
  }
  return result;
}

/// Children of this process, the dead that nobody reaped included.
inline std::set<int> children() {
  std::set<int> result;
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::ifstream file{task.path() / "children"};
    for (int pid; file >> pid;) result.insert(pid);
  }
  return result;
}

class LeakCheck : public testing::Environment {
 public:
  void SetUp() override {
    descriptors_ = open_descriptors();
    children_ = children();
  }
  void TearDown() override {
    for (const auto& [fd, target] : open_descriptors())
      EXPECT_TRUE(descriptors_.contains(fd)) << "leaked descriptor " << fd << " -> " << target;
    for (const int pid : children()) EXPECT_TRUE(children_.contains(pid)) << "leaked child " << pid;
  }

 private:
  std::map<int, std::string> descriptors_;
  std::set<int> children_;
};

/// Registers the check for the whole program; it runs after the last test.
inline testing::Environment* check_leaks() {
  return testing::AddGlobalTestEnvironment(new LeakCheck);
}

}  // namespace harness
