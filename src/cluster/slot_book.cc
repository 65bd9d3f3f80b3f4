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

// Of the worker's slot: its index.
std::size_t SlotBook::slot_for(std::size_t number) {
  const auto known = std::find(numbers_.begin(), numbers_.end(), number);
  if (known != numbers_.end()) return static_cast<std::size_t>(known - numbers_.begin());
  for (std::size_t slot = 0; slot < numbers_.size(); ++slot) {
    const bool has_worker = std::any_of(queues_.begin(), queues_.end(), [slot](const Queue& queue) {
      return queue.slot == slot && queue.worker;
    });
    if (has_worker) continue;
    numbers_[slot] = number;
    return slot;
  }
  numbers_.push_back(number);
  return numbers_.size() - 1;
}

std::size_t SlotBook::fill(std::size_t number, int worker, TimePoint now, bool only_accepts) {
  const bool others_are_warm = std::any_of(queues_.begin(), queues_.end(), [&](const Queue& queue) {
    return queue.serves() && now - queue.came >= weights_.slow_start;
  });
  const std::size_t slot = slot_for(number);
  auto found = queues_.end();
  for (auto queue = queues_.begin(); queue != queues_.end(); ++queue)
    if (queue->slot == slot && !queue->worker &&
        (found == queues_.end() || queue->predecessor > found->predecessor))
      found = queue;
  if (found == queues_.end()) found = queues_.insert(queues_.end(), Queue{});
  found->slot = slot;
  found->worker = worker;
  found->only_accepts = only_accepts;
  found->came = now;
  found->starts_slowly = others_are_warm && rules_.rescue_after;  // else nobody observes
  found->trial.moved_for = {};
  found->stuck = false;
  found->held = false;
  found->doubted.reset();
  found->trusted_for = {};
  found->seen.taken.reset();
  found->seen.waiting = 0;  // what is there waits for this worker from now on
  return static_cast<std::size_t>(found - queues_.begin());
}

// Of each slot: the queue of the oldest worker that serves, else of the last that had one.
std::vector<std::size_t> SlotBook::current() const {
  const auto last = [](const Queue& queue) { return queue.worker.value_or(queue.predecessor); };
  std::vector<std::size_t> result(numbers_.size(), queues_.size());
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    std::size_t& best = result[queues_[i].slot];
    if (best == queues_.size()) {
      best = i;
      continue;
    }
    const Queue &a = queues_[i], &b = queues_[best];
    const bool is_better = a.serves() != b.serves() ? a.serves()
                           : a.serves()             ? *a.worker < *b.worker
                                                    : last(a) > last(b);
    if (is_better) best = i;
  }
  return result;
}

std::optional<int> SlotBook::heir(std::size_t at) const {
  const bool moves = !rules_.by_client && rules_.rescue_after;
  return moves ? std::nullopt : taker(at);
}

// Of a queue that nobody takes from: who may be handed what waits there, of all the nearest.
std::optional<int> SlotBook::taker(std::size_t at) const {
  if (queues_[at].worker) return std::nullopt;
  const Queue& of_slot = queues_[current()[queues_[at].slot]];
  return of_slot.serves() && !of_slot.only_accepts ? of_slot.worker : std::nullopt;
}

void SlotBook::hold(int worker, bool held) {
  Queue* const queue = find(worker);
  if (queue == nullptr) return;
  queue->held = held;
  queue->stuck = false;
}

void SlotBook::retire(int worker, bool successor_expected) {
  Queue* const queue = find(worker);
  if (queue == nullptr || queue->retired) return;
  queue->retired = true;
  queue->held = false;
  queue->awaited = successor_expected;
  queue->stuck = false;
}

void SlotBook::vacate(int worker, bool successor_expected) {
  retire(worker, successor_expected);
  Queue* const queue = find(worker);
  if (queue == nullptr) return;
  queue->worker.reset();
  queue->predecessor = worker;
  queue->retired = false;
}

void SlotBook::expect_no_successor(int worker) {
  for (Queue& queue : queues_)
    if (queue.predecessor == worker) queue.awaited = false;
}

std::optional<std::size_t> SlotBook::queue_of(int worker) const {
  for (std::size_t i = 0; i < queues_.size(); ++i)
    if (queues_[i].worker == worker) return i;
  return std::nullopt;
}

bool SlotBook::has_workers() const {
  return std::any_of(queues_.begin(), queues_.end(),
                     [](const Queue& queue) { return queue.serves(); });
}

SlotBook::Queue* SlotBook::find(int worker) {
  const auto queue = queue_of(worker);
  return queue ? &queues_[*queue] : nullptr;
}

void SlotBook::turns(int worker) {
  if (Queue* const queue = find(worker)) {
    queue->stuck = false;
    queue->doubted.reset();
    queue->seen.waiting = 0;
  }
}

// Nobody can be handed anything. Elsewhere those who cannot help nobody.
bool SlotBook::only_workers_take() const {
  return std::all_of(queues_.begin(), queues_.end(),
                     [](const Queue& queue) { return !queue.serves() || queue.only_accepts; });
}

