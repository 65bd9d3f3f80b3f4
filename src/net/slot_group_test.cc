#include "net/slot_group.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <chrono>
#include <cstddef>
#include <future>
#include <numeric>
#include <set>

#include "net/bind.h"
#include "net/test_world.h"

namespace cohort::net {
namespace {

using namespace std::chrono_literals;
using test::request_for;

// Client connections to an address, from given addresses of this machine, kept open.
class Clients {
 public:
  explicit Clients(const SlotGroup& group)
      : target_{to_sockaddr(local_address(group.fd(0)).value()).value()} {}

  void connect(int count, const Address& from = {}) {
    for (int i = 0; i < count; ++i) {
      OwnFd fd = sys::socket(target_.family(), SOCK_STREAM, 0);
      sys::set_nonblocking(fd.get(), false);
      if (!from.host().empty()) {
        const SockAddr source = to_sockaddr(from).value();
        ASSERT_EQ(sys::bind(fd.get(), source.get(), source.size), 0);
      }
      ASSERT_EQ(sys::connect(fd.get(), target_.get(), target_.size), 0);
      connections_.push_back(std::move(fd));
    }
  }

  void send_from_first(int count) {
    for (auto client = connections_.begin(); client != connections_.begin() + count; ++client)
      ASSERT_EQ(sys::send(client->get(), "x", 1), 1);
  }
  void send_from_last(int count) {
    for (auto client = connections_.end() - count; client != connections_.end(); ++client)
      ASSERT_EQ(sys::send(client->get(), "x", 1), 1);
  }

