// Generations: how a rollout begins, what has to be done before, how it ends, and the way back.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "cluster/primary.h"
#include "cohort/parallelism.h"

namespace cohort::cluster {

using std::chrono_literals::operator""ms;

namespace {

RolloutResult::Outcome outcome_of(RolloutEnd end) {
  using enum RolloutResult::Outcome;
  switch (end) {
    case RolloutEnd::Reached:
      return Reached;
    case RolloutEnd::Superseded:
      return Superseded;
    case RolloutEnd::Stopped:
      return Stopped;
    case RolloutEnd::Died:
    case RolloutEnd::NotReady:
    case RolloutEnd::Unfit:
    case RolloutEnd::TakenBack:
      break;
  }
  return RolledBack;
}

}  // namespace

int Primary::reload(const ReloadOptions& options, std::function<void(const RolloutResult&)> done) {
  if (!may_fork_) {
    const RolloutResult nothing{.outcome = RolloutResult::Outcome::Stopped,
                                .text = "a worker has no workers"};
    if (done) loop_.post([done = std::move(done), nothing] { done(nothing); });
    return 0;
  }
  const int generation = ++counters_.generations;
  if (done) waiting_.reload.emplace(generation, std::move(done));
  give_up_preparing(RolloutResult::Outcome::Superseded, "another reload was wanted");
  // At the end nothing is to be done first: the supervisor refuses.
  const Settings wanted = settings_.with(options.settings);
  const bool loads = !wanted.preload.empty();
  if ((!options.before && !loads) || supervisor_.state().phase != Supervisor::Phase::Running) {
    begin(generation, options);
    return generation;
  }
  waiting_.prepares = generation;
  const auto load = [this, generation, options, wanted](const Result<void>& so_far) {
    if (wanted.preload.empty() || !so_far || waiting_.prepares != generation)
      return prepared(generation, options, so_far);
    starts_.load(generation, wanted, 0,
                 callbacks_.wrap([this, generation, options](const Result<void>& loaded) {
                   prepared(generation, options, loaded);
                 }));
  };
  if (options.before)
    options.before(callbacks_.wrap(load));
  else
    load({});
  return generation;
}

// Also of one that is wanted no more.
void Primary::prepared(int generation, const ReloadOptions& options, const Result<void>& done) {
  if (waiting_.prepares != generation) return;
  if (!done) {
    const Error& error = done.error();
    return give_up_preparing(RolloutResult::Outcome::RolledBack,
                             error.detail.empty() ? error.message() : error.detail);
  }
  waiting_.prepares.reset();
  begin(generation, options);
}

Result<int> Primary::rollback() {
  const Supervisor& state = supervisor_.state();
  // One that is prepared has replaced nobody: it is given up, and who serves stays.
  const bool prepares = waiting_.prepares.has_value();
  const bool is_parked = !prepares && !state.rollout && state.parked;
  const int to = is_parked ? state.parked->generation : state.generation;
  if (!prepares && !may_go_back(state))
    return make_error(Errc::InvalidArgument, "rollback",
                      "no generation before this one is parked, and no reload is under way");
  give_up_preparing(RolloutResult::Outcome::RolledBack,
                    "generation " + std::to_string(to) + " was wanted back");
  if (!prepares) supervisor_.tell(event::Rollback{});
  return to;
}

// Whom nothing keeps from working: who accepts from a socket that others have, too, and who has
// none.
bool Primary::can_park() const {
  const auto ports = listeners_ ? listeners_->status() : std::vector<PortStatus>{};
  return !ports.empty() && std::none_of(ports.begin(), ports.end(), [](const PortStatus& port) {
    return port.policy == Policy::Shared;
  });
}

void Primary::begin(int generation, const ReloadOptions& options) {
  settings_.plan(generation, options.settings);
  const unsigned batch = options.batch > 0 ? options.batch : available_parallelism();
  supervisor_.tell(event::Reload{{generation,
                                  {.canaries = std::max(1U, options.canaries),
                                   .batch = std::max(1U, batch),
                                   .surge = options.max_surge,
                                   .ready_within = options.ready_within,
                                   .prove = options.prove,
                                   .park = can_park() ? options.park : 0ms}}});
}

void Primary::give_up_preparing(RolloutResult::Outcome outcome, const std::string& why) {
  if (const auto generation = std::exchange(waiting_.prepares, {}))
    conclude({.outcome = outcome, .generation = *generation, .text = why});
}

void Primary::operator()(const action::RolloutOver& wanted) {
  const RolloutVerdict& verdict = wanted.verdict;
  if (verdict.end == RolloutEnd::Reached)
    settings_.reached(verdict.generation);
  else
    settings_.go_back(supervisor_.state().generation, verdict.generation);
  conclude({.outcome = outcome_of(verdict.end),
            .generation = verdict.generation,
            .worker = verdict.worker,
            .text = why(verdict)});
}

void Primary::conclude(const RolloutResult& result) {
  drop_what_nobody_needs();
  auto waiting = waiting_.reload.extract(result.generation);
  auto done = waiting.empty() ? nullptr : std::move(waiting.mapped());
  loop_.post(callbacks_.wrap([this, done = std::move(done), result] {
    events.rollout.emit(result);
    if (done) done(result);
  }));
}

std::string Primary::why(const RolloutVerdict& verdict) const {
  const std::string worker = "worker " + std::to_string(verdict.worker.value_or(0));
  switch (verdict.end) {
    case RolloutEnd::Reached:
      return "every worker is of it";
    case RolloutEnd::NotReady:
      if (const std::string not_well = checks_.why_not(verdict.worker.value_or(0));
          !not_well.empty())
        return worker + " was not ready in time: " + not_well;
      return worker + " did not listen in time";
    case RolloutEnd::Unfit:
      return worker + " failed its check";
    case RolloutEnd::Superseded:
      return "another reload was wanted";
    case RolloutEnd::Stopped:
      return "the service ends";
    case RolloutEnd::TakenBack:
      return "generation " + std::to_string(supervisor_.state().generation) + " was wanted back";
    case RolloutEnd::Died:
      break;
  }
  if (!last_death_ || last_death_->worker != verdict.worker) return worker + " died";
  std::string text = worker + ": " + last_death_->how;
  for (const std::string& line : last_death_->stderr_lines) text += "\n" + line;
  return text;
}

}  // namespace cohort::cluster
