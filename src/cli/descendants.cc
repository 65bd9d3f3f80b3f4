#include "cli/descendants.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/command_line.h"
#include "base/read_file.h"
#include "base/sys.h"
#include "cli/wrapper_check.h"
#include "process/tree.h"

namespace cohort::cli {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLastPause{100};
// What a signal that cannot be caught may take.
constexpr auto kKilledWithin = 1s;

std::string description(pid_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/cmdline");
  const std::string command = command_text(parse_words(text.value_or("")));
  return "pid " + std::to_string(pid) + (command.empty() ? "" : " (" + command + ')');
}

}  // namespace

Descendants::Descendants(boost::asio::io_context& io, Callbacks callbacks)
    : signals_{io}, callbacks_{std::move(callbacks)} {}

void Descendants::start() {
  for (const pid_t pid : process::children_of(::getpid())) earlier_.insert(pid);
  sys::become_subreaper();
  boost::system::error_code ignored;
  signals_.add(SIGCHLD, ignored);
  await_signal();
  look();
}

void Descendants::await_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int) {
    if (error) return;
    look();
    await_signal();
  });
}

void Descendants::look() {
  siginfo_t info{};
  while (sys::wait_child(P_ALL, 0, info, WSTOPPED | WCONTINUED) == 1) {
    const bool continued = info.si_code == CLD_CONTINUED;
    callbacks_.stopped(info.si_pid, continued ? std::nullopt : std::optional{info.si_status});
  }
  // A worker's status is the library's. If it is the first in line, this is called again soon.
  while (sys::wait_child(P_ALL, 0, info, WEXITED | WNOWAIT) == 1 &&
         !callbacks_.is_worker(info.si_pid)) {
    earlier_.erase(info.si_pid);
    if (sys::wait_child(P_PID, static_cast<id_t>(info.si_pid), info, WEXITED) != 1) return;
  }
}

std::vector<pid_t> Descendants::children_to_end() const {
  std::vector<pid_t> children = process::children_of(::getpid());
  std::erase_if(children, [this](pid_t pid) { return earlier_.contains(pid); });
  return children;
}

void Descendants::end(Clock::time_point deadline, StopWishes wishes,
                      const std::function<void(const std::vector<std::string>&)>& found) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT}) ::sigaddset(&signals, number);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  callbacks_.is_worker = [](pid_t) { return false; };
  std::set<pid_t> asked;
  for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLastPause)) {
    look();
    // Who loses its parent meanwhile is a child at the next look.
    const std::vector<pid_t> children = children_to_end();
    const auto now = Clock::now();
    if (children.empty() || now >= deadline + kKilledWithin) return;
    if (now >= deadline) {
      for (const pid_t child : children) process::signal_tree(child, SIGKILL);
    } else {
      std::vector<std::string> texts;
      for (const pid_t child : children) texts.push_back(description(child));
      if (asked.empty()) found(texts);
      for (const pid_t child : children) process::signal_tree(child, SIGTERM, &asked);
    }
    const int number = sys::wait_signal(signals, pause);
    if ((number == SIGTERM || number == SIGINT) && wishes.is_one(Clock::now())) deadline = now;
  }
}

}  // namespace cohort::cli
