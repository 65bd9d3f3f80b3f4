#include "cluster/slot_steering.h"

#include <utility>

namespace cohort::cluster {

Result<SlotSteering> SlotSteering::open(net::SlotGroup group, Policy policy, bool datagrams) {
  // A program that names the only slot there is: whether the kernel takes one.
  const unsigned weight = 1;
  if (const auto steered = group.steer(net::choose_at_random({&weight, 1})); !steered)
    return make_error(Errc::NoDescriptor, steered.error().op, steered.error().message());
  return SlotSteering{std::move(group), policy, datagrams};
}

SlotSteering::SlotSteering(net::SlotGroup group, Policy policy, bool datagrams)
    : group_{std::move(group)}, policy_{policy}, datagrams_{datagrams} {}

Result<void> SlotSteering::grow(std::size_t slots) {
  while (group_.size() < slots)
    if (auto added = group_.add(); !added) return added;
  while (buckets_.slots() < group_.size()) buckets_.add_slot();
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
  if (by_queues_ || steer(wanted)) steered_to_ = std::move(wanted);
}

// By classic BPF.
Result<void> SlotSteering::steer(const net::Shares& shares) {
  if (by_client()) {
    const std::vector<bool> eligible(shares.begin(), shares.end());
    const auto same = datagrams_ ? net::SameClient::AddressAndPorts : net::SameClient::Address;
    return group_.steer(net::choose_by_client(buckets_.among(eligible), same));
  }
  std::vector<unsigned> weights(shares.size());
  for (std::size_t slot = 0; slot < weights.size(); ++slot)
    if (const std::size_t place = group_.place(slot); place < weights.size())
      weights[place] = shares[slot];
  return group_.steer(net::choose_at_random(weights));
}

void SlotSteering::publishes(std::size_t slot, std::shared_ptr<const net::Load> load) {
  if (slot < loads_.size()) loads_[slot] = std::move(load);
}

std::optional<std::uint64_t> SlotSteering::taken(std::size_t slot) const {
  if (slot >= loads_.size() || !loads_[slot]) return std::nullopt;
  return net::Load::get(loads_[slot]->accepted);
}

// What one does not publish is 0 for all: else those who do would be given nothing.
void SlotSteering::tell_open(const SlotBook& book) {
  if (!by_queues_) return;
  std::vector<std::uint32_t> open(group_.size());
  const std::vector<bool> eligible = book.eligible();
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

bool SlotSteering::migrate(std::size_t slot) {
  if (group_.migrate(slot)) return true;
  by_queues_ = false;
  steered_to_.clear();
  return false;
}

}  // namespace cohort::cluster
