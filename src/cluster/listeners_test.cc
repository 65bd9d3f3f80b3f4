#include "cluster/listeners.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <optional>
#include <vector>

#include "base/notices.h"
#include "base/sys.h"
#include "net/bind.h"
#include "net/sockaddr.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;

// A worker that answers nothing by itself.
class Peer final : public HandoffPeer {
 public:
  explicit Peer(int id) : Peer{id, static_cast<std::size_t>(id - 1)} {}
  Peer(int id, std::size_t slot) : id_{id}, slot_{slot} {}
  int id() const override { return id_; }
  std::size_t slot() const override { return slot_; }
  unsigned credits() const override { return credit; }
  void reply(const QueryServer& /*query*/, Value reply, int fd) override {
    answer = std::move(reply);
    if (fd >= 0) socket = sys::duplicate(fd);
  }
  void hand_off(const std::string& port_key, std::span<const Offer> connections) override {
    key = port_key;
    for (const Offer& offer : connections) handed.push_back(offer.connection);
    batches.push_back(connections.size());
  }
  void probe() override {
    ++probes;
    if (turns) turns();
  }

  Value answer;
  OwnFd socket;
  std::string key;
  std::vector<ConnectionId> handed;
  std::vector<std::size_t> batches;
  unsigned credit = 1;
  int probes = 0;
  std::function<void()> turns;  // if it answers probes

 private:
  int id_;
  std::size_t slot_;
};

class ListenersTest : public testing::Test {
 protected:
  // What they say is said at once, as by a Cluster.
  ListenersTest() { Notices::of(io_).run_on(loop_); }

  Listeners& listeners(Policy policy, std::optional<std::chrono::milliseconds> rescue_after = {}) {
    return listeners_.emplace(
        loop_, ChosenPolicy{.policy = policy, .rescue_after = rescue_after},
        [this](const Address& address, Policy taken, const std::string& why) {
          decided.push_back(to_string(address) + ": " + to_string(taken) + ", " + why);
        });
  }
  static QueryServer query() {
    QueryServer query;
    query.address = "127.0.0.1";
    return query;
  }
  OwnFd connect(const Peer& peer) { return connect(net::local_address(peer.socket.get()).value()); }
  OwnFd connect(const Address& to) {
    const auto address = net::to_sockaddr(to).value();
    OwnFd fd = sys::socket(AF_INET, SOCK_STREAM, 0);
    sys::set_nonblocking(fd.get(), false);
    EXPECT_EQ(sys::connect(fd.get(), address.get(), address.size), 0);
    return fd;
  }
  std::vector<std::string> decided;

  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds patience = 10s) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!done() && std::chrono::steady_clock::now() < deadline) {
      io_.restart();
      io_.run_one_for(10ms);
    }
    return done();
  }

 private:
  boost::asio::io_context io_{1};
  Loop loop_{io_, io_.get_executor()};
  std::optional<Listeners> listeners_;
};

TEST_F(ListenersTest, EachWorkerHasASlotOfItsOwnOnOnePort) {
  Listeners& ports = listeners(Policy::Auto);
  Peer one{1}, two{2};
  ports.query(one, query());
  ports.query(two, query());
  EXPECT_EQ(one.answer["slot"], 0);
  EXPECT_EQ(two.answer["slot"], 1);
  EXPECT_EQ(net::local_address(one.socket.get()).value(),
            net::local_address(two.socket.get()).value());
}

TEST_F(ListenersTest, TheyTellOnceHowConnectionsComeToTheWorkers) {
  Listeners& ports = listeners(Policy::Auto);
  Peer one{1}, two{2};
  ports.query(one, query());
  ports.query(two, query());
  EXPECT_TRUE(run_until([&] { return !decided.empty(); }));
  run_until([&] { return decided.size() > 1; }, 50ms);
  ASSERT_EQ(decided.size(), 1u);
  const std::string port = to_string(net::local_address(one.socket.get()).value());
  EXPECT_TRUE(decided[0] == port + ": adaptive, to the shortest queue, by eBPF" ||
              decided[0].starts_with(port + ": adaptive, by chance among workers that are not "
                                            "blocked (eBPF: "))
      << decided[0];

  QueryServer datagrams = query();
  datagrams.type = SocketType::Udp4;
  ports.query(one, datagrams);
  EXPECT_TRUE(run_until([&] { return decided.size() > 1; }));
  EXPECT_NE(decided[1].find("sticky, datagrams"), std::string::npos) << decided[1];
}

