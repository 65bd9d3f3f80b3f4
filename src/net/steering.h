// Which of an address's slots gets a new connection: classic BPF for SO_ATTACH_REUSEPORT_CBPF,
// which needs no privilege. Pure.
//
// A program returns the slot's position in the kernel's group of sockets (`SlotGroup::position`).
// It runs for every connection, so it holds no state: it is replaced when the choice changes.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace cohort::net {

using SteeringProgram = std::vector<sock_filter>;

/// As many slots as one address may have.
constexpr std::size_t kSlotsMax = 1024;

/// Slot i gets its share of all weights; one of weight 0 gets nothing. At least one weight must be
/// positive, and their sum fit 31 bits.
SteeringProgram choose_at_random(std::span<const unsigned> weights);

/// How often each slot is considered: 0 never (it is not eligible), kWholeShare every time.
using Shares = std::vector<std::uint8_t>;
constexpr std::uint8_t kWholeShare = 255;

/// The slot of each bucket of client addresses.
using BucketSlots = std::vector<std::uint16_t>;

/// What makes two packets one client's: their source address, or (of UDP) also the ports.
enum class SameClient { Address, AddressAndPorts };

/// Every client has a bucket, by a hash, and every bucket a slot.
SteeringProgram choose_by_client(const BucketSlots& slots, SameClient same = SameClient::Address);

/// `program`, but connections from `source_port` come to the slot. Of IPv4 headers without options.
SteeringProgram but_from(std::uint16_t source_port, std::size_t slot,
                         const SteeringProgram& program);

/// Which slot serves which bucket. Grows with as few moves as an even load allows.
class BucketTable {
 public:
  /// 256 are even to 2 % among 4 slots, and the program stays below the 20 KiB that old kernels
  /// (net.core.optmem_max) allow it.
  static constexpr std::size_t kBuckets = 256;

  /// Slot number `slots()`: it takes its share from those that have most.
  void add_slot();
  std::size_t slots() const { return slots_; }
  /// The table, with the buckets of slots that are not eligible spread over those that are, always
  /// in the same way. If none is, as if all were.
  BucketSlots among(const std::vector<bool>& eligible) const;

 private:
  std::size_t slots_ = 0;
  BucketSlots buckets_ = BucketSlots(kBuckets);
};

}  // namespace cohort::net
