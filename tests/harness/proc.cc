#include "harness/proc.h"

#include <ctype.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <thread>

namespace harness {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path) {
  std::ifstream file{path, std::ios::binary};
  try {
    return {std::istreambuf_iterator<char>{file}, {}};
  } catch (const std::ios::failure&) {  // the process ended while it was read
    return {};
  }
}

fs::path proc(pid_t pid) { return fs::path{"/proc"} / std::to_string(pid); }

// The names in a folder that are numbers: pids, threads, descriptors. Entries vanish while it is
// read.
std::vector<int> numbers_in(const fs::path& folder) {
  std::vector<int> numbers;
  std::error_code error;
  for (fs::directory_iterator entry{folder, error}, end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (isdigit(static_cast<unsigned char>(name[0])) != 0) numbers.push_back(std::stoi(name));
  }
  return numbers;
}

struct Stat {
  char state = 'X';
  pid_t parent = 0;
};

Stat stat_of(pid_t pid) {
  const std::string text = contents(proc(pid) / "stat");
  const std::size_t name_end = text.rfind(')');  // the name may contain anything
  Stat stat;
  if (name_end != std::string::npos)
    std::istringstream{text.substr(name_end + 1)} >> stat.state >> stat.parent;
  return stat;
}

long number_after(const std::string& text, std::string_view label) {
  const std::size_t at = text.find(label);
  return at == std::string::npos ? 0 : std::stol(text.substr(at + label.size()));
}

}  // namespace

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> all = numbers_in("/proc");
  std::erase_if(all, [&](pid_t other) { return stat_of(other).parent != pid; });
  return all;
}

std::vector<pid_t> processes_marked(std::string_view entry) {
  std::vector<pid_t> all = numbers_in("/proc");
  const std::string mark = '\0' + std::string{entry} + '\0';
  std::erase_if(all, [&](pid_t pid) {
    return ('\0' + contents(proc(pid) / "environ")).find(mark) == std::string::npos ||
           !is_alive(pid);
  });
  return all;
}

bool is_zombie(pid_t pid) { return stat_of(pid).state == 'Z'; }

bool is_asleep(pid_t pid) { return stat_of(pid).state == 'S'; }

bool stop(pid_t pid) {
  if (::kill(pid, SIGSTOP) != 0) return false;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes{1};
  while (stat_of(pid).state != 'T') {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  return true;
}

bool is_alive(pid_t pid) {
  const char state = stat_of(pid).state;
  return state != 'Z' && state != 'X';
}

std::string command_of(pid_t pid) {
  std::string command = contents(proc(pid) / "cmdline");
  std::replace(command.begin(), command.end(), '\0', ' ');
  return command;
}

std::map<int, std::string> fds_of(pid_t pid) {
  std::map<int, std::string> fds;
  const fs::path folder = proc(pid) / "fd";
  for (int fd : numbers_in(folder)) {
    std::error_code error;
    const fs::path target = fs::read_symlink(folder / std::to_string(fd), error);
    if (!error) fds[fd] = target;
  }
  return fds;
}

long pss_kib(pid_t pid) { return number_after(contents(proc(pid) / "smaps_rollup"), "\nPss:"); }

long voluntary_switches(pid_t pid) {
  long sum = 0;
  for (pid_t thread : numbers_in(proc(pid) / "task"))
    sum += number_after(contents(proc(pid) / "task" / std::to_string(thread) / "status"),
                        "\nvoluntary_ctxt_switches:");
  return sum;
}

std::chrono::nanoseconds cpu_time(pid_t pid) {
  clockid_t clock;
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return {};
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

}  // namespace harness
