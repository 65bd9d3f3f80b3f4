#include "process/running_child.h"

#include <unistd.h>

#include <utility>

#include "base/sys.h"
#include "process/tree.h"

namespace cohort::process {

RunningChild::RunningChild(const Loop& loop, Child child, ChildLaunch& launch,
                           const SpawnOptions& options, ChildWatch::Ends ends,
                           const ChildStreams& streams, User user)
    : loop_{loop},
      streams_{streams},
      kill_signal_{options.kill_signal},
      detached_{options.detached},
      leads_group_{options.detached || options.process_group == 0},
      ends_with_its_group_{ends == ChildWatch::Ends::WithItsGroup},
      group_is_its_own_{!options.detached && options.process_group == 0},
      stderr_lines_{options.stderr_lines},
      cgroup_{std::move(launch.cgroup)},
      process_{loop_, std::move(child), std::move(user.exited), ends} {
  for (const auto& stream : launch.given) stream->lent();
  if (cgroup_) cgroup_->joined();
  if (launch.stderr_plan)
    stderr_tail_ = StderrTail::start(loop_, std::move(*launch.stderr_plan));
  else if (StdioStream* const stream = streams_.at(STDERR_FILENO);
           stream != nullptr && stderr_lines_ > 0)
    stream->when_read([this](std::string_view bytes) { stderr_read_.append(bytes); });
  if (options.timeout.count() > 0) {
    timeout_.emplace(loop_.executor(), options.timeout);
    timeout_->async_wait(callbacks_.wrap([has_to_end = user.has_to_end](auto cancelled) {
      if (!cancelled) has_to_end(ExitCause::Timeout);
    }));
  }
  if (options.stop.stop_possible())
    stop_.emplace(options.stop,
                  [loop = loop_, told = callbacks_.wrap([has_to_end = user.has_to_end] {
                    has_to_end(ExitCause::Cancelled);
                  })] { loop.post(told); });
}

Result<void> RunningChild::signal(int number) {
  auto sent = process_.signal(number);
  if (!sent) return sent;
  killed_ = true;
  if (number != 0) last_signal_ = number;
  return sent;
}

std::size_t RunningChild::signal_tree(int number) {
  if (!process_.alive()) return 0;
  const std::size_t reached = process::signal_tree(pid(), number);
  // Those that lost their parent are still in the group, if it is theirs alone.
  if (leads_group_) sys::kill(-pid(), number);
  if (cgroup_ && number == SIGKILL) cgroup_->kill();
  if (reached > 0) {
    killed_ = true;
    if (number != 0) last_signal_ = number;
  }
  return reached;
}

Result<void> RunningChild::end(ExitCause cause) {
  auto sent = signal(kill_signal_);
  if (!sent) return sent;
  if (group_is_its_own_) sys::kill(-pid(), kill_signal_);
  if (!cause_) cause_ = cause;
  return sent;
}

Exit RunningChild::settle(const Exit& exit) {
  timeout_.reset();
  stop_.reset();
  if (stderr_tail_) stderr_tail_->drain_now();
  streams_.each([](StdioStream& stream) { stream.child_exited(); });
  Exit settled = exit;
  if (const auto cause = cause_of(exit)) settled = settled.with_cause(*cause);
  if (stderr_lines_ > 0) settled = settled.with_stderr(last_stderr_lines(stderr_lines_));
  // What it left there; the group is removed at `close`. Those of its process group have the time
  // to end that their GroupEnd gives them.
  if (cgroup_ && !ends_with_its_group_) cgroup_->kill();
  return settled;
}

std::optional<LeftGroup> RunningChild::take_left() {
  auto left = process_.take_left();
  if (left) left->cgroup = std::move(cgroup_);
  return left;
}

std::optional<ExitCause> RunningChild::cause_of(const Exit& exit) const {
  if (exit.cause() != ExitCause::Unknown) return exit.cause();
  if (cgroup_ && cgroup_->out_of_memory() && !exit.success()) return ExitCause::OutOfMemory;
  return cause_;
}

std::vector<std::string> RunningChild::last_stderr_lines(std::size_t count) const {
  return stderr_tail_ ? stderr_tail_->last_lines(count) : stderr_read_.last_lines(count);
}

void RunningChild::abandon() {
  timeout_.reset();
  stop_.reset();
  stderr_tail_.reset();
  if (!detached_) process_.kill_and_reap();
  cgroup_.reset();
}

void RunningChild::close() {
  stderr_tail_.reset();
  cgroup_.reset();
}

}  // namespace cohort::process