 private:
  SockAddr target_;
  std::vector<OwnFd> connections_;
};

SlotGroup group_of(std::size_t slots, const Address& address = {"127.0.0.1", 0}) {
  auto group = SlotGroup::open(request_for(address));
  EXPECT_TRUE(group) << group.error();
  while (group->size() < slots) {
    const auto added = group->add();
    EXPECT_TRUE(added) << added.error();
    if (!added) break;
  }
  return std::move(*group);
}

std::vector<unsigned> waiting(const SlotGroup& group) {
  std::vector<unsigned> result;
  for (std::size_t slot = 0; slot < group.size(); ++slot) result.push_back(group.waiting(slot));
  return result;
}

std::set<std::size_t> busy_slots(const SlotGroup& group) {
  std::set<std::size_t> result;
  for (std::size_t slot = 0; slot < group.size(); ++slot)
    if (group.waiting(slot) > 0) result.insert(slot);
  return result;
}

TEST(SlotGroup, ABusyPortIsAnErrorAlsoWhenAnotherGroupHasIt) {
  const SlotGroup first = group_of(2);
  const Address address = local_address(first.fd(0)).value();
  const auto second = SlotGroup::open(request_for(address));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code.value(), EADDRINUSE);
  EXPECT_NE(second.error().message().find("ss -ltnp"), std::string::npos);
}

TEST(SlotGroup, APlainListenerHasThePortToo) {
  const OwnFd plain = bind_socket(request_for({"127.0.0.1", 0})).value();
  ASSERT_TRUE(listen_on(plain.get(), 0));
  EXPECT_FALSE(SlotGroup::open(request_for(local_address(plain.get()).value())));
}

TEST(SlotGroup, AllSlotsHaveOneAddress) {
  for (const Address& address : {Address{"127.0.0.1", 0}, Address{"::1", 0}, Address{"", 0}}) {
    const SlotGroup group = group_of(4, address);
    ASSERT_EQ(group.size(), 4u);
    for (std::size_t slot = 0; slot < 4; ++slot)
      EXPECT_EQ(local_address(group.fd(slot)).value(), local_address(group.fd(0)).value());
  }
}

// Others still go where the program says, before and after.
void expect_led_to_slot_two(SlotGroup& group) {
  Clients clients{group};
  std::vector<OwnFd> led;
  for (int i = 0; i < 5; ++i) {
    auto connected = group.connect(2);
    ASSERT_TRUE(connected) << connected.error();
    led.push_back(std::move(*connected));
    clients.connect(2);
  }
  EXPECT_EQ(waiting(group), (std::vector{10U, 0U, 5U}));
}

TEST(SlotGroup, AConnectionIsLedToAnySlot) {
  const unsigned all_to_the_first[] = {1, 0, 0};
  for (const Address& address :
       {Address{"127.0.0.1", 0}, Address{"0.0.0.0", 0}, Address{"::1", 0}, Address{"", 0}}) {
    SlotGroup group = group_of(3, address);
    ASSERT_TRUE(group.steer(choose_at_random(all_to_the_first)));
    expect_led_to_slot_two(group);
  }
}

TEST(SlotGroup, AFullQueueTakesNoConnectionThatIsLed) {
  auto group = SlotGroup::open({.address = {"127.0.0.1", 0}, .backlog = 1}).value();
  const unsigned one[] = {1};
  ASSERT_TRUE(group.steer(choose_at_random(one)));
  std::vector<OwnFd> held;
  for (int i = 0; i < 10; ++i) {
    auto connected = group.connect(0);
    if (!connected) {
      EXPECT_EQ(connected.error().code.value(), EAGAIN) << connected.error();
      return;
    }
    held.push_back(std::move(*connected));
  }
  FAIL() << "ten connections wait in a queue for one";
}

TEST(SlotGroup, EachConnectionWaitsInOneQueue) {
  const SlotGroup group = group_of(4);
  Clients clients{group};
  clients.connect(40);
  const auto lengths = waiting(group);
  EXPECT_EQ(std::accumulate(lengths.begin(), lengths.end(), 0u), 40u);
}

TEST(SlotGroup, TheProgramChoosesAmongTheEligibleAlone) {
  SlotGroup group = group_of(4);
  const std::vector<unsigned> weights{1, 0, 1, 0};
  ASSERT_TRUE(group.steer(choose_at_random(weights)));
  Clients clients{group};
  clients.connect(100);
  const auto lengths = waiting(group);
  EXPECT_EQ(lengths[1], 0u);
  EXPECT_EQ(lengths[3], 0u);
  EXPECT_EQ(lengths[0] + lengths[2], 100u);
  EXPECT_GT(lengths[0], 20u);
  EXPECT_GT(lengths[2], 20u);
}

TEST(SlotGroup, WeightsAreShares) {
  SlotGroup group = group_of(3);
  const std::vector<unsigned> weights{8, 1, 1};
  ASSERT_TRUE(group.steer(choose_at_random(weights)));
  Clients clients{group};
  clients.connect(200);
  EXPECT_NEAR(group.waiting(0), 160, 35);
}

TEST(SlotGroup, ANewProgramReplacesTheOldOne) {
  SlotGroup group = group_of(3);
  Clients clients{group};
  for (std::size_t chosen = 0; chosen < 3; ++chosen) {
    std::vector<unsigned> weights(3, 0);
    weights[chosen] = 1;
    ASSERT_TRUE(group.steer(choose_at_random(weights)));
    clients.connect(10);
  }
  EXPECT_EQ(waiting(group), (std::vector<unsigned>{10, 10, 10}));
}

TEST(SlotGroup, ASlotThatComesLaterHasThePlaceOfItsNumber) {
  SlotGroup group = group_of(2);
  ASSERT_TRUE(group.add());
  const std::vector<unsigned> weights{0, 0, 1};
  ASSERT_TRUE(group.steer(choose_at_random(weights)));
  Clients clients{group};
  clients.connect(20);
  EXPECT_EQ(waiting(group), (std::vector<unsigned>{0, 0, 20}));
}

BucketSlots even_buckets(std::size_t slots) {
  BucketTable table;
  while (table.slots() < slots) table.add_slot();
  return table.among(std::vector<bool>(slots, true));
}

TEST(SlotGroup, OneClientComesToOneSlot) {
  SlotGroup group = group_of(4);
  ASSERT_TRUE(group.steer(choose_by_client(even_buckets(4))));
  Clients clients{group};
  clients.connect(20, {"127.0.0.9", 0});
  EXPECT_EQ(busy_slots(group).size(), 1u);
}

TEST(SlotGroup, ManyClientsAreSpreadEvenly) {
  SlotGroup group = group_of(4);
  ASSERT_TRUE(group.steer(choose_by_client(even_buckets(4))));
  Clients clients{group};
  for (int i = 0; i < 400; ++i)
    clients.connect(1, {"127.0." + std::to_string(i / 200) + "." + std::to_string(i % 200 + 1), 0});
  for (const unsigned length : waiting(group)) EXPECT_NEAR(length, 100, 40);
}

// The address of a client is all 128 bits of it, and that of an IPv4 client the same on a socket
// for both.
TEST(SlotGroup, ClientsOfBothFamiliesHaveASlot) {
  SlotGroup group = group_of(4, {"", 0});
  ASSERT_TRUE(group.steer(choose_by_client(even_buckets(4))));
  Clients clients{group};
  const auto target = local_address(group.fd(0)).value();
  for (const char* host : {"127.0.0.1", "::1"}) {
    test::World world;
    const auto before = waiting(group);
    std::vector<std::unique_ptr<test::Client>> same;
    for (int i = 0; i < 10; ++i)
      same.push_back(std::make_unique<test::Client>(world, Address{host, target.port()}));
    std::size_t grown = 0;
    const auto after = waiting(group);
    for (std::size_t slot = 0; slot < 4; ++slot) grown += after[slot] > before[slot] ? 1 : 0;
    EXPECT_EQ(grown, 1u) << host;
  }
}

// The kernel reads the queues: as root, or with CAP_BPF and CAP_PERFMON.
class ByQueues : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto loaded = QueueSteering::load(); !loaded) GTEST_SKIP() << loaded.error();
  }
};

