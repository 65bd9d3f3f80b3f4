#include "cli/preparation.h"

#include <csignal>
#include <sstream>
#include <utility>

namespace cohort::cli {

void Preparation::run(const ProgramNow& now, Done done) {
  if (ended_) return;
  Wanted wanted{
      .command = now.options.once, .options = now.settings.spawn, .done = std::move(done)};
  // What it writes is seen; Ctrl-C is for the workers, and it ends with them.
  wanted.options.stdio = {Stdio::Ignore, Stdio::Inherit, Stdio::Inherit};
  wanted.options.detached = true;
  if (running_)
    next_ = std::move(wanted);
  else
    start(wanted);
}

void Preparation::start(const Wanted& wanted) {
  done_ = wanted.done;
  if (wanted.command.empty()) return over({});
  running_ = spawn(cluster_, "/bin/sh", {"-c", wanted.command}, wanted.options);
  const std::string called = "`" + wanted.command + "` ";
  running_->on_error([this, called](const Error& error) {
    over({.problem = called + "could not be started: " + error.message()});
  });
  running_->on_exit([this, called](const Exit& exit) {
    if (exit.success()) return over({});
    std::ostringstream how;
    how << called << exit.with_usage({}, {}, 0);
    over({.problem = how.str(), .permanent = exit.code() == kExitPermanent});
  });
}

void Preparation::over(const Outcome& outcome) {
  running_.reset();
  if (const Done done = std::exchange(done_, {})) done(outcome);
  if (running_ || !next_) return;
  const Wanted next = *std::exchange(next_, {});
  start(next);
}

void Preparation::end() {
  ended_ = true;
  done_ = {};
  next_.reset();
  if (running_) running_->kill_tree(SIGTERM);
}

}  // namespace cohort::cli
