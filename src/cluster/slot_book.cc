#include "cluster/slot_book.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cohort::cluster {
namespace {

constexpr std::chrono::seconds kStuckFor{1};
constexpr int kStuckForIfMoved = 5;  // times `rescue_after`
using Seconds = std::chrono::duration<double>;
constexpr double kSlowStartSteps = 16;
constexpr int kTrustedMax = 25;  // times `rescue_after`

}  // namespace

std::size_t SlotBook::fill(std::size_t number, int worker, TimePoint now, bool only_accepts) {
  const bool others_are_warm = std::any_of(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    return slot.serves() && now - slot.came >= weights_.slow_start;
  });
  const auto find_empty = [&](auto is_meant) {
    return std::find_if(slots_.begin(), slots_.end(),
                        [&](const Slot& slot) { return !slot.worker && is_meant(slot); });
  };
  auto slot = find_empty([&](const Slot& candidate) { return candidate.number == number; });
  if (slot == slots_.end()) slot = find_empty([](const Slot&) { return true; });
  if (slot == slots_.end()) slot = slots_.insert(slots_.end(), Slot{});
  slot->number = number;
  slot->worker = worker;
  slot->only_accepts = only_accepts;
  slot->came = now;
  slot->starts_slowly = others_are_warm && rules_.rescue_after;  // else nobody observes
  slot->trial.moved_for = {};
  slot->stuck = false;
  slot->doubted.reset();
  slot->trusted_for = {};
  slot->seen.taken.reset();
  slot->seen.waiting = 0;  // what is there waits for this worker from now on
  return static_cast<std::size_t>(slot - slots_.begin());
}

void SlotBook::retire(int worker, bool successor_expected) {
  Slot* const slot = find(worker);
  if (slot == nullptr || slot->retired) return;
  slot->retired = true;
  slot->awaited = successor_expected;
  slot->stuck = false;
}

void SlotBook::vacate(int worker, bool successor_expected) {
  retire(worker, successor_expected);
  Slot* const slot = find(worker);
  if (slot == nullptr) return;
  slot->worker.reset();
  slot->predecessor = worker;
  slot->retired = false;
}

void SlotBook::expect_no_successor(int worker) {
  for (Slot& slot : slots_)
    if (slot.predecessor == worker) slot.awaited = false;
}

std::optional<std::size_t> SlotBook::slot_of(int worker) const {
  for (std::size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].worker == worker) return i;
  return std::nullopt;
}

bool SlotBook::has_workers() const {
  return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.serves(); });
}

SlotBook::Slot* SlotBook::find(int worker) {
  const auto slot = slot_of(worker);
  return slot ? &slots_[*slot] : nullptr;
}

void SlotBook::turns(int worker) {
  if (Slot* const slot = find(worker)) {
    slot->stuck = false;
    slot->doubted.reset();
    slot->seen.waiting = 0;
  }
}

SlotBook::Findings SlotBook::observe(TimePoint now, std::span<const Queue> queues,
                                     const std::function<bool(int)>& is_full) {
  Findings findings;
  if (!rules_.rescue_after) return findings;
  const bool only_workers_take = std::all_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return !slot.serves() || slot.only_accepts;
  });
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const auto [waiting, taken] = queues[i];
    const bool again = slot.stuck && now >= slot.trial.again_at;
    if (again) slot.trial.at = now;
    const bool shrank = waiting < slot.seen.waiting;  // its worker took some, or others did
    const bool took = taken ? taken != std::exchange(slot.seen.taken, taken) : shrank;
    if (again || waiting == 0 || took || slot.seen.waiting == 0) {
      slot.seen.since = now;
      slot.doubted.reset();
    }
    if (took || waiting == 0) slot.trusted_for = {};
    if (again || (took && (taken || only_workers_take))) slot.stuck = false;
    slot.seen.waiting = waiting;
    const bool is_free =
        slot.serves() && slot.seen.waiting == 0 && weight(i) > 0 && !is_full(*slot.worker);
    if (took || shrank || is_free) findings.any_moves = true;
    if (is_free && !slot.stuck) findings.targets.push_back(*slot.worker);
  }
  const bool any_empty = !findings.targets.empty();
  if (!any_empty) findings.targets = doubt(now, is_full, findings);
  if (findings.targets.empty()) return findings;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.seen.waiting == 0) continue;
    if (!rules_.steer_around && now - slot.seen.since < *rules_.rescue_after) continue;
    if (slot.serves() && !slot.stuck) {
      const bool asked = slot.doubted && *slot.doubted < now;
      if (any_empty ? now - slot.seen.since < *rules_.rescue_after
                    : !asked || now - slot.seen.since < 2 * *rules_.rescue_after)
        continue;
      slot.stuck = true;
      slot.trial.again_at = now + kStuckFor;
      if (!asked) findings.probe.push_back(*slot.worker);
    }
    findings.rescue.push_back(i);
    findings.connections += slot.seen.waiting;
  }
  return findings;
}