TEST_F(ByQueues, AConnectionIsLedToAnySlot) {
  SlotGroup group = group_of(3);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, 0, 0}));
  expect_led_to_slot_two(group);
}

TEST_F(ByQueues, TheShortestQueueIsChosen) {
  SlotGroup group = group_of(3);
  std::vector<unsigned> first{1, 0, 0};
  ASSERT_TRUE(group.steer(choose_at_random(first)));
  Clients clients{group};
  clients.connect(6);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, kWholeShare, kWholeShare}));
  clients.connect(9);
  EXPECT_EQ(waiting(group), (std::vector<unsigned>{6, 5, 4}));
  clients.connect(6);
  EXPECT_EQ(waiting(group), (std::vector<unsigned>{7, 7, 7}));
}

TEST_F(ByQueues, EqualsTakeTurnsAlsoWhenSomeAreNotEligible) {
  SlotGroup group = group_of(4);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, 0, kWholeShare, kWholeShare}));
  Clients clients{group};
  std::vector<int> chosen(4);
  for (int i = 0; i < 300; ++i) {
    clients.connect(1);
    for (std::size_t slot = 0; slot < 4; ++slot)
      while (sys::accept(group.fd(slot))) ++chosen[slot];
  }
  EXPECT_EQ(chosen, (std::vector<int>{100, 0, 100, 100}));
}

TEST_F(ByQueues, AmongEqualsTheOneWithTheFewestOpenIsChosen) {
  SlotGroup group = group_of(4);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, kWholeShare, kWholeShare, 0}));
  Clients clients{group};
  const auto given_to = [&](std::vector<std::uint32_t> open, int count) {
    group.set_open(open);
    for (int i = 0; i < count; ++i) {
      clients.connect(1);
      for (std::size_t slot = 0; slot < group.size(); ++slot)
        while (sys::accept(group.fd(slot))) ++open[slot];
    }
    return open;
  };
  EXPECT_EQ(given_to({5, 1, 3, 0}, 9), (std::vector<std::uint32_t>{6, 6, 6, 0}));
  EXPECT_EQ(given_to({0, 9, 9, 0}, 5), (std::vector<std::uint32_t>{5, 9, 9, 0})) << "it was told";
  // The length of the queue comes first.
  group.set_open(std::vector<std::uint32_t>{0, 9, 9, 0});
  clients.connect(3);
  EXPECT_EQ(waiting(group), (std::vector<unsigned>{1, 1, 1, 0}));
}

