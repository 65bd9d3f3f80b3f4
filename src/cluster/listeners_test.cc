#include "cluster/listeners.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <optional>
#include <vector>

#include "base/sys.h"
#include "cluster/ports_test_world.h"
#include "net/bind.h"
#include "net/sockaddr.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;

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

TEST_F(PortsThatWait, ForNobodyAreClosedWhenTheyWereHeldForLongEnough) {
  const auto port = net::local_address(net::bind_socket({.address = {"127.0.0.1", 0}})->get());
  Peer first{1}, chosen_by_system{2}, next{3};
  ports.query(first, at(port->port()));
  ASSERT_TRUE(first.answer["errno"].is_null());
  const Address other = opened_by(chosen_by_system, 1);
  testing::internal::CaptureStderr();
  ports.set_hold(0ms);
  EXPECT_TRUE(is_open(*port)) << "somebody uses it";
  ports.lose(1);
  ports.lose(2);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("refuses connections"), std::string::npos);
  EXPECT_FALSE(is_open(*port));
  EXPECT_TRUE(is_open(other)) << "it would be another port";
  ports.query(next, at(port->port()));
  EXPECT_TRUE(next.answer["errno"].is_null());
  EXPECT_TRUE(is_open(*port));
}

TEST_F(PortsThatWait, ForNobodyAreHeldUntilTheirTimeIsOver) {
  const auto port = net::local_address(net::bind_socket({.address = {"127.0.0.1", 0}})->get());
  Peer first{1};
  ports.query(first, at(port->port()));
  ports.set_hold(std::chrono::hours{1});
  ports.lose(1);
  EXPECT_TRUE(is_open(*port));
  testing::internal::CaptureStderr();
  ports.set_hold(0ms);
  EXPECT_NE(testing::internal::GetCapturedStderr(), "");
  EXPECT_FALSE(is_open(*port));
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

TEST_F(ListenersTest, LendsNothingThatThePrimaryWouldHaveToHandOver) {
  Listeners& ports = listeners(Policy::RoundRobin);
  Peer one{1};
  const auto lent = ports.lend(one, 0, Address{"127.0.0.1", 0});
  ASSERT_FALSE(lent);
  EXPECT_EQ(lent.error().code, Errc::InvalidArgument);
  EXPECT_NE(lent.error().message().find("use adaptive, hash, sticky or shared"), std::string::npos)
      << lent.error();
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