// Ports that wait for their next worker.
class PortsThatWait : public ListenersTest {
 protected:
  static QueryServer at(std::uint16_t port, std::string host = "127.0.0.1") {
    QueryServer wanted = query();
    wanted.address = std::move(host);
    wanted.port = port;
    return wanted;
  }
  /// Opened by the worker, at a port of the system's choice.
  Address opened_by(Peer& peer, int index) {
    QueryServer wanted = query();
    wanted.index = index;
    ports.query(peer, wanted);
    EXPECT_TRUE(peer.answer["errno"].is_null());
    keys.push_back(std::string(peer.answer["key"].string_or("")));
    const Value& port = std::as_const(peer.answer)["sockname"]["port"];
    return {"127.0.0.1", static_cast<std::uint16_t>(port.int64_or(0))};
  }
  static bool is_open(const Address& address) {
    const auto name = net::to_sockaddr(address).value();
    const OwnFd client = sys::socket(AF_INET, SOCK_STREAM, 0);
    sys::set_nonblocking(client.get(), false);
    return sys::connect(client.get(), name.get(), name.size) == 0;
  }

  Listeners& ports = listeners(Policy::RoundRobin);
  std::vector<std::string> keys;
};

TEST_F(PortsThatWait, AnAddressInUseElsewhereClosesNoneOfThem) {
  Peer peer{1};
  const Address first = opened_by(peer, 1), second = opened_by(peer, 2);
  for (const std::string& key : keys) ports.close(1, key, false);
  const OwnFd anothers = net::bind_socket({.address = {"127.0.0.1", 0}}).value();
  ASSERT_TRUE(net::listen_on(anothers.get(), 0));
  testing::internal::CaptureStderr();
  ports.query(peer, at(net::local_address(anothers.get()).value().port()));
  EXPECT_NE(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(peer.answer["errno"], -EADDRINUSE);
  EXPECT_TRUE(is_open(first));
  EXPECT_TRUE(is_open(second));
}

TEST_F(PortsThatWait, TheOneInTheWayIsClosedForWhoWantsItDifferently) {
  Peer peer{1};
  const Address first = opened_by(peer, 1), second = opened_by(peer, 2);
  for (const std::string& key : keys) ports.close(1, key, false);
  ports.query(peer, at(first.port(), "0.0.0.0"));
  EXPECT_TRUE(peer.answer["errno"].is_null());
  EXPECT_TRUE(is_open(second));
}

TEST_F(PortsThatWait, ThatADeadWorkerUsedLastIsClosedWhenNobodyIsExpectedToWantIt) {
  Peer peer{1}, other{2};
  const Address mine = opened_by(peer, 1);
  ports.lose(1);
  ports.release_closed(2);
  EXPECT_TRUE(is_open(mine));
  ports.release_closed(1);
  EXPECT_FALSE(is_open(mine));
}

TEST_F(PortsThatWait, ThatALeaverUsedLastIsClosedWhenNobodyIsExpectedToWantIt) {
  Peer peer{1};
  const Address mine = opened_by(peer, 1);
  ports.retire(1, false);
  ports.lose(1);
  EXPECT_TRUE(is_open(mine));
  ports.release_closed(1);
  EXPECT_FALSE(is_open(mine));
}

TEST_F(PortsThatWait, ThatTheNextOneUsesAgainStaysOpen) {
  Peer first{1}, next{2};
  const Address shared = opened_by(first, 1);
  ports.lose(1);
  EXPECT_EQ(opened_by(next, 1), shared);
  ports.release_closed(1);
  EXPECT_TRUE(is_open(shared));
}

// A Listener's user accepts from the descriptor, somewhere, and cannot be handed anything.
TEST_F(ListenersTest, NothingIsTakenForWorkersThatOnlyAccept) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer blocked{1}, free{2};
  free.turns = [&] { ports.turns(2); };
  QueryServer accepts_only = query();
  accepts_only.accepts_only = true;
  ports.query(blocked, accepts_only);
  const OwnFd clients[] = {connect(blocked), connect(blocked)};
  ports.query(free, accepts_only);
  EXPECT_FALSE(run_until([&] { return !free.handed.empty(); }, 100ms));
  EXPECT_TRUE(sys::accept(blocked.socket.get()));
  EXPECT_TRUE(sys::accept(blocked.socket.get()));
}