TEST_F(ByQueues, WhoHasFewerCatchesUpAlsoAfterAQueueOfHis) {
  SlotGroup group = group_of(4);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, kWholeShare, kWholeShare, kWholeShare}));
  group.set_open(std::vector<std::uint32_t>{100, 100, 100, 0});
  Clients clients{group};
  clients.connect(2);  // one waits with him: the other goes elsewhere
  EXPECT_EQ(group.waiting(3), 1u);
  for (std::size_t slot = 0; slot < 4; ++slot)
    while (sys::accept(group.fd(slot))) continue;
  for (int i = 0; i < 20; ++i) {
    clients.connect(1);
    EXPECT_TRUE(sys::accept(group.fd(3))) << i;
  }
}

// Nobody tells what is open: then it does not count who was given how many, ever.
TEST_F(ByQueues, ANewSlotOnlyTakesItsTurns) {
  SlotGroup group = group_of(2);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, kWholeShare}));
  Clients clients{group};
  std::vector<int> chosen(3);
  const auto connect = [&](int count) {
    for (int i = 0; i < count; ++i) {
      clients.connect(1);
      for (std::size_t slot = 0; slot < group.size(); ++slot)
        while (sys::accept(group.fd(slot))) ++chosen[slot];
    }
  };
  connect(60);
  ASSERT_TRUE(group.add());
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, kWholeShare, kWholeShare}));
  connect(30);
  EXPECT_EQ(chosen, (std::vector<int>{40, 40, 10}));
}

TEST_F(ByQueues, WhatIsOpenIsMeasuredByTheShares) {
  SlotGroup group = group_of(2);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, 51}));
  group.set_open(std::vector<std::uint32_t>{50, 11});  // as 50 and 55
  Clients clients{group};
  clients.connect(1);
  EXPECT_EQ(waiting(group), (std::vector<unsigned>{1, 0}));
}

TEST_F(ByQueues, SharesAreHowOftenASlotIsConsidered) {
  SlotGroup group = group_of(3);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, 64, 0}));
  Clients clients{group};
  std::vector<int> chosen(3);
  for (int i = 0; i < 500; ++i) {
    clients.connect(1);
    for (std::size_t slot = 0; slot < 3; ++slot)
      while (sys::accept(group.fd(slot))) ++chosen[slot];
  }
  EXPECT_NEAR(chosen[1], 500 / 5, 40) << "a quarter of the other's";
  EXPECT_EQ(chosen[2], 0);
  EXPECT_EQ(chosen[0] + chosen[1], 500);
  ASSERT_TRUE(group.steer_by_queues({0, 1, 0}));
  clients.connect(20);
  EXPECT_EQ(waiting(group), (std::vector<unsigned>{0, 20, 0})) << "there is no other";
}

TEST_F(ByQueues, ASlotThatComesLaterIsChosenToo) {
  SlotGroup group = group_of(2);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, kWholeShare}));
  ASSERT_TRUE(group.add());
  Clients clients{group};
  clients.connect(4);
  EXPECT_EQ(waiting(group), (std::vector<unsigned>{2, 2, 0}));
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, kWholeShare, kWholeShare}));
  clients.connect(5);
  EXPECT_EQ(waiting(group), (std::vector<unsigned>{3, 3, 3}));
}

// As half-open connections, of a flood of SYNs, do not: they are in no queue.
TEST_F(ByQueues, ConnectionsThatNeverCompleteDoNotTipTheBalance) {
  SlotGroup group = group_of(3);
  for (std::size_t slot = 0; slot < 3; ++slot) defer_accept(group.fd(slot));
  std::vector<unsigned> first{1, 0, 0};
  ASSERT_TRUE(group.steer(choose_at_random(first)));
  Clients clients{group};
  clients.connect(200);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, kWholeShare, kWholeShare}));
  for (int i = 0; i < 30; ++i) {
    clients.connect(1);
    clients.send_from_last(1);
  }
  EXPECT_EQ(waiting(group), (std::vector<unsigned>{10, 10, 10}));
}