void SlotBook::moved(std::size_t at, TimePoint now) {
  Slot& slot = slots_[at];
  const bool again = now - slot.trial.at < 2 * slot.trial.moved_for;
  const auto longer = again ? 2 * slot.trial.moved_for : kStuckForIfMoved * *rules_.rescue_after;
  slot.trial.moved_for = std::min<std::chrono::milliseconds>(longer, kStuckFor);
  slot.seen.waiting = 0;
  slot.trial.again_at = now + slot.trial.moved_for;
}

bool SlotBook::may_be_moved(std::size_t at) const {
  const Slot& slot = slots_[at];
  return !slot.worker || (slot.only_accepts && slot.serves() && slot.stuck);
}

bool SlotBook::unsettled(TimePoint now) const {
  return std::any_of(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    return slot.serves() && (slot.stuck || starts(slot, now));
  });
}

bool SlotBook::starts(const Slot& slot, TimePoint now) const {
  return slot.starts_slowly && now - slot.came < weights_.slow_start;
}

// Every queue has connections: who is asked for a sign of life; and the workers not in doubt.
std::vector<int> SlotBook::doubt(TimePoint now, const std::function<bool(int)>& is_full,
                                 Findings& findings) {
  std::vector<int> others;
  for (Slot& slot : slots_) {
    if (!slot.serves() || slot.stuck || slot.doubted) continue;
    const auto trusted_for = std::max(slot.trusted_for, *rules_.rescue_after);
    if (now - slot.seen.since < trusted_for) {
      if (!is_full(*slot.worker)) others.push_back(*slot.worker);
    } else {
      slot.doubted = now;
      slot.trusted_for = std::min(2 * trusted_for, kTrustedMax * *rules_.rescue_after);
      findings.probe.push_back(*slot.worker);
    }
  }
  return others;
}

std::vector<bool> SlotBook::eligible() const {
  std::vector<bool> result(slots_.size());
  const auto choose = [&](auto is_eligible) {
    std::transform(slots_.begin(), slots_.end(), result.begin(), is_eligible);
    return std::find(result.begin(), result.end(), true) != result.end();
  };
  const auto serves = [](const Slot& slot) { return slot.serves(); };
  if (rules_.steer_around) {
    if (choose([](const Slot& slot) { return slot.serves() && !slot.stuck; })) return result;
    if (choose(serves)) return result;
  } else if (choose([](const Slot& slot) { return slot.serves() || slot.awaited; })) {
    return result;
  }
  choose([](const Slot&) { return true; });
  return result;
}

unsigned SlotBook::weight(std::size_t slot) const {
  const std::size_t number = slots_[slot].number;
  return number < weights_.of_slots.size() ? weights_.of_slots[number] : 1;
}

net::Shares SlotBook::shares(TimePoint now) const {
  const std::vector<bool> among = eligible();
  bool any_weighs = false;
  for (std::size_t i = 0; i < among.size(); ++i) any_weighs |= among[i] && weight(i) > 0;
  std::vector<double> parts(among.size());
  double most = 0;
  for (std::size_t i = 0; i < among.size(); ++i) {
    if (!among[i]) continue;
    parts[i] = any_weighs ? weight(i) : 1;
    if (starts(slots_[i], now)) {
      // In steps: each is a program to attach, where chance chooses.
      const double gone = Seconds{now - slots_[i].came} / Seconds{weights_.slow_start};
      parts[i] *= (1 + std::floor((kSlowStartSteps - 1) * gone)) / kSlowStartSteps;
    }
    most = std::max(most, parts[i]);
  }
  net::Shares result(among.size());
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (parts[i] > 0)
      result[i] = static_cast<std::uint8_t>(std::ceil(net::kWholeShare * parts[i] / most));
  return result;
}

}  // namespace cohort::cluster
