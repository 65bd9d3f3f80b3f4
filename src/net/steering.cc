#include "net/steering.h"

#include <linux/if_ether.h>

#include <algorithm>
#include <initializer_list>

namespace cohort::net {
namespace {

constexpr std::uint32_t kNetwork = static_cast<std::uint32_t>(SKF_NET_OFF);
constexpr std::uint32_t kAncillary = static_cast<std::uint32_t>(SKF_AD_OFF);
constexpr std::uint32_t kIpv4Source = kNetwork + 12;
constexpr std::uint32_t kIpv6Source = kNetwork + 8;
// Of headers without options; whatever else is there is still the same for all of a flow, mostly.
constexpr std::uint32_t kIpv4Ports = kNetwork + 20;
constexpr std::uint32_t kIpv6Ports = kNetwork + 40;

sock_filter statement(unsigned code, std::uint32_t operand = 0) {
  return {static_cast<std::uint16_t>(code), 0, 0, operand};
}
sock_filter jump(unsigned code, std::uint32_t operand, std::uint8_t if_true,
                 std::uint8_t if_false) {
  return {static_cast<std::uint16_t>(code), if_true, if_false, operand};
}
sock_filter load(std::uint32_t offset) { return statement(BPF_LD | BPF_W | BPF_ABS, offset); }
sock_filter answer(std::uint32_t slot) { return statement(BPF_RET | BPF_K, slot); }
sock_filter multiply(std::uint32_t by) { return statement(BPF_ALU | BPF_MUL | BPF_K, by); }

// Of the accumulator, which holds a bucket of `begin` to `end`.
void find_slot(const BucketSlots& slots, std::size_t begin, std::size_t end,
               SteeringProgram& program) {
  const auto first = slots.begin() + static_cast<std::ptrdiff_t>(begin);
  if (std::all_of(first, slots.begin() + static_cast<std::ptrdiff_t>(end),
                  [&](std::uint16_t slot) { return slot == *first; }))
    return program.push_back(answer(*first));
  const std::size_t middle = begin + (end - begin) / 2;
  // A conditional jump reaches 255 instructions, an unconditional one all of them.
  program.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, static_cast<std::uint32_t>(middle), 0, 1));
  const std::size_t far = program.size();
  program.push_back(statement(BPF_JMP | BPF_JA));
  find_slot(slots, begin, middle, program);
  program[far].k = static_cast<std::uint32_t>(program.size() - far - 1);
  find_slot(slots, middle, end, program);
}

}  // namespace

SteeringProgram choose_at_random(std::span<const unsigned> weights) {
  std::uint32_t total = 0;
  for (const unsigned weight : weights) total += weight;
  SteeringProgram program{load(kAncillary + SKF_AD_RANDOM),
                          statement(BPF_ALU | BPF_MOD | BPF_K, total)};
  std::uint32_t below = 0;
  for (std::size_t slot = 0; slot < weights.size(); ++slot) {
    if (weights[slot] == 0) continue;
    below += weights[slot];
    if (below < total) program.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, below, 1, 0));
    program.push_back(answer(static_cast<std::uint32_t>(slot)));
  }
  return program;
}

SteeringProgram choose_by_client(const BucketSlots& slots, SameClient same) {
  constexpr std::uint32_t kOdd = 0x9e3779b1;  // 2^32 by the golden ratio
  constexpr unsigned kXor = BPF_ALU | BPF_XOR | BPF_X;
  constexpr unsigned kToX = BPF_MISC | BPF_TAX;
  // Several words, each mixed into the next.
  const auto mixed = [&](std::vector<std::uint32_t> words, std::uint32_t ports) {
    if (same == SameClient::AddressAndPorts) words.push_back(ports);
    SteeringProgram steps{load(words.front())};
    for (auto word = words.begin() + 1; word != words.end(); ++word)
      for (const sock_filter& step :
           {multiply(kOdd), statement(kToX), load(*word), statement(kXor)})
        steps.push_back(step);
    return steps;
  };
  SteeringProgram ipv4 = mixed({kIpv4Source}, kIpv4Ports);
  const SteeringProgram ipv6 =
      mixed({kIpv6Source, kIpv6Source + 4, kIpv6Source + 8, kIpv6Source + 12}, kIpv6Ports);
  ipv4.push_back(statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(ipv6.size())));
  SteeringProgram program{
      load(kAncillary + SKF_AD_PROTOCOL),
      jump(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, static_cast<std::uint8_t>(ipv4.size()), 0)};
  program.insert(program.end(), ipv4.begin(), ipv4.end());
  program.insert(program.end(), ipv6.begin(), ipv6.end());
  // The upper bits of a product depend on all bits: the second product's eight are the bucket.
  for (const sock_filter& step :
       {multiply(kOdd), statement(kToX), statement(BPF_ALU | BPF_RSH | BPF_K, 15), statement(kXor),
        multiply(kOdd), statement(BPF_ALU | BPF_RSH | BPF_K, 24)})
    program.push_back(step);
  find_slot(slots, 0, slots.size(), program);
  return program;
}

SteeringProgram but_from(std::uint16_t source_port, std::size_t slot,
                         const SteeringProgram& program) {
  SteeringProgram result{load(kAncillary + SKF_AD_PROTOCOL),
                         jump(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 2, 0),
                         load(kIpv4Ports),
                         statement(BPF_JMP | BPF_JA, 1),
                         load(kIpv6Ports),
                         statement(BPF_ALU | BPF_RSH | BPF_K, 16),
                         jump(BPF_JMP | BPF_JEQ | BPF_K, source_port, 0, 1),
                         answer(static_cast<std::uint32_t>(slot))};
  result.insert(result.end(), program.begin(), program.end());
  return result;
}

void BucketTable::add_slot() {
  const auto newcomer = static_cast<std::uint16_t>(slots_++);
  if (newcomer == 0) return;
  std::vector<std::size_t> counts(slots_);
  for (const std::uint16_t slot : buckets_) ++counts[slot];
  for (std::size_t share = kBuckets / slots_; share > 0; --share) {
    const auto fullest = std::max_element(counts.begin(), counts.end()) - counts.begin();
    *std::find(buckets_.begin(), buckets_.end(), static_cast<std::uint16_t>(fullest)) = newcomer;
    --counts[static_cast<std::size_t>(fullest)];
    ++counts[newcomer];
  }
}

BucketSlots BucketTable::among(const std::vector<bool>& eligible) const {
  std::vector<std::uint16_t> others;
  for (std::size_t slot = 0; slot < slots_; ++slot)
    if (eligible[slot]) others.push_back(static_cast<std::uint16_t>(slot));
  BucketSlots result = buckets_;
  if (others.empty()) return result;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket)
    if (!eligible[result[bucket]]) result[bucket] = others[bucket % others.size()];
  return result;
}

}  // namespace cohort::net
