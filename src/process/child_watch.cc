#include "process/child_watch.h"

#include <cerrno>

#include "base/sys.h"
#include "process/exit_record.h"
#include "process/signals.h"

namespace cohort::process {

ChildWatch::ChildWatch(const Loop& loop, Child child, OnExit on_exit)
    : loop_{loop},
      pid_{child.pid},
      lifeline_{std::move(child.lifeline)},
      on_exit_{std::make_shared<OnExit>(std::move(on_exit))} {
  watch_.emplace(loop, std::move(child.pidfd));
  wait();
}

ChildWatch::~ChildWatch() = default;

void ChildWatch::wait() {
  watch_->wait_readable([this] { reap(); });
}

void ChildWatch::reap() {
  const std::optional<Exit> exit = try_reap(watch_->fd());
  if (!exit) return wait();  // a debugger that traces the child sees the end first
  watch_.reset();
  lifeline_.reset();
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

}  // namespace cohort::process