TEST_F(ListenersTest, WeightsHoldForPortsThatAreOpenAndForLaterOnes) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer one{1}, two{2};
  const auto of_two = [&] {
    std::vector<OwnFd> clients;
    for (int i = 0; i < 200; ++i) clients.push_back(connect(one));
    int count = 0;
    while (sys::accept(two.socket.get())) ++count;
    return count;
  };
  ports.query(one, query());
  ports.query(two, query());
  ports.set_weights({.of_slots = {7, 1}});
  EXPECT_NEAR(of_two(), 200 / 8, 24);
  QueryServer later = query();
  later.index = 1;
  ports.query(one, later);
  ports.query(two, later);
  EXPECT_NEAR(of_two(), 200 / 8, 24);
}

TEST_F(ListenersTest, WorkersAreLentSlotsThatBlockAndNothingIsHandedToThem) {
  Listeners& ports = listeners(Policy::Auto);
  Peer one{1}, two{2};
  const auto lent = ports.lend(one, 0, Address{"127.0.0.1", 0});
  ASSERT_TRUE(lent) << lent.error();
  one.socket = sys::duplicate(lent->fd);
  const auto other = ports.lend(two, 0, Address{"127.0.0.1", 0});
  ASSERT_TRUE(other);
  EXPECT_NE(other->fd, lent->fd);
  EXPECT_EQ(lent->address, net::local_address(other->fd).value());
  const OwnFd clients[] = {connect(one), connect(one), connect(one), connect(one)};
  EXPECT_FALSE(run_until([&] { return !one.handed.empty() || one.probes + two.probes > 0; }, 50ms));
  run_until([] { return false; }, 1200ms);  // and when the queues are looked at no more
  EXPECT_EQ(::fcntl(lent->fd, F_GETFL) & O_NONBLOCK, 0);

  // Node's listen({fd: 3}), as often as it likes.
  QueryServer third;
  third.fd = 3;
  for (int i = 0; i < 2; ++i) {
    two.socket.reset();
    ports.query(two, third);
    EXPECT_TRUE(two.socket);
    EXPECT_EQ(two.answer["errno"], 0);
    ports.close(2, std::string(two.answer["key"].string_or("")), true);
  }
  ports.lose(1);
  Peer successor{3, 0};
  EXPECT_EQ(ports.lend(successor, 0, Address{"127.0.0.1", 0}).value().fd, lent->fd);
}

