// How connections are moved among the slots of a port: SlotPort's part of the model.
#include <algorithm>
#include <utility>

#include "sim/model_ports.h"

namespace cohort::cluster::sim {

namespace {
constexpr std::chrono::milliseconds kLookAtLeast{20};
// After so many looks at which nothing happened, half as often; up to so many times.
constexpr int kIdleLooks = 8;
constexpr int kHalvedAtMost = 4;
}  // namespace

void ModelPorts::follow(int listener) {
  Port& mine = port(listener);
  mine.steered_to = mine.slots->shares(now_);
}

void ModelPorts::workers_changed(int listener) {
  follow(listener);
  port(listener).idle_looks = port(listener).looks_in_vain = 0;
  look_again(listener, true, true);
}

void ModelPorts::vacate(int listener, int worker, bool successor_expected) {
  Port& mine = port(listener);
  if (!mine.slots || !mine.slots->queue_of(worker)) return;
  mine.slots->vacate(worker, successor_expected);
  connections_.gave_up_slot(listener, worker);
  mine.taken.erase(worker);
  workers_changed(listener);
}

bool ModelPorts::look(int listener) {
  Port& mine = port(listener);
  std::vector<SlotBook::Length> seen(mine.slots->size());
  for (std::size_t slot = 0; slot < seen.size(); ++slot)
    seen[slot].waiting = static_cast<unsigned>(connections_.in_queue(listener, slot));
  for (const auto& [worker, taken] : mine.taken)
    if (const auto slot = mine.slots->queue_of(worker)) seen[*slot].taken = taken;
  auto findings = mine.slots->observe(
      now_, seen, [&](int worker) { return mine.book->held().dispatcher().is_full(worker, now_); });
  const bool anything_happened = findings.any_moves || !findings.rescue.empty();
  follow(listener);
  migrate(listener, findings.rescue);
  mine.stuck = findings.rescue;
  look_for_targets(listener, findings);
  ++mine.looks_in_vain;
  const bool any_waits = connections_.any_waits(listener);
  if (mine.slots->has_workers())
    look_again(listener, anything_happened, any_waits || mine.slots->unsettled(now_));
  else
    mine.look_at.reset();
  return !findings.rescue.empty() || !findings.probe.empty();
}

void ModelPorts::look_again(int listener, bool anything_happened, bool anything_left) {
  Port& mine = port(listener);
  const auto rescue_after = mine.slots->rules().rescue_after;
  mine.look_at.reset();
  if (!rescue_after || !anything_left) return;
  mine.idle_looks =
      anything_happened ? 0 : std::min(mine.idle_looks + 1, kIdleLooks * kHalvedAtMost);
  const auto pause = std::min(*rescue_after, kLookAtLeast);
  mine.look_at = now_ + pause * (1 << std::min(mine.idle_looks / kIdleLooks, kHalvedAtMost));
}

void ModelPorts::migrate(int listener, std::vector<std::size_t>& slots) {
  Port& mine = port(listener);
  std::erase_if(slots, [&](std::size_t slot) {
    if (!weather(listener).migrates || !mine.slots->may_be_moved(slot)) return false;
    require(mine.steered_to.at(slot) == 0, "what is moved does not come back");
    while (connections_.in_queue(listener, slot) > 0) {
      ++coverage_.counts["moved by the kernel"];
      mine.looks_in_vain = 0;
      connections_.moved(connections_.first_in_kernel(listener, slot), steer(listener));
    }
    mine.slots->moved(slot, now_);
    return true;
  });
}

void ModelPorts::look_for_targets(int listener, const SlotBook::Findings& findings) {
  Port& mine = port(listener);
  const PortUsers& users = mine.book->users();
  Dispatcher& dispatcher = mine.book->held().dispatcher();
  for (const int worker : findings.probe)
    if (users.takes(worker)) hands_.probe(worker);
  for (const auto& [worker, user] : users.all()) {
    dispatcher.leave(worker);
    connections_.retired(listener, worker);
  }
  mine.targets.clear();
  if (findings.rescue.empty() && dispatcher.waiting() == 0) return;
  std::vector<int> targets;
  std::copy_if(findings.targets.begin(), findings.targets.end(), std::back_inserter(targets),
               [&](int worker) { return users.takes(worker); });
  const std::size_t asked =
      std::min(2 * (findings.connections + dispatcher.waiting()), targets.size());
  for (std::size_t i = 0; i < asked; ++i) {
    const int worker = targets[mine.next_target++ % targets.size()];
    mine.targets.insert(worker);
    hands_.probe(worker);
  }
}

void ModelPorts::rescue(int listener) {
  Port& mine = port(listener);
  for (auto room = mine.book->held().dispatcher().room(now_); room > 0; --room) {
    while (!mine.stuck.empty() && connections_.in_queue(listener, mine.stuck.back()) == 0)
      mine.stuck.pop_back();
    if (mine.stuck.empty()) break;
    ++coverage_.counts["moved from a slot"];
    mine.looks_in_vain = 0;
    hold_first(listener, mine.stuck.back());
  }
  pump(listener);
}

}  // namespace cohort::cluster::sim
