#include "process/tree.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/sys.h"

namespace cohort::process {
namespace {

struct Stopped {
  pid_t pid;
  OwnFd pidfd;
};

bool is_child_of(pid_t pid, pid_t parent) {
  const std::vector<pid_t> children = children_of(parent);
  return std::find(children.begin(), children.end(), pid) != children.end();
}

}  // namespace

std::vector<pid_t> children_of(pid_t pid) {
  namespace fs = std::filesystem;
  std::vector<pid_t> result;
  std::error_code error;
  // A child belongs to the thread that started it.
  const fs::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (fs::directory_iterator task{tasks, error}, end; !error && task != end;
       task.increment(error)) {
    std::ifstream file{task->path() / "children"};
    for (pid_t child = 0; file >> child;) result.push_back(child);
  }
  return result;
}

std::size_t signal_tree(pid_t root, int signal_number, std::set<pid_t>* reached) {
  std::vector<Stopped> found;
  OwnFd pidfd = sys::pidfd_open(root);
  if (!pidfd || sys::signal_process(pidfd.get(), SIGSTOP) == -1) return 0;
  found.push_back({root, std::move(pidfd)});
  for (std::size_t i = 0; i < found.size(); ++i) {
    const pid_t parent = found[i].pid;
    for (const pid_t child : children_of(parent)) {
      OwnFd fd = sys::pidfd_open(child);
      // Asked again with the descriptor in hand: between the two the number may have changed hands.
      if (!fd || !is_child_of(child, parent)) continue;
      if (sys::signal_process(fd.get(), SIGSTOP) == 0) found.push_back({child, std::move(fd)});
    }
  }
  std::size_t count = 0;
  for (const Stopped& entry : found) {
    if (reached != nullptr && reached->contains(entry.pid)) continue;
    if (sys::signal_process(entry.pidfd.get(), signal_number) == -1) continue;
    ++count;
    if (reached != nullptr) reached->insert(entry.pid);
  }
  for (const Stopped& entry : found) sys::signal_process(entry.pidfd.get(), SIGCONT);
  return count;
}

}  // namespace cohort::process