// With SYN cookies the slot is chosen as the handshake ends, and there is nothing before that.
TEST_F(ByQueues, SynCookiesDoNotTipTheBalance) {
  const auto is_even = [] {
    SlotGroup group = group_of(3);
    if (!group.steer_by_queues({kWholeShare, kWholeShare, kWholeShare})) return false;
    Clients clients{group};
    clients.connect(30);
    return waiting(group) == std::vector<unsigned>{10, 10, 10};
  };
  EXPECT_EXIT(test::exit_from_own_network({{"tcp_syncookies", "2"}}, is_even),
              test::holds_or_is_not_allowed, "");
}

TEST_F(ByQueues, WhatWaitsMovesToTheEligibleWithTheBytesThatArrived) {
  SlotGroup group = group_of(4);
  const std::vector<unsigned> first{0, 1, 0, 0};
  ASSERT_TRUE(group.steer(choose_at_random(first)));
  Clients clients{group};
  clients.connect(30);
  clients.send_from_last(30);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, 0, kWholeShare, 0}));
  ASSERT_TRUE(group.migrate(1));
  EXPECT_EQ(waiting(group), (std::vector<unsigned>{15, 0, 15, 0}));
  for (const std::size_t slot : {0u, 2u}) {
    while (OwnFd connection = sys::accept(group.fd(slot))) {
      char byte = 0;
      EXPECT_EQ(sys::recv(connection.get(), &byte, 1, 0), 1);
    }
  }
}

// A client whose first data has not come is half open here: it belongs to the socket, not to its
// queue.
TEST_F(ByQueues, HalfOpenConnectionsStayWithTheSlotThatMovesAndMoveTheNextTime) {
  for (const Address& address : {Address{"127.0.0.1", 0}, Address{"::1", 0}, Address{"", 0}}) {
    SlotGroup group = group_of(3, address);
    for (std::size_t slot = 0; slot < 3; ++slot) defer_accept(group.fd(slot));
    ASSERT_TRUE(group.steer_by_queues({kWholeShare, 0, 0}));
    Clients clients{group};
    clients.connect(20);
    clients.send_from_last(5);
    EXPECT_EQ(waiting(group), (std::vector<unsigned>{5, 0, 0}));
    ASSERT_TRUE(group.steer_by_queues({0, kWholeShare, kWholeShare}));
    ASSERT_TRUE(group.migrate(0));
    EXPECT_EQ(group.waiting(0), 0u);
    EXPECT_EQ(group.waiting(1) + group.waiting(2), 5u);
    clients.send_from_first(15);
    EXPECT_EQ(group.waiting(0), 15u);
    ASSERT_TRUE(group.migrate(0));
    EXPECT_EQ(group.waiting(1) + group.waiting(2), 20u);
    // What the socket counts of them does not go wrong: it takes as many new ones as before.
    ASSERT_TRUE(group.steer_by_queues({kWholeShare, 0, 0}));
    clients.connect(100);
    clients.send_from_last(100);
    EXPECT_EQ(group.waiting(0), 100u) << address;
    for (std::size_t slot = 0; slot < 3; ++slot) {
      while (OwnFd connection = sys::accept(group.fd(slot))) {
        char byte = 0;
        EXPECT_EQ(sys::recv(connection.get(), &byte, 1, 0), 1);
      }
    }
  }
}

TEST_F(ByQueues, ASlotWhoseConnectionsMovedGetsNewOnesLater) {
  SlotGroup group = group_of(4);
  defer_accept(group.fd(0));
  const Address address = local_address(group.fd(0)).value();
  Clients clients{group};
  for (const std::size_t slot : {1u, 0u, 3u, 0u, 2u}) {
    ASSERT_TRUE(group.steer_by_queues({kWholeShare, kWholeShare, kWholeShare, kWholeShare}));
    ASSERT_TRUE(group.migrate(slot));
    EXPECT_EQ(local_address(group.fd(slot)).value(), address);
    Shares only(4);
    only[slot] = kWholeShare;
    ASSERT_TRUE(group.steer_by_queues(only));
    clients.connect(3);
    clients.send_from_last(3);
    EXPECT_EQ(group.waiting(slot), 3u);
    while (sys::accept(group.fd(slot))) {
    }
  }
  // Other programs name their positions.
  for (std::size_t slot = 0; slot < 4; ++slot) {
    std::vector<unsigned> weights(4);
    weights[group.position(slot)] = 1;
    ASSERT_TRUE(group.steer(choose_at_random(weights)));
    clients.connect(3);
    clients.send_from_last(3);
    EXPECT_EQ(group.waiting(slot), 3u);
  }
  int defers = 0;
  socklen_t size = sizeof defers;
  ASSERT_EQ(sys::getsockopt(group.fd(0), IPPROTO_TCP, TCP_DEFER_ACCEPT, &defers, size), 0);
  EXPECT_GT(defers, 0);
}