SlotBook::Findings SlotBook::observe(TimePoint now, std::span<const Length> lengths,
                                     const std::function<bool(int)>& is_full) {
  Findings findings;
  if (!rules_.rescue_after) return findings;
  const bool only_workers_take = this->only_workers_take();
  const std::vector<std::size_t> current = this->current();
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[i];
    const auto [waiting, taken] = lengths[i];
    const bool again = queue.stuck && now >= queue.trial.again_at;
    if (again) queue.trial.at = now;
    const bool shrank = waiting < queue.seen.waiting;  // its worker took some, or others did
    const bool took = taken ? taken != std::exchange(queue.seen.taken, taken) : shrank;
    if (again || waiting == 0 || took || queue.seen.waiting == 0) {
      queue.seen.since = now;
      queue.doubted.reset();
    }
    if (took || waiting == 0) queue.trusted_for = {};
    if (again || (took && (taken || only_workers_take))) queue.stuck = false;
    queue.seen.waiting = waiting;
    const bool is_free = queue.serves() && current[queue.slot] == i && queue.seen.waiting == 0 &&
                         weight(queue) > 0 && !is_full(*queue.worker);
    if (took || shrank || is_free) findings.any_moves = true;
    const bool helps = only_workers_take || !queue.only_accepts;
    if (is_free && !queue.stuck && helps) findings.targets.push_back(*queue.worker);
  }
  const bool any_empty = !findings.targets.empty();
  if (!any_empty) findings.targets = doubt(now, is_full, findings);
  if (findings.targets.empty()) return findings;
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[i];
    if (queue.seen.waiting == 0 || waits_for_its_slot(queue, current)) continue;
    if (!rules_.steer_around && now - queue.seen.since < *rules_.rescue_after) continue;
    if (queue.serves() && !queue.stuck) {
      const bool asked = queue.doubted && *queue.doubted < now;
      if (any_empty ? now - queue.seen.since < *rules_.rescue_after
                    : !asked || now - queue.seen.since < 2 * *rules_.rescue_after)
        continue;
      queue.stuck = true;
      queue.trial.again_at = now + kStuckFor;
      if (!asked) findings.probe.push_back(*queue.worker);
    }
    findings.rescue.push_back(i);
    findings.connections += queue.seen.waiting;
  }
  return findings;
}

// Its own worker takes it, or its heir has it.
bool SlotBook::waits_for_its_slot(const Queue& queue,
                                  const std::vector<std::size_t>& current) const {
  const Queue& of_slot = queues_[current[queue.slot]];
  return rules_.by_client && !queue.serves() && of_slot.serves() &&
         (queue.worker || !of_slot.only_accepts);
}

void SlotBook::moved(std::size_t at, TimePoint now) {
  Queue& queue = queues_[at];
  const bool again = now - queue.trial.at < 2 * queue.trial.moved_for;
  const auto longer = again ? 2 * queue.trial.moved_for : kStuckForIfMoved * *rules_.rescue_after;
  queue.trial.moved_for = std::min<std::chrono::milliseconds>(longer, kStuckFor);
  queue.seen.waiting = 0;
  queue.trial.again_at = now + queue.trial.moved_for;
}

// Not where a handshake may still be under way: moving a queue loses those.
bool SlotBook::may_be_moved(std::size_t at) const {
  const Queue& queue = queues_[at];
  return (!queue.worker && !taker(at)) || (queue.only_accepts && queue.serves() && queue.stuck);
}

bool SlotBook::unsettled(TimePoint now) const {
  return std::any_of(queues_.begin(), queues_.end(), [&](const Queue& queue) {
    return queue.serves() && (queue.stuck || starts(queue, now));
  });
}

bool SlotBook::starts(const Queue& queue, TimePoint now) const {
  return queue.starts_slowly && now - queue.came < weights_.slow_start;
}

// Every queue has connections: who is asked for a sign of life; and the workers not in doubt.
std::vector<int> SlotBook::doubt(TimePoint now, const std::function<bool(int)>& is_full,
                                 Findings& findings) {
  std::vector<int> others;
  const bool only_workers_take = this->only_workers_take();
  for (const std::size_t at : current()) {
    Queue& queue = queues_[at];
    if (!queue.serves() || queue.stuck || queue.doubted) continue;
    const auto trusted_for = std::max(queue.trusted_for, *rules_.rescue_after);
    if (now - queue.seen.since < trusted_for) {
      const bool helps = only_workers_take || !queue.only_accepts;
      if (helps && !is_full(*queue.worker)) others.push_back(*queue.worker);
    } else {
      queue.doubted = now;
      queue.trusted_for = std::min(2 * trusted_for, kTrustedMax * *rules_.rescue_after);
      findings.probe.push_back(*queue.worker);
    }
  }
  return others;
}

std::vector<bool> SlotBook::eligible() const {
  std::vector<bool> result(queues_.size());
  const std::vector<std::size_t> current = this->current();
  const auto choose = [&](auto is_eligible) {
    bool any = false;
    for (const std::size_t queue : current) any |= result[queue] = is_eligible(queues_[queue]);
    return any;
  };
  const auto serves = [](const Queue& queue) { return queue.serves(); };
  if (rules_.steer_around) {
    if (choose([](const Queue& queue) { return queue.serves() && !queue.stuck; })) return result;
    if (choose(serves)) return result;
  } else if (choose([](const Queue& queue) { return queue.serves() || queue.awaited; })) {
    return result;
  }
  choose([](const Queue&) { return true; });
  return result;
}

unsigned SlotBook::weight(const Queue& queue) const {
  const std::size_t number = numbers_[queue.slot];
  return number < weights_.of_slots.size() ? weights_.of_slots[number] : 1;
}

net::Shares SlotBook::shares(TimePoint now) const {
  const std::vector<bool> among = eligible();
  bool any_weighs = false;
  for (std::size_t i = 0; i < among.size(); ++i) any_weighs |= among[i] && weight(queues_[i]) > 0;
  std::vector<double> parts(among.size());
  double most = 0;
  for (std::size_t i = 0; i < among.size(); ++i) {
    if (!among[i]) continue;
    parts[i] = any_weighs ? weight(queues_[i]) : 1;
    if (starts(queues_[i], now)) {
      // In steps: each is a program to attach, where chance chooses.
      const double gone = Seconds{now - queues_[i].came} / Seconds{weights_.slow_start};
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
