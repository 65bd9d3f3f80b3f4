// What the supervisor decided, carried out.
#include <cstdlib>
#include <sstream>
#include <utility>

#include "base/notices.h"
#include "cluster/primary.h"

namespace cohort::cluster {

void Primary::carry_out(const SupervisorAction& action) {
  std::visit([this](const auto& wanted) { (*this)(wanted); }, action);
}

void Primary::operator()(const action::Release& wanted) {
  listeners_->release_closed(wanted.worker);
}

void Primary::operator()(const action::Retire& wanted) {
  retire_ports(wanted.worker, wanted.succeeded);
}

void Primary::operator()(const action::Hold& wanted) { listeners_->hold(wanted.worker); }

void Primary::operator()(const action::Resume& wanted) {
  const auto found = workers_.find(wanted.worker);
  if (found == workers_.end()) return;
  found->second.worker->rest(false);
  if (!checks_.is_awaited(wanted.worker)) listeners_->resume(*found->second.worker);
}

void Primary::operator()(const action::Rest& wanted) {
  if (const auto found = workers_.find(wanted.worker); found != workers_.end())
    found->second.worker->rest(true);
}

void Primary::operator()(const action::Lead& wanted) {
  if (const auto found = workers_.find(wanted.worker); found != workers_.end())
    found->second.worker->lead(true);
}

void Primary::operator()(const action::Follow& wanted) {
  if (const auto found = workers_.find(wanted.worker); found != workers_.end())
    found->second.worker->lead(false);
}

void Primary::operator()(const action::LookWhetherDry& wanted) {
  if (!listeners_->any_waiting(wanted.worker)) supervisor_.tell(event::Dry{wanted.worker});
}

void Primary::operator()(const action::StopArrivals&) {
  if (!listeners_ || !listeners_->stop_arrivals()) supervisor_.tell(event::NothingArrives{});
}

void Primary::operator()(const action::LookForArrivals&) {
  if (!listeners_->any_waiting()) supervisor_.tell(event::NothingArrives{});
}

void Primary::operator()(const action::KillAll&) {
  for (const auto& [id, entry] : workers_) entry.worker->kill_group(SIGKILL);
  for (auto& [id, group] : left_) group.kill();
}

void Primary::operator()(const action::Finish& wanted) {
  release_ports();
  const int code = wanted.gave_up ? 1 : wanted.all_closed ? kPermanent : 0;
  loop_.post(callbacks_.wrap([this, code] { finish_(code); }));
}

void Primary::operator()(const action::Fork& wanted) {
  const auto found = workers_.find(wanted.beside.value_or(0));
  const auto beside = found == workers_.end() ? nullptr : found->second.worker;
  if (beside && supervisor_.state().places[wanted.place].succeeds) {
    fork_worker({}, wanted.place, beside->slot(), wanted.generation);
    return;
  }
  const auto successor = fork_worker({}, wanted.place, free_slot(wanted.place), wanted.generation);
  if (!beside) return;
  const auto& old = *beside;
  Remark leaves{"leaves",
                old.describe() + " leaves: it finishes what it serves; worker " +
                    std::to_string(successor->id()) + " takes its place",
                {{"worker", std::int64_t{old.id()}},
                 {"pid", std::int64_t{old.pid()}},
                 {"successor", std::int64_t{successor->id()}}}};
  // After the fork's own event.
  loop_.post(callbacks_.wrap([this, leaves] { say(loop_, leaves); }));
}

void Primary::operator()(const action::End& wanted) {
  using Why = action::End::Why;
  const auto found = workers_.find(wanted.worker);
  if (found == workers_.end()) return;
  const std::shared_ptr<ForkedWorker> worker = found->second.worker;  // it may be gone after this
  if (wanted.why == Why::TooMany || wanted.why == Why::TwoInAPlace) {
    const std::string why =
        wanted.why == Why::TooMany
            ? "is ended: it left its place, and so did " + std::to_string(kLeaversMax - 1) +
                  " after it that live"
            : "is ended: its place has two workers, since one that seemed to leave came back";
    say(loop_, {"leaver_ended",
                worker->describe() + ' ' + why,
                {{"worker", std::int64_t{worker->id()}}, {"pid", std::int64_t{worker->pid()}}}});
  }
  worker->end(ending_rules(std::chrono::steady_clock::now()));
}

void Primary::operator()(const action::Kill& wanted) {
  const int id = wanted.worker;
  const auto found = workers_.find(id);
  if (found == workers_.end()) return;
  const ForkedWorker& worker = *found->second.worker;
  const auto grace = std::chrono::duration<double>(supervisor_.state().rules.drain_timeout).count();
  std::ostringstream text;
  text << worker.describe() << " left its place and was told to end; it did not within " << grace
       << " s, and is killed";
  say(loop_, {"leaver_killed",
              text.str(),
              {{"worker", std::int64_t{id}}, {"pid", std::int64_t{worker.pid()}}}});
  found->second.worker->kill_group(SIGKILL);
}

void Primary::operator()(const action::DisconnectAll&) {
  const auto start = supervisor_.state().deadline
                         ? *supervisor_.state().deadline - supervisor_.state().rules.drain_timeout
                         : std::chrono::steady_clock::now();
  const EndingRules rules = ending_rules(start);
  for (const auto& [id, entry] : std::map(workers_)) entry.worker->end(rules);
}

EndingRules Primary::ending_rules(TimePoint start) const {
  return {settings().stop_signal.value_or(SIGTERM), start, supervisor_.state().rules.drain_timeout};
}

void Primary::operator()(const action::GiveUp&) {
  say_with_last_death(
      {"gave_up",
       "no worker was ever ready after " + std::to_string(kTriesMax) + " tries; giving up",
       {{"tries", std::int64_t{kTriesMax}}}});
}

void Primary::operator()(const action::Close& wanted) {
  if (!last_death_ || last_death_->worker != wanted.worker) return;
  say(loop_,
      {"closed",
       last_death_->who + " in slot " + std::to_string(last_death_->slot) +
           " ended with exit code " + std::to_string(kPermanent) + ": it is not started again",
       {{"worker", std::int64_t{wanted.worker}},
        {"slot", static_cast<std::int64_t>(last_death_->slot)}}});
}

void Primary::operator()(const action::AllClosed&) {
  say_with_last_death({"all_closed",
                       "every worker ended with exit code " + std::to_string(kPermanent) +
                           ", so none is started again, and the service ends",
                       {}});
}

void Primary::say_with_last_death(Remark reason) {
  if (last_death_) {
    reason.text += "; the last one: " + last_death_->how;
    reason.fields.emplace_back("last", last_death_->how);
    if (!last_death_->stderr_lines.empty()) {
      reason.text += "; its last lines on stderr:";
      reason.fields.emplace_back("lines", last_death_->stderr_lines);
    }
  }
  say(loop_, std::move(reason));
}

}  // namespace cohort::cluster
