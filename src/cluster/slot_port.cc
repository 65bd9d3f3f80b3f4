#include "cluster/slot_port.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.h"
#include "base/sys.h"

namespace cohort::cluster {
namespace {

using Clock = SlotBook::TimePoint::clock;

// Long enough that what it costs to see whether anything waits is nothing beside the wait, short
// enough that a person does not notice the wait.
constexpr std::chrono::milliseconds kRescueAfter{6};
// Under hash whoever moves misses what its worker knows of it, and two requests of one client may
// meet a worker that computes for a moment (40 ms blocks: 15 of 30 pairs kept their worker with 6
// ms, 12 with 50, all with 250 and more). Longer than such a moment, shorter than patience.
constexpr std::chrono::seconds kRescueAfterHash{1};
constexpr std::chrono::milliseconds kNever{std::chrono::hours{24}};  // longer, sums overflow
// How often the queues are looked at, if connections may wait longer.
constexpr std::chrono::milliseconds kLookAtLeast{20};
// Loading the program that reads the queues takes some 30 ms: not while the first workers start.
constexpr std::chrono::milliseconds kDecidedAfter{250};

SlotBook::Rules rules_of(const SlotPort::Choice& choice, bool datagrams) {
  const bool sticky = choice.policy == Policy::Sticky;
  SlotBook::Rules rules{.steer_around = !sticky,
                        .by_client = sticky || choice.policy == Policy::Hash,
                        .rescue_after = choice.rescue_after};
  if (datagrams) rules.rescue_after.reset();
  if (!rules.rescue_after && !sticky)
    rules.rescue_after = choice.policy == Policy::Hash ? kRescueAfterHash : kRescueAfter;
  if (rules.rescue_after && *rules.rescue_after <= std::chrono::milliseconds::zero())
    rules.rescue_after.reset();
  if (rules.rescue_after) rules.rescue_after = std::min(*rules.rescue_after, kNever);
  return rules;
}

}  // namespace

SlotPort::SlotPort(const Loop& loop, Asked asked, SlotSteering steering, Choice choice,
                   Decided decided)
    : Port{loop, std::move(asked)},
      book_{rules_of(choice, this->asked().address.is_datagram())},
      steering_{std::move(steering)},
      left_queues_{this->loop(), steering_.group(), [this](std::size_t queue) { inherit(queue); }},
      deciding_{this->loop().executor()} {
  if (const auto rescue_after = book_.rules().rescue_after)
    queue_watch_ = std::make_unique<QueueWatch>(
        this->loop(), steering_.group(), std::min(*rescue_after, kLookAtLeast), [this] { look(); });
  deciding_.expires_after(kDecidedAfter);
  deciding_.async_wait(
      callbacks().wrap([this, decided = std::move(decided)](boost::system::error_code error) {
        if (!error) decided(steering_.choose_how());
      }));
}

// Who is where.

Result<void> SlotPort::enter(HandoffPeer& worker, bool only_accepts, bool held) {
  const std::size_t queue = book_.fill(worker.slot(), worker.id(), Clock::now(), only_accepts);
  if (auto grown = steering_.grow(book_.size()); !grown) {
    book_.vacate(worker.id(), false);
    return grown;
  }
  book_.hold(worker.id(), held);
  if (asked().lent) sys::set_nonblocking(steering_.group().fd(queue), false);
  workers_changed();
  return {};
}

std::size_t SlotPort::queue_of(int user) const {
  const auto queue = book_.queue_of(user);
  COHORT_ASSERT(queue.has_value(), user);
  return *queue;
}

int SlotPort::socket_of(int worker) const { return steering_.group().fd(queue_of(worker)); }

void SlotPort::welcome(HandoffPeer& /*worker*/) { heirs_take(); }

void SlotPort::complete(Value& reply, int worker) const { reply["slot"] = queue_of(worker); }

void SlotPort::close(int worker, bool for_good) {
  vacate(worker, !for_good);
  Port::close(worker, for_good);
}

void SlotPort::hold(int worker) {
  if (!users().contains(worker)) return;
  Port::hold(worker);
  book_.hold(worker, true);
  workers_changed();
}

void SlotPort::resume(HandoffPeer& worker) {
  if (!users().contains(worker.id())) return;
  book_.hold(worker.id(), false);
  workers_changed();
  Port::resume(worker);
}

void SlotPort::retire(int worker, bool for_good) {
  if (!users().contains(worker)) return;
  Port::retire(worker, for_good);
  book_.retire(worker, !for_good);
  workers_changed();
}

void SlotPort::lose(int worker) {
  vacate(worker, true);
  Port::lose(worker);
  if (heirs_.contains(worker)) heirs_take();
}

void SlotPort::vacate(int worker, bool successor_expected) {
  const auto queue = book_.queue_of(worker);
  if (!queue) return;
  steering_.publishes(*queue, nullptr);
  book_.vacate(worker, successor_expected);
  workers_changed();
}

void SlotPort::expect_no_successor(int worker) {
  book_.expect_no_successor(worker);
  workers_changed();
  Port::expect_no_successor(worker);
}

void SlotPort::workers_changed() {
  steering_.follow(book_);
  watch_left_queues();
  if (queue_watch_) queue_watch_->wake_up_fully();
}

void SlotPort::set_weights(const SlotBook::Weights& weights) {
  book_.set_weights(weights);
  if (book_.size() > 0) workers_changed();
}

void SlotPort::publishes(int worker, const std::shared_ptr<const net::Load>& load) {
  if (const auto queue = book_.queue_of(worker)) steering_.publishes(*queue, load);
}

// What waits.

std::vector<int> SlotPort::sockets() const {
  std::vector<int> sockets;
  for (std::size_t queue = 0; queue < steering_.group().size(); ++queue)
    sockets.push_back(steering_.group().fd(queue));
  return sockets;
}

bool SlotPort::any_arrived() const {
  for (std::size_t queue = 0; queue < steering_.group().size(); ++queue)
    if (steering_.group().waiting(queue) > 0) return true;
  return false;
}

Result<OwnFd> SlotPort::connect_to_queue_of(int worker) {
  return steering_.connect(queue_of(worker));
}

bool SlotPort::any_waiting(int worker) const {
  const auto queue = book_.queue_of(worker);
  return queue && !asked().address.is_datagram() && steering_.group().waiting(*queue) > 0;
}

std::vector<SlotBook::Length> SlotPort::lengths() {
  std::vector<SlotBook::Length> lengths(book_.size());
  const std::vector<unsigned> waiting = queue_watch_->lengths();
  for (std::size_t queue = 0; queue < lengths.size(); ++queue) {
    lengths[queue].taken = steering_.taken(queue);
    if (queue < waiting.size()) lengths[queue].waiting = waiting[queue];
  }
  return lengths;
}

void SlotPort::look() {
  const auto now = Clock::now();
  const std::vector<SlotBook::Length> seen = lengths();
  auto findings = book_.observe(now, seen, [this](int worker) { return held().is_full(worker); });
  const bool anything_happened = findings.any_moves || !findings.rescue.empty();
  steering_.follow(book_);
  steering_.tell_open(book_);
  migrate(findings.rescue);
  stuck_ = findings.rescue;
  look_for_targets(findings);
  const bool any_waits =
      std::any_of(seen.begin(), seen.end(), [](const auto& length) { return length.waiting > 0; });
  // Without workers nothing can move; the next one wakes it.
  if (book_.has_workers())
    queue_watch_->go_on(anything_happened, any_waits || book_.unsettled(now));
  else
    queue_watch_->pause();
}

// The kernel moves what nobody may take by hand, and what no process would notice. All else is
// accepted and handed off: a worker that just then accepts itself must not get EINVAL.
void SlotPort::migrate(std::vector<std::size_t>& queues) {
  steering_.reopen();
  std::erase_if(queues, [this](std::size_t queue) {
    if (!steering_.can_migrate() || !book_.may_be_moved(queue)) return false;
    if (!steering_.migrate(queue)) {
      steering_.follow(book_);
      return false;
    }
    book_.moved(queue, Clock::now());
    return true;
  });
}

// The rescue.

void SlotPort::wake() {
  if (queue_watch_) queue_watch_->wake();
}

// Connections that wait for a worker that does not take them go to those that have none waiting.
//
// An empty queue is no sign of life: each of those is probed first, and gets one when it answers.
void SlotPort::look_for_targets(const SlotBook::Findings& findings) {
  for (const int worker : findings.probe)
    if (users().takes(worker)) users().peer(worker).probe();
  for (const auto& [worker, user] : users().all()) held().leave(worker);
  heirs_take();
  targets_.clear();
  const std::size_t waiting = held().waiting();
  if (findings.rescue.empty() && waiting == 0) return;
  if (waiting > 0) wake();  // nothing that the queues show
  std::vector<int> targets;
  std::copy_if(findings.targets.begin(), findings.targets.end(), std::back_inserter(targets),
               [this](int worker) { return users().takes(worker); });
  // Some may not answer: twice as many as are needed, and others the next time.
  const std::size_t asked = std::min(2 * (findings.connections + waiting), targets.size());
  for (std::size_t i = 0; i < asked; ++i) {
    const int worker = targets[next_target_++ % targets.size()];
    targets_.insert(worker);
    users().peer(worker).probe();
  }
}

void SlotPort::turns(int worker) {
  book_.turns(worker);
  steering_.follow(book_);
  if (!targets_.contains(worker) || !users().contains(worker) || !users().takes(worker)) return;
  held().join(worker, kMovedCredits);
  rescue();
}

void SlotPort::rescue() {
  for (auto room = held().room(); room > 0; --room) {
    OwnFd connection = next_waiting();
    if (!connection) break;
    held().hold(std::move(connection));
  }
  pump();
}

OwnFd SlotPort::next_waiting() {
  while (!stuck_.empty()) {
    if (OwnFd connection = sys::accept(steering_.group().fd(stuck_.back()))) return connection;
    stuck_.pop_back();  // none waits any more, or there are no descriptors: the next look tells
  }
  return {};
}

// The queues that retired workers left.

void SlotPort::watch_left_queues() {
  std::set<std::size_t> left;
  if (!asked().address.is_datagram())
    for (std::size_t queue = 0; queue < steering_.group().size(); ++queue)
      if (book_.heir(queue)) left.insert(queue);
  left_queues_.watch(left);
}

void SlotPort::inherit(std::size_t queue) {
  const auto heir = book_.heir(queue);
  if (!heir) return;
  while (OwnFd connection = sys::accept(steering_.group().fd(queue)))
    held().hold(std::move(connection), *heir);
  heirs_.insert(*heir);
  heirs_take();
}

// Each as many at a time as under round-robin, until they have all. What was held for one that died
// may go to anybody.
void SlotPort::heirs_take() {
  if (held().waiting() == 0) return heirs_.clear();
  for (const auto& [worker, user] : users().all())
    if (users().takes(worker) && (heirs_.contains(worker) || heirs_are_dead()))
      held().join(worker, user.peer->credits());
  pump();
}

bool SlotPort::heirs_are_dead() const {
  return !queue_watch_ && std::none_of(heirs_.begin(), heirs_.end(),
                                       [this](int heir) { return users().contains(heir); });
}

void SlotPort::answer(int worker, std::span<const ConnectionId> connections, std::size_t accepted) {
  if (held().answer(worker, connections, accepted)) wake();  // the next look finds who takes them
  rescue();
}

void SlotPort::take_back(OwnFd connection) {
  if (users().none_takes()) return;  // nobody can serve it any more
  held().hold(std::move(connection));
  wake();  // the next look finds who takes it
}

}  // namespace cohort::cluster
