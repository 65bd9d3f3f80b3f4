#include "cluster/slot_steering.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/sys.h"
#include "net/sockaddr.h"

namespace cohort::cluster {
namespace {

class SlotSteeringTest : public testing::TestWithParam<Policy> {
 protected:
  // Worker n + 1 in slot n.
  void fill(int count) {
    for (int slot = 0; slot < count; ++slot) book.fill(static_cast<std::size_t>(slot), slot + 1);
    ASSERT_TRUE(steering.grow(book.size()));
    steering.follow(book);
  }
  // How many of 100 connections come to each slot.
  std::vector<unsigned> arrivals() {
    const auto name = net::to_sockaddr(net::local_address(steering.group().fd(0)).value()).value();
    std::vector<OwnFd> clients;
    for (int i = 0; i < 100; ++i) {
      clients.push_back(sys::socket(AF_INET, SOCK_STREAM, 0));
      sys::set_nonblocking(clients.back().get(), false);
      EXPECT_EQ(sys::connect(clients.back().get(), name.get(), name.size), 0);
    }
    std::vector<unsigned> counts;
    for (std::size_t slot = 0; slot < steering.group().size(); ++slot) {
      unsigned count = 0;
      while (sys::accept(steering.group().fd(slot))) ++count;
      counts.push_back(count);
    }
    return counts;
  }

  SlotBook book{{.steer_around = true, .rescue_after = {}}};
  SlotSteering steering =
      SlotSteering::open(net::SlotGroup::open({.address = {"127.0.0.1", 0}}).value(), GetParam(),
                         false)
          .value();
};

TEST_P(SlotSteeringTest, ASlotWithoutAWorkerGetsNothing) {
  fill(3);
  book.vacate(2, false);
  steering.follow(book);
  const auto counts = arrivals();
  EXPECT_EQ(counts[1], 0U);
  EXPECT_EQ(counts[0] + counts[2], 100U);
}

TEST_P(SlotSteeringTest, OneClientHasOneSlotWhereThatIsWanted) {
  fill(3);
  const auto counts = arrivals();
  const auto most = std::max({counts[0], counts[1], counts[2]});
  EXPECT_EQ(most == 100U, GetParam() != Policy::Adaptive);
}

TEST_P(SlotSteeringTest, ASuccessorHasItsSlotsConnectionsOnceTheOldOneIsRetired) {
  fill(3);
  const auto before = arrivals();
  const auto served = std::max_element(before.begin(), before.end()) - before.begin();
  const auto slot = static_cast<std::size_t>(served);
  int worker = static_cast<int>(slot) + 1, successor = 4;
  for (const std::size_t queue : {std::size_t{3}, slot, std::size_t{3}}) {
    ASSERT_EQ(book.fill(slot, successor), queue);
    ASSERT_TRUE(steering.grow(book.size()));
    steering.follow(book);
    EXPECT_EQ(arrivals()[queue], 0U) << "the old one serves";
    book.retire(worker, true);
    steering.follow(book);
    const auto after = arrivals();
    EXPECT_EQ(after[queue == 3 ? slot : 3], 0U);
    if (GetParam() == Policy::Adaptive)
      EXPECT_GT(after[queue], 0U);
    else
      EXPECT_EQ(after[queue], 100U) << "the client's slot is the same";
    book.vacate(worker, true);
    worker = successor++;
  }
  EXPECT_EQ(steering.group().size(), 4U);
}

TEST_P(SlotSteeringTest, TheSameHoldsWhenItIsChosenHow) {
  fill(2);
  EXPECT_FALSE(steering.choose_how().empty());
  book.vacate(1, false);
  steering.follow(book);
  steering.tell_open(book);
  EXPECT_EQ(arrivals(), (std::vector<unsigned>{0, 100}));
}

TEST_P(SlotSteeringTest, KnowsWhatAWorkerPublishesUntilItDoesNoMore) {
  fill(1);
  EXPECT_FALSE(steering.taken(0));
  EXPECT_FALSE(steering.taken(7));
  const auto load = std::make_shared<net::Load>();
  net::Load::set(load->accepted, 42);
  steering.publishes(0, load);
  EXPECT_EQ(steering.taken(0), 42U);
  steering.publishes(0, nullptr);
  EXPECT_FALSE(steering.taken(0));
}

INSTANTIATE_TEST_SUITE_P(Policies, SlotSteeringTest,
                         testing::Values(Policy::Adaptive, Policy::Hash, Policy::Sticky),
                         [](const auto& policy) { return std::string{to_string(policy.param)}; });

}  // namespace
}  // namespace cohort::cluster