TEST_F(ByQueues, WhoSleepsWakesForAConnectionThatMovedToHim) {
  SlotGroup group = group_of(2);
  const std::vector<unsigned> first{1, 0};
  ASSERT_TRUE(group.steer(choose_at_random(first)));
  Clients clients{group};
  clients.connect(1);
  ASSERT_TRUE(group.steer_by_queues({0, kWholeShare}));
  std::future<bool> woken = std::async(std::launch::async, [&] {
    return sys::wait_for(group.fd(1), POLLIN, std::chrono::steady_clock::now() + 10s);
  });
  EXPECT_EQ(woken.wait_for(20ms), std::future_status::timeout) << "asleep, most likely";
  ASSERT_TRUE(group.migrate(0));
  EXPECT_TRUE(woken.get());
}

TEST_F(ByQueues, TheOnlySlotHasNowhereToMoveTo) {
  SlotGroup group = group_of(1);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare}));
  EXPECT_FALSE(group.can_migrate());
}

TEST_F(ByQueues, ASlotThatCannotListenAgainIsInNoPlaceUntilItCan) {
  SlotGroup group = group_of(3, {"", 0});
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, kWholeShare, kWholeShare}));
  {
    sys::FailNth failing{1, ENOMEM};
    EXPECT_FALSE(group.migrate(0));
    EXPECT_TRUE(failing.fired());
  }
  EXPECT_EQ(group.position(0), kSlotsMax);
  group.reopen();
  for (std::size_t slot = 0; slot < 3; ++slot) {
    std::vector<unsigned> weights(3);
    ASSERT_LT(group.position(slot), 3u);
    weights[group.position(slot)] = 1;
    ASSERT_TRUE(group.steer(choose_at_random(weights)));
    Clients clients{group};
    clients.connect(3);
    EXPECT_EQ(group.waiting(slot), 3u);
  }
}

TEST_F(ByQueues, OtherProgramsMayFollow) {
  SlotGroup group = group_of(2);
  ASSERT_TRUE(group.steer_by_queues({kWholeShare, kWholeShare}));
  const std::vector<unsigned> second{0, 1};
  ASSERT_TRUE(group.steer(choose_at_random(second)));
  Clients clients{group};
  clients.connect(4);
  EXPECT_EQ(waiting(group), (std::vector<unsigned>{0, 4}));
}

// As a container's seccomp profile, or a kernel that is too old, has it.
TEST(ByQueuesDeathTest, ASystemThatRefusesIsAnErrorThatSaysWhatItTakes) {
  const auto hint_if_bpf_fails = [](int errno_value) {
    sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(errno_value)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{std::size(steps), steps};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == -1)
      std::exit(2);
    const auto loaded = QueueSteering::load();
    std::cerr << (loaded ? "loaded" : loaded.error().message());
    SlotGroup group = group_of(2);
    const std::vector<unsigned> weights{1, 1};
    std::exit(!loaded && group.steer(choose_at_random(weights)) ? 0 : 1);
  };
  if (!QueueSteering::load() && QueueSteering::load().error().code.value() == ENOTSUP)
    GTEST_SKIP() << "built without it";
  for (const int refused : {EPERM, EACCES})
    EXPECT_EXIT(hint_if_bpf_fails(refused), testing::ExitedWithCode(0),
                "it needs CAP_BPF and CAP_PERFMON");
  for (const int unknown : {ENOSYS, EINVAL})
    EXPECT_EXIT(hint_if_bpf_fails(unknown), testing::ExitedWithCode(0),
                "it needs Linux 5.17 with BTF");
  EXPECT_EXIT(hint_if_bpf_fails(EMFILE), testing::ExitedWithCode(0), "too many open files$");
}