TEST_F(ListenersTest, LendsEachWorkerTheAddressOfItsTime) {
  Listeners& ports = listeners(Policy::Shared);
  Peer old{1}, young{2}, third{3};
  const auto before = ports.lend(old, 0, Address{"127.0.0.1", 0}).value();
  const auto after = ports.lend(young, 0, Address{"127.0.0.2", 0}).value();
  EXPECT_EQ(before.address.host(), "127.0.0.1");
  EXPECT_EQ(after.address.host(), "127.0.0.2");
  // One file for all: what one of them set is not changed under its feet.
  ASSERT_EQ(sys::set_nonblocking(after.fd, true), 0);
  EXPECT_EQ(ports.lend(third, 0, Address{"127.0.0.2", 0}).value().fd, after.fd);
  EXPECT_NE(::fcntl(after.fd, F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(ListenersTest, WhatNobodyCanBeHandedIsNotKept) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer serves{1}, accepts{2};
  ports.query(serves, query());
  QueryServer accepts_only = query();
  accepts_only.accepts_only = true;
  ports.query(accepts, accepts_only);
  const std::string key(serves.answer["key"].string_or(""));
  serves.turns = [&] { ports.turns(1); };
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  ports.take_back(key, std::move(pair[0]));
  EXPECT_TRUE(run_until([&] { return !serves.handed.empty(); })) << "one can still be handed it";
  EXPECT_TRUE(accepts.handed.empty());
  ports.answer(1, key, serves.handed, 1);
  ports.lose(1);
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  ports.take_back(key, std::move(pair[0]));
  EXPECT_NE(sys::poll(pair[1].get(), POLLIN, 0) & POLLHUP, 0) << "rather than kept for ever";
}

TEST_F(ListenersTest, AWorkerIsHandedSeveralConnectionsAtOnceAndTakesTheFirstOfThem) {
  Listeners& ports = listeners(Policy::RoundRobin);
  Peer one{1};
  one.credit = 4;
  ports.query(one, query());
  const std::string key(one.answer["key"].string_or(""));
  const auto port = static_cast<std::uint16_t>(one.answer["sockname"]["port"].int64_or(0));
  std::vector<OwnFd> clients;
  while (clients.size() < 6) clients.push_back(connect(Address{"127.0.0.1", port}));
  using Connections = std::vector<ConnectionId>;
  EXPECT_TRUE(run_until([&] { return one.handed == Connections{1, 2, 3, 4}; }));
  EXPECT_EQ(one.batches, std::vector<std::size_t>{4});
  ports.answer(1, key, one.handed, 2);
  ports.has_room(1, key);
  EXPECT_TRUE(run_until([&] { return one.handed == Connections{1, 2, 3, 4, 3, 4, 5, 6}; }));
  ports.answer(1, key, std::span{one.handed}.last(4), 4);
  run_until([] { return false; }, 50ms);
  EXPECT_EQ(one.handed.size(), 8u);
}

TEST_F(ListenersTest, LendsNothingThatThePrimaryWouldHaveToHandOver) {
  Listeners& ports = listeners(Policy::RoundRobin);
  Peer one{1};
  const auto lent = ports.lend(one, 0, Address{"127.0.0.1", 0});
  ASSERT_FALSE(lent);
  EXPECT_EQ(lent.error().code, Errc::InvalidArgument);
  EXPECT_NE(lent.error().message().find("use adaptive, hash, sticky or shared"), std::string::npos)
      << lent.error();
}

TEST_F(ListenersTest, ASuccessorHasTheSlotOfTheDeadWithAllThatWaitsThere) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer one{1}, successor{2, 0};
  ports.query(one, query());
  const OwnFd client = connect(one);
  ports.lose(1);
  ports.query(successor, query());
  EXPECT_EQ(successor.answer["slot"], 0);
  EXPECT_TRUE(sys::accept(successor.socket.get()));
}

TEST_F(ListenersTest, WhatWaitsBehindAWorkerThatTakesNothingIsHandedToOneThatHasNoneWaiting) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer blocked{1}, free{2};
  ports.query(blocked, query());
  const OwnFd clients[] = {connect(blocked), connect(blocked), connect(blocked)};
  ports.query(free, query());
  EXPECT_TRUE(run_until([&] { return free.probes > 0; }));
  EXPECT_TRUE(free.handed.empty()) << "an empty queue is no sign of life";
  ports.turns(2);
  EXPECT_EQ(blocked.probes, 1);
  EXPECT_EQ(free.handed.size(), 1U) << "one at a time";
  ports.answer(2, free.key, std::span{free.handed}.last(1), 1);
  EXPECT_EQ(free.handed.size(), 2U);
  ports.answer(2, free.key, std::span{free.handed}.last(1), 1);
  EXPECT_EQ(free.handed.size(), 3U);
  EXPECT_FALSE(sys::accept(blocked.socket.get()));
}

// The queues are empty and all is quiet by then: the primary sleeps.
TEST_F(ListenersTest, AHandOffThatIsRefusedLateIsMadeAgain) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer blocked{1}, free{2};
  ports.query(blocked, query());
  const OwnFd client = connect(blocked);
  ports.query(free, query());
  free.turns = [&] { ports.turns(2); };
  EXPECT_TRUE(run_until([&] { return !free.handed.empty(); }));
  run_until([] { return false; }, 1200ms);
  ports.answer(2, free.key, std::span{free.handed}.last(1), 0);
  EXPECT_TRUE(run_until([&] { return free.handed.size() == 2; }));
}

