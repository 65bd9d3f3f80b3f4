#include "cluster/slot_steering.h"

#include <algorithm>
#include <utility>

namespace cohort::cluster {

Result<SlotSteering> SlotSteering::open(net::SlotGroup group, Policy policy, bool datagrams) {
  // A program that names the only socket there is: whether the kernel takes one.
  const unsigned weight = 1;
  if (const auto steered = group.steer(net::choose_at_random({&weight, 1})); !steered)
    return make_error(Errc::NoDescriptor, steered.error().op, steered.error().message());
  return SlotSteering{std::move(group), policy, datagrams};
}

SlotSteering::SlotSteering(net::SlotGroup group, Policy policy, bool datagrams)
    : group_{std::move(group)}, policy_{policy}, datagrams_{datagrams} {}

Result<void> SlotSteering::grow(std::size_t queues) {
  while (group_.size() < queues)
    if (auto added = group_.add(); !added) return added;
  loads_.resize(group_.size());
  return {};
}

std::string SlotSteering::choose_how() {
  if (datagrams_) return "datagrams: a flow keeps its worker, or its successor";
  if (policy_ == Policy::Hash) return "the same client, the same worker while it is well";
  if (policy_ == Policy::Sticky) return "the same client, the same worker or its successor";
  const auto steered = group_.steer_by_queues(steered_to_);
  by_queues_ = steered.has_value();
  if (by_queues_) return "to the shortest queue, by eBPF";
  const Error& why = steered.error();
  return "by chance among workers that are not blocked (eBPF: " + why.code.message() +
         (why.detail.empty() ? "" : ", " + why.detail) + ')';
}

net::Shares SlotSteering::shares(const SlotBook& book) const {
  net::Shares shares;
  if (by_client())
    for (const bool eligible : book.eligible()) shares.push_back(eligible ? net::kWholeShare : 0);
  else
    shares = book.shares(SlotBook::TimePoint::clock::now());
  shares.resize(group_.size());
  return shares;
}

// A failure leaves the program before it in place: the kernel took one like it. Not so eBPF: a
// primary that gave up its privilege goes on without.
void SlotSteering::follow(const SlotBook& book) {
  net::Shares wanted = shares(book);
  if (wanted == steered_to_) return;
  if (by_queues_) by_queues_ = group_.steer_by_queues(wanted).has_value();
  if (by_queues_ || steer(wanted, book)) steered_to_ = std::move(wanted);
}

// By classic BPF.
Result<void> SlotSteering::steer(const net::Shares& shares, const SlotBook& book) {
  if (by_client()) {
    const auto same = datagrams_ ? net::SameClient::AddressAndPorts : net::SameClient::Address;
    return group_.steer(net::choose_by_client(clients(shares, book), same));
  }
  std::vector<unsigned> weights(shares.size());
  for (std::size_t queue = 0; queue < weights.size(); ++queue)
    if (const std::size_t position = group_.position(queue); position < weights.size())
      weights[position] = shares[queue];
  return group_.steer(net::choose_at_random(weights));
}

// A bucket of clients has a slot, and gets the queue that is the slot's for now.
net::BucketSlots SlotSteering::clients(const net::Shares& shares, const SlotBook& book) {
  while (buckets_.slots() < book.slots()) buckets_.add_slot();
  std::vector<bool> eligible(book.slots());
  std::vector<std::uint16_t> queues(book.slots());
  for (std::size_t queue = 0; queue < std::min(book.size(), shares.size()); ++queue) {
    if (shares[queue] == 0) continue;
    eligible[book.slot_of(queue)] = true;
    queues[book.slot_of(queue)] = static_cast<std::uint16_t>(queue);
  }
  net::BucketSlots buckets = buckets_.among(eligible);
  for (std::uint16_t& bucket : buckets) bucket = queues[bucket];
  return buckets;
}

void SlotSteering::publishes(std::size_t queue, std::shared_ptr<const net::Load> load) {
  if (queue < loads_.size()) loads_[queue] = std::move(load);
}

std::optional<std::uint64_t> SlotSteering::taken(std::size_t queue) const {
  if (queue >= loads_.size() || !loads_[queue]) return std::nullopt;
  return net::Load::get(loads_[queue]->accepted);
}

// What one does not publish is 0 for all: else those who do would be given nothing.
void SlotSteering::tell_open(const SlotBook& book) {
  if (!by_queues_) return;
  std::vector<std::uint32_t> open(group_.size());
  const std::vector<bool> eligible = book.eligible();
  for (std::size_t queue = 0; queue < open.size(); ++queue) {
    if (!eligible[queue]) continue;
    if (!loads_[queue] || net::Load::get(loads_[queue]->counts_open) == 0) {
      open.assign(open.size(), 0);
      break;
    }
    open[queue] = net::Load::get(loads_[queue]->connections);
  }
  group_.set_open(open);
}

bool SlotSteering::migrate(std::size_t queue) {
  if (group_.migrate(queue)) return true;
  by_queues_ = false;
  steered_to_.clear();
  return false;
}

}  // namespace cohort::cluster