TEST(ByQueuesDeathTest, IsAnErrorWithoutThePrivilege) {
  const auto code_as_nobody = [] {
    if (::setuid(65534) != 0) return 2;
    const auto loaded = QueueSteering::load();
    return loaded ? 1 : 0;
  };
  EXPECT_EXIT(std::exit(code_as_nobody()), testing::ExitedWithCode(0), "");
}

// A packet of one byte from a socket of its own, or from one again.
class Flow {
 public:
  explicit Flow(const SlotGroup& group)
      : target_{to_sockaddr(local_address(group.fd(0)).value()).value()},
        fd_{sys::socket(target_.family(), SOCK_DGRAM, 0)} {
    EXPECT_EQ(sys::connect(fd_.get(), target_.get(), target_.size), 0);
  }
  void send() const { EXPECT_EQ(sys::send(fd_.get(), "x", 1), 1); }

 private:
  SockAddr target_;
  OwnFd fd_;
};

// The only slot in which a packet waits; takes it out.
std::size_t take_datagram(const SlotGroup& group) {
  std::size_t found = group.size();
  for (std::size_t slot = 0; slot < group.size(); ++slot) {
    if (group.waiting(slot) == 0) continue;
    EXPECT_EQ(found, group.size()) << "in two slots";
    found = slot;
    char byte = 0;
    EXPECT_EQ(sys::recv(group.fd(slot), &byte, 1, 0), 1);
    EXPECT_EQ(group.waiting(slot), 0u) << "twice";
  }
  return found;
}

class Datagrams : public testing::TestWithParam<const char*> {
 protected:
  static SlotGroup open() {
    const bool v6 = std::string{GetParam()} == "::1";
    return SlotGroup::open_datagram({GetParam(), 0}, v6, false).value();
  }
};
INSTANTIATE_TEST_SUITE_P(Address, Datagrams, testing::Values("127.0.0.1", "::1"),
                         [](const auto& test) {
                           return std::string{*test.param == ':' ? "v6" : "v4"};
                         });

TEST_P(Datagrams, OneFlowComesToOneSlotAndFlowsOfOneHostAreSpread) {
  SlotGroup group = open();
  while (group.size() < 4) ASSERT_TRUE(group.add());
  BucketTable table;
  while (table.slots() < 4) table.add_slot();
  const auto steer = [&](const std::vector<bool>& eligible) {
    ASSERT_TRUE(group.steer(choose_by_client(table.among(eligible), SameClient::AddressAndPorts)));
  };
  steer({true, true, true, true});
  std::vector<int> flows(5);
  for (int i = 0; i < 100; ++i) {
    const Flow flow{group};
    flow.send();
    const std::size_t slot = take_datagram(group);
    ++flows[slot];
    flow.send();
    EXPECT_EQ(take_datagram(group), slot);
    std::vector<bool> eligible(4, true);
    eligible[(slot + 1) % 4] = false;  // another worker is gone
    steer(eligible);
    flow.send();
    EXPECT_EQ(take_datagram(group), slot);
    steer({true, true, true, true});
  }
  for (std::size_t slot = 0; slot < 4; ++slot) EXPECT_GT(flows[slot], 8) << slot;
  EXPECT_EQ(flows[4], 0) << "lost";
}

TEST_P(Datagrams, ABusyPortIsAnError) {
  const SlotGroup group = open();
  const Address taken = local_address(group.fd(0)).value();
  const auto second = SlotGroup::open_datagram(taken, taken.address_type() == 6, false);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code.value(), EADDRINUSE);
}

TEST(SlotGroup, AFailedCallIsAnErrorAndLeavesNothing) {
  const int lowest_free = sys::duplicate(0).get();
  for (int n = 0; n < 16; ++n) {
    sys::FailNth failing{n, ENOMEM};
    auto group = SlotGroup::open(request_for({"127.0.0.1", 0}));
    if (group) std::ignore = group->add();
    if (!failing.fired()) break;
  }
  EXPECT_EQ(sys::duplicate(0).get(), lowest_free);
}

}  // namespace
}  // namespace cohort::net
