#include "process/child_watch.h"

#include <poll.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "base/sys.h"
#include "process/exit_record.h"
#include "process/signals.h"

namespace cohort::process {

namespace {
constexpr std::chrono::seconds kKilledWithin{1};
}  // namespace

ChildWatch::ChildWatch(const Loop& loop, Child child, OnExit on_exit, Ends ends)
    : loop_{loop},
      pid_{child.pid},
      ends_{ends},
      lifeline_{std::move(child.lifeline)},
      lifeline_read_{std::move(child.lifeline_read)},
      on_exit_{std::make_shared<OnExit>(std::move(on_exit))} {
  watch_.emplace(loop, std::move(child.pidfd));
  wait();
}

ChildWatch::~ChildWatch() = default;

void ChildWatch::wait() {
  watch_->wait_readable([this] { reap(); });
}

// A wake-up does not say so: Asio may report a descriptor whose predecessor was ready in the same
// turn, and a debugger that traces the child sees the end first.
bool ChildWatch::has_ended() const {
  siginfo_t info{};
  const int found =
      sys::wait_child(P_PIDFD, static_cast<id_t>(watch_->fd()), info, WEXITED | WNOWAIT);
  return found != 0;  // -1: somebody else took its status
}

void ChildWatch::reap() {
  if (!has_ended()) return wait();
  // Before it is reaped: its number is the group's.
  if (ends_ == Ends::WithItsGroup) signal_group(SIGTERM);
  const std::optional<Exit> exit = try_reap(watch_->fd());
  if (!exit) return wait();
  OwnFd pidfd = watch_->release();
  watch_.reset();
  // Nothing is sent: should the number belong to others by now, they do not notice.
  if (ends_ == Ends::WithItsGroup &&
      (sys::signal_group(pidfd.get(), pid_, 0) == 0 || errno != ESRCH))
    left_ = LeftGroup{pid_, std::move(pidfd), std::move(lifeline_)};
  // Both ends are of one open file: what is set here counts for whoever was left behind.
  if (lifeline_read_) sys::set_async(lifeline_read_.get(), false);
  lifeline_.reset();
  lifeline_read_.reset();
  loop_.post([exit = *exit, weak = std::weak_ptr{on_exit_}] {
    if (const auto on_exit = weak.lock()) (*on_exit)(exit);
  });
}

Result<void> ChildWatch::signal(int number) const {
  const std::string op = "kill " + std::to_string(pid_) + " with " + signal_name(number);
  if (!watch_) return system_error(ESRCH, op);
  if (sys::signal_process(watch_->fd(), number) == -1) return errno_error(op);
  return {};
}

bool ChildWatch::signal_group(int number) const {
  return watch_ && process::signal_group(watch_->fd(), pid_, number);
}

void ChildWatch::set_ref(bool ref) {
  if (watch_) watch_->set_ref(ref);
}

void ChildWatch::kill_and_reap() {
  on_exit_.reset();
  if (left_) sys::signal_group(left_->leader.get(), pid_, SIGKILL);
  left_.reset();
  if (!watch_) return;
  if (ends_ == Ends::WithItsGroup) signal_group(SIGKILL);
  sys::signal_process(watch_->fd(), SIGKILL);
  sys::wait_for(watch_->fd(), POLLIN, std::chrono::steady_clock::now() + kKilledWithin);
  try_reap(watch_->fd());
  watch_.reset();
  lifeline_.reset();
}

}  // namespace cohort::process
