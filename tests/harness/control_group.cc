#include "harness/control_group.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "harness/program.h"

namespace harness {

namespace fs = std::filesystem;

ControlGroup::ControlGroup(const std::string& controller, const std::string& file) {
  std::ifstream groups{"/proc/self/cgroup"};
  for (std::string line; directory_.empty() && std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool is_old = !controllers.empty();
    if (is_old && controllers != controller) continue;
    const std::string path = "/sys/fs/cgroup" + (is_old ? '/' + controllers : "") +
                             line.substr(second + 1) + "/cohort-test-" + std::to_string(::getpid());
    std::error_code error;
    if (!fs::create_directory(path, error)) continue;
    directory_ = path;
    is_old_ = is_old;
    if (!fs::exists(path + '/' + file)) remove();
  }
}

ControlGroup::~ControlGroup() { remove(); }

bool ControlGroup::set(const std::string& file, const std::string& value) const {
  std::ofstream stream{directory_ + '/' + file};
  stream << value << std::flush;
  return static_cast<bool>(stream);
}

bool ControlGroup::set_cpus(std::optional<double> cpus) const {
  constexpr int kPeriod = 100'000;
  const std::string period = std::to_string(kPeriod);
  const std::string quota = cpus      ? std::to_string(static_cast<int>(*cpus * kPeriod))
                            : is_old_ ? "-1"
                                      : "max";
  return is_old_ ? set("cpu.cfs_period_us", period) && set("cpu.cfs_quota_us", quota)
                 : set("cpu.max", quota + ' ' + period);
}

std::vector<std::string> ControlGroup::enter() const {
  return {"sh", "-c", "echo 0 > \"$0\" && exec \"$@\"", directory_ + "/cgroup.procs"};
}

void ControlGroup::remove() {
  if (directory_.empty()) return;
  EXPECT_TRUE(eventually("the cgroup to be empty",
                         [&] { return ::rmdir(directory_.c_str()) == 0 || errno != EBUSY; }));
  directory_.clear();
}

}  // namespace harness
