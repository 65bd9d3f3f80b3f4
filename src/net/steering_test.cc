#include "net/steering.h"

#include <gtest/gtest.h>

#include <map>

namespace cohort::net {
namespace {

std::map<int, int> counts(const BucketSlots& slots) {
  std::map<int, int> result;
  for (const auto slot : slots) ++result[slot];
  return result;
}

BucketTable table_of(std::size_t slots) {
  BucketTable table;
  while (table.slots() < slots) table.add_slot();
  return table;
}

BucketSlots all_of(const BucketTable& table) {
  return table.among(std::vector<bool>(table.slots(), true));
}

TEST(BucketTable, IsEvenForAnyNumberOfSlots) {
  for (const std::size_t slots : {1u, 2u, 3u, 4u, 7u, 16u, 64u, 100u, 256u}) {
    const auto per_slot = counts(all_of(table_of(slots)));
    ASSERT_EQ(per_slot.size(), slots);
    int least = 1 << 30, most = 0;
    for (const auto& [slot, count] : per_slot) {
      least = std::min(least, count);
      most = std::max(most, count);
    }
    EXPECT_LE(most - least, 1) << slots << " slots";
  }
}

TEST(BucketTable, ANewSlotTakesItsShareAndNothingElseMoves) {
  BucketTable table = table_of(4);
  const BucketSlots before = all_of(table);
  table.add_slot();
  const BucketSlots after = all_of(table);
  int moved = 0;
  for (std::size_t bucket = 0; bucket < before.size(); ++bucket) {
    if (after[bucket] == before[bucket]) continue;
    EXPECT_EQ(after[bucket], 4);
    ++moved;
  }
  EXPECT_EQ(moved, 256 / 5);
}

TEST(BucketTable, OnlyTheClientsOfASlotThatIsNotEligibleGoElsewhereAndTheyComeBack) {
  const BucketTable table = table_of(4);
  const BucketSlots all = all_of(table);
  const BucketSlots without = table.among({true, false, true, true});
  for (std::size_t bucket = 0; bucket < all.size(); ++bucket) {
    if (all[bucket] == 1)
      EXPECT_NE(without[bucket], 1);
    else
      EXPECT_EQ(without[bucket], all[bucket]);
  }
  for (const auto& [slot, count] : counts(without)) EXPECT_NEAR(count, 256 / 3, 3) << slot;
  EXPECT_EQ(table.among({false, false, false, false}), all);
}

TEST(BucketTable, HoldsMoreSlotsThanBuckets) {
  const auto per_slot = counts(all_of(table_of(300)));
  EXPECT_EQ(per_slot.size(), 256u);
}

// Old kernels take programs of 20 KiB, where an instruction has 8 bytes and may become two.
TEST(Steering, ProgramsFitOldKernels) {
  EXPECT_LT(choose_by_client(all_of(table_of(256))).size(), 20u * 1024 / 16);
  const std::vector<unsigned> weights(256, 1);
  EXPECT_LT(choose_at_random(weights).size(), 20u * 1024 / 16);
}

}  // namespace
}  // namespace cohort::net