// It still accepts: a port of the same number could not be opened beside it.
TEST_F(ListenersTest, APortIsOpenUntilTheWorkerThatWasToldToEndClosedIt) {
  for (const Policy policy : {Policy::Adaptive, Policy::Shared}) {
    Listeners& ports = listeners(policy);
    Peer one{1}, successor{2};
    ports.query(one, query());
    const std::string key{one.answer["key"].string_or("")};
    ports.retire(1, true);
    ports.query(successor, query());
    EXPECT_EQ(net::local_address(successor.socket.get()).value(),
              net::local_address(one.socket.get()).value());
    ports.close(1, key, true);
    EXPECT_FALSE(ports.empty());
    ports.retire(2, true);
    EXPECT_FALSE(ports.empty());
    ports.close(2, key, true);
    EXPECT_TRUE(ports.empty());
  }
}

TEST_F(ListenersTest, AWorkerThatEndsWhileItIsProbedGetsNothing) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer blocked{1}, ending{2};
  ports.query(blocked, query());
  const OwnFd client = connect(blocked);
  ports.query(ending, query());
  EXPECT_TRUE(run_until([&] { return ending.probes > 0; }));
  ports.retire(2, true);
  ports.turns(2);
  EXPECT_TRUE(ending.handed.empty());
}

TEST_F(ListenersTest, NothingMovesUnderStickyOrWithoutRescue) {
  for (const Policy policy : {Policy::Sticky, Policy::Adaptive}) {
    Listeners& ports = policy == Policy::Sticky ? listeners(policy) : listeners(policy, 0ms);
    Peer blocked{1}, free{2};
    ports.query(blocked, query());
    const OwnFd client = connect(blocked);
    ports.query(free, query());
    EXPECT_FALSE(run_until([&] { return !free.handed.empty(); }, 50ms));
    EXPECT_TRUE(sys::accept(blocked.socket.get()));
  }
}

TEST_F(ListenersTest, StickyConnectionsMoveAfterTheTimeThatTheUserGave) {
  Listeners& ports = listeners(Policy::Sticky, 20ms);
  Peer blocked{1}, free{2};
  free.turns = [&] { ports.turns(2); };
  ports.query(blocked, query());
  const OwnFd client = connect(blocked);
  ports.query(free, query());
  EXPECT_TRUE(run_until([&] { return !free.handed.empty(); }));
}

TEST_F(ListenersTest, AConnectionThatIsGivenBackGoesToAnother) {
  for (const Policy policy : {Policy::Adaptive, Policy::Shared}) {
    Listeners& ports = listeners(policy);
    Peer one{1}, two{2};
    ports.query(one, query());
    ports.query(two, query());
    ASSERT_TRUE(net::listen_on(one.socket.get(), 0));  // as a worker does
    const OwnFd client = connect(one);
    OwnFd accepted = sys::accept(one.socket.get());
    if (!accepted) accepted = sys::accept(two.socket.get());
    ASSERT_TRUE(accepted);
    ports.retire(1, true);
    EXPECT_TRUE(ports.have_users());
    two.turns = [&] { ports.turns(2); };
    ports.take_back(std::string(one.answer["key"].string_or("")), std::move(accepted));
    EXPECT_TRUE(run_until([&] { return !two.handed.empty(); })) << to_string(policy);
    EXPECT_TRUE(one.handed.empty());
  }
}

// The one call that a kernel may refuse alone: the program's attachment.
TEST_F(ListenersTest, WhereTheKernelDoesNotSteerThePrimaryAccepts) {
  int fell_back = 0;
  for (int n = 0; n < 20; ++n) {
    Listeners& ports = listeners(Policy::Adaptive);
    Peer one{1};
    testing::internal::CaptureStderr();
    sys::FailNth failing{n, EPERM};
    ports.query(one, query());
    const std::string log = testing::internal::GetCapturedStderr();
    if (!failing.fired()) break;
    if (!one.answer["errno"].is_null()) continue;
    ++fell_back;
    EXPECT_NE(log.find("going on with round-robin"), std::string::npos) << log;
    EXPECT_TRUE(one.answer["sockname"].is_object());
  }
  EXPECT_EQ(fell_back, 1);
}

}  // namespace
}  // namespace cohort::cluster
