#include "cluster/slot_port.h"

#include <algorithm>
#include <utility>

#include "base/sys.h"
#include "net/bind.h"

namespace cohort::cluster {
namespace {

// Long enough that what it costs to see whether anything waits is nothing beside the wait, short
// enough that a person does not notice the wait.
constexpr std::chrono::milliseconds kRescueAfter{6};
// Under hash whoever moves misses what its worker knows of it, and two requests of one client may
// meet a worker that computes for a moment (40 ms blocks: 15 of 30 pairs kept their worker with 6
// ms, 12 with 50, all with 250 and more). Longer than such a moment, shorter than patience.
constexpr std::chrono::seconds kRescueAfterHash{1};
constexpr std::chrono::milliseconds kNever{std::chrono::hours{24}};  // longer, sums overflow
// While the workers change; and after connections that came sooner than the next look would have.
constexpr std::chrono::seconds kAwakeFor{1};
constexpr int kLooksWhileBusy = 16;
// How often the queues are looked at, if connections may wait longer.
constexpr std::chrono::milliseconds kLookAtLeast{20};
// After so many looks at which nothing happened, half as often; up to so many times.
constexpr int kIdleLooks = 8;
constexpr int kHalvedAtMost = 4;
// Loading the program that reads the queues takes some 30 ms: not while the first workers start.
constexpr std::chrono::milliseconds kByQueuesAfter{250};

SlotBook::Rules rules_of(const SlotPort::Choice& choice) {
  const bool sticky = choice.policy == Policy::Sticky;
  SlotBook::Rules rules{.steer_around = !sticky, .rescue_after = choice.rescue_after};
  if (choice.datagrams) rules.rescue_after.reset();
  if (!rules.rescue_after && !sticky)
    rules.rescue_after = choice.policy == Policy::Hash ? kRescueAfterHash : kRescueAfter;
  if (rules.rescue_after && *rules.rescue_after <= std::chrono::milliseconds::zero())
    rules.rescue_after.reset();
  if (rules.rescue_after) rules.rescue_after = std::min(*rules.rescue_after, kNever);
  return rules;
}

}  // namespace

Result<std::unique_ptr<SlotPort>> SlotPort::open(const Loop& loop, net::SlotGroup group,
                                                 Choice choice, User user) {
  // A program that names the only slot there is: whether the kernel takes one.
  const unsigned weight = 1;
  if (const auto steered = group.steer(net::choose_at_random({&weight, 1})); !steered)
    return make_error(Errc::NoDescriptor, steered.error().op, steered.error().message());
  return std::unique_ptr<SlotPort>{new SlotPort{loop, std::move(group), choice, std::move(user)}};
}

SlotPort::SlotPort(const Loop& loop, net::SlotGroup group, Choice choice, User user)
    : loop_{loop},
      group_{std::move(group)},
      choice_{choice},
      rules_{rules_of(choice)},
      book_{rules_},
      user_{std::move(user)},
      timer_{loop_.executor()} {
  by_queues_at_ = Clock::now() + kByQueuesAfter;
  if (rules_.rescue_after) watch_queues();  // now, so that later no descriptor more is held
}

void SlotPort::decide() {
  by_queues_at_.reset();
  if (choice_.datagrams)
    return user_.decided("datagrams: a flow keeps its worker, or its successor");
  if (choice_.policy == Policy::Hash)
    return user_.decided("the same client, the same worker while it is well");
  if (choice_.policy == Policy::Sticky)
    return user_.decided("the same client, the same worker or its successor");
  const auto steered = group_.steer_by_queues(steered_to_);
  by_queues_ = steered.has_value();
  if (by_queues_) return user_.decided("to the shortest queue, by eBPF");
  const Error& why = steered.error();
  user_.decided("by chance among workers that are not blocked (eBPF: " + why.code.message() +
                (why.detail.empty() ? "" : ", " + why.detail) + ')');
}

Result<std::size_t> SlotPort::join(std::size_t number, int worker, bool only_accepts) {
  const std::size_t slot = book_.fill(number, worker, Clock::now(), only_accepts);
  loads_.resize(book_.size());
  if (slot == group_.size()) {
    if (auto added = group_.add(); !added) {
      book_.vacate(worker, false);
      return added.error();
    }
  }
  while (buckets_.slots() < group_.size()) buckets_.add_slot();
  workers_changed();
  return slot;
}

void SlotPort::publishes(int worker, std::shared_ptr<const net::Load> load) {
  if (const auto slot = book_.slot_of(worker)) loads_[*slot] = std::move(load);
}

void SlotPort::retire(int worker, bool successor_expected) {
  book_.retire(worker, successor_expected);
  workers_changed();
}

void SlotPort::leave(int worker, bool successor_expected) {
  const auto slot = book_.slot_of(worker);
  if (!slot) return;
  loads_[*slot].reset();
  book_.vacate(worker, successor_expected);
  workers_changed();
}

void SlotPort::expect_no_successor(int worker) {
  book_.expect_no_successor(worker);
  workers_changed();
}

void SlotPort::workers_changed() {
  steer();
  wake();
  if (std::exchange(idle_looks_, 0) >= kIdleLooks) look_later();  // sooner than it would
}

bool SlotPort::any_waiting(int worker) const {
  const auto slot = book_.slot_of(worker);
  return slot && !choice_.datagrams && group_.waiting(*slot) > 0;
}

bool SlotPort::any_waiting() const {
  for (std::size_t slot = 0; slot < group_.size(); ++slot)
    if (group_.waiting(slot) > 0) return true;
  return false;
}

void SlotPort::stop_arrivals() {
  for (std::size_t slot = 0; slot < group_.size(); ++slot) net::stop_arrivals(group_.fd(slot));
}

void SlotPort::turns(int worker) {
  book_.turns(worker);
  steer();
}

// A failure leaves the program before it in place: the kernel took one like it. Not so eBPF: a
// primary that gave up its privilege goes on without.
void SlotPort::steer() {
  const bool by_client = choice_.policy == Policy::Hash || choice_.policy == Policy::Sticky;
  net::Shares shares;
  if (by_client)
    for (const bool eligible : book_.eligible()) shares.push_back(eligible ? net::kWholeShare : 0);
  else
    shares = book_.shares(Clock::now());
  shares.resize(group_.size());
  if (shares == steered_to_) return;
  Result<void> steered;
  if (by_queues_) {
    steered = group_.steer_by_queues(shares);
    by_queues_ = steered.has_value();
  }
  if (by_queues_) {
    steered_to_ = std::move(shares);
    return;
  }
  if (by_client) {
    const std::vector<bool> eligible(shares.begin(), shares.end());
    const auto same =
        choice_.datagrams ? net::SameClient::AddressAndPorts : net::SameClient::Address;
    steered = group_.steer(net::choose_by_client(buckets_.among(eligible), same));
  } else {
    std::vector<unsigned> weights(shares.size());
    for (std::size_t slot = 0; slot < weights.size(); ++slot)
      if (const std::size_t place = group_.place(slot); place < weights.size())
        weights[place] = shares[slot];
    steered = group_.steer(net::choose_at_random(weights));
  }
  if (steered) steered_to_ = std::move(shares);
}

void SlotPort::set_weights(const SlotBook::Weights& weights) {
  book_.set_weights(weights);
  if (book_.size() > 0) workers_changed();
}

OwnFd SlotPort::next_waiting() {
  while (!rescue_.empty()) {
    if (OwnFd fd = sys::accept(group_.fd(rescue_.back()))) return fd;
    rescue_.pop_back();  // none waits any more, or there are no descriptors: the next look tells
  }
  return {};
}

// Looking at the queues.

// False if there are no descriptors for it; the next time there may be.
bool SlotPort::watch_queues() {
  if (!queues_) {
    queues_ = sys::epoll_create();
    watched_ = 0;
  }
  for (; queues_ && watched_ < group_.size(); ++watched_)
    if (sys::epoll_add_readable(queues_.get(), group_.fd(watched_), watched_) == -1) return false;
  return static_cast<bool>(queues_);
}

std::vector<SlotBook::Queue> SlotPort::queues() {
  std::vector<SlotBook::Queue> queues(book_.size());
  for (std::size_t slot = 0; slot < queues.size(); ++slot)
    if (const auto& load = loads_[slot]) queues[slot].taken = net::Load::get(load->accepted);
  std::vector<epoll_event> ready(group_.size());
  const int count = watch_queues() ? sys::epoll_ready(queues_.get(), ready) : -1;
  if (count == -1) {
    for (std::size_t slot = 0; slot < group_.size(); ++slot)
      queues[slot].waiting = group_.waiting(slot);
    return queues;
  }
  ready.resize(static_cast<std::size_t>(count));
  for (const epoll_event& event : ready)
    queues[event.data.u64].waiting = group_.waiting(event.data.u64);
  return queues;
}

// What one does not publish is 0 for all: else those who do would be given nothing.
void SlotPort::tell_open() {
  if (!by_queues_) return;
  std::vector<std::uint32_t> open(group_.size());
  const std::vector<bool> eligible = book_.eligible();
  for (std::size_t slot = 0; slot < open.size(); ++slot) {
    if (!eligible[slot]) continue;
    if (!loads_[slot] || net::Load::get(loads_[slot]->counts_open) == 0) {
      open.assign(open.size(), 0);
      break;
    }
    open[slot] = net::Load::get(loads_[slot]->connections);
  }
  group_.set_open(open);
}

void SlotPort::fall_asleep() {
  if (!watch_queues()) return look_later();
  awake_ = false;
  asleep_since_ = Clock::now();
  asleep_ = std::make_unique<Watch>(loop_, std::move(queues_));
  asleep_->set_ref(false);
  asleep_->wait_readable([this] {
    const auto now = Clock::now();
    // It would be woken by each of many.
    if (now - asleep_since_ < look_every())
      awake_until_ = std::max(awake_until_, now + kLooksWhileBusy * look_every());
    wake_up();
    look();
  });
}

void SlotPort::wake_up() {
  if (asleep_) queues_ = asleep_->release();
  asleep_.reset();
  awake_ = true;
}

void SlotPort::wake() {
  if (!rules_.rescue_after && !by_queues_at_) return;
  awake_until_ = Clock::now() + kAwakeFor;
  if (awake_) return;
  wake_up();
  look_later();
}

std::chrono::milliseconds SlotPort::look_every() const {
  return std::min(*rules_.rescue_after, kLookAtLeast);
}

void SlotPort::look_later() {
  if (rules_.rescue_after)
    timer_.expires_after(look_every() * (1 << std::min(idle_looks_ / kIdleLooks, kHalvedAtMost)));
  else
    timer_.expires_at(*by_queues_at_);
  timer_.async_wait(callbacks_.wrap([this](boost::system::error_code error) {
    if (!error) look();
  }));
}

// The kernel moves what nobody may take by hand, and what no process would notice. All else is
// accepted and handed off: a worker that just then accepts itself must not get EINVAL.
void SlotPort::migrate(std::vector<std::size_t>& slots, Clock::time_point now) {
  group_.reopen();
  std::erase_if(slots, [&](std::size_t slot) {
    if (!by_queues_ || !group_.can_migrate() || !book_.may_be_moved(slot)) return false;
    if (!group_.migrate(slot)) {  // the kernel does not allow it any more
      by_queues_ = false;
      steered_to_.clear();
      steer();
      return false;
    }
    book_.moved(slot, now);
    return true;
  });
}

void SlotPort::look() {
  const auto now = Clock::now();
  if (by_queues_at_ && now >= *by_queues_at_) decide();
  if (!rules_.rescue_after) {
    awake_ = false;
    return;
  }
  const std::vector<SlotBook::Queue> seen = queues();
  auto findings = book_.observe(now, seen, user_.is_full);
  const bool nothing_happens = !findings.any_moves && findings.rescue.empty();
  steer();
  tell_open();
  migrate(findings.rescue, now);
  rescue_ = findings.rescue;
  const bool any_waits =
      std::any_of(seen.begin(), seen.end(), [](const auto& queue) { return queue.waiting > 0; });
  idle_looks_ = nothing_happens ? std::min(idle_looks_ + 1, kIdleLooks * kHalvedAtMost) : 0;
  user_.found(findings);
  // Without workers nothing can move; the next one wakes it.
  if (!book_.has_workers())
    awake_ = false;
  else if (any_waits || now < awake_until_ || book_.unsettled(now))
    look_later();
  else
    fall_asleep();
}

}  // namespace cohort::cluster
