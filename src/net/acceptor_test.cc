#include "cohort/acceptor.h"

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <thread>
#include <vector>

#include "net/test_world.h"

namespace cohort {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using net::test::Client;
using namespace std::chrono_literals;

class AcceptorTest : public testing::Test {
 protected:
  Acceptor listen(const Address& address = {"127.0.0.1", 0}) {
    Acceptor acceptor{world.host, address};
    EXPECT_TRUE(world.run_until([&] { return acceptor.local_address() != Address{}; }));
    return acceptor;
  }
  std::vector<std::unique_ptr<Client>> connect(const Acceptor& acceptor, int count) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < count; ++i)
      clients.push_back(std::make_unique<Client>(world, acceptor.local_address()));
    return clients;
  }
  auto into_results() {
    return [this](error_code error, tcp::socket socket) {
      results.push_back(error);
      sockets.push_back(std::move(socket));
    };
  }
  bool completed(std::size_t count) {
    return world.run_until([&] { return results.size() == count; });
  }

  net::test::World world;
  std::vector<error_code> results;
  std::vector<tcp::socket> sockets;
};

asio::awaitable<void> greet(Acceptor acceptor) {
  for (;;) {
    tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
    co_await asio::async_write(socket, asio::buffer("hello", 5), asio::use_awaitable);
  }
}

TEST_F(AcceptorTest, ServesACoroutineThatOwnsIt) {
  Acceptor acceptor = listen();
  const Address address = acceptor.local_address();
  error_code ended;
  asio::co_spawn(world.io, greet(std::move(acceptor)), [&](std::exception_ptr failure) {
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
      ended = error.code();
    }
  });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Client(world, address).read(5), "hello");
  bool drained = false;
  world.host.drain([&] { drained = true; });
  EXPECT_TRUE(drained) << "nothing waits here; what the coroutine serves keeps the loop running";
  EXPECT_TRUE(world.run_until([&] { return ended == asio::error::operation_aborted; }));
  world.run_for(1s);
  EXPECT_TRUE(world.io.stopped());
}

TEST_F(AcceptorTest, ACoroutineThatWaitsDiesWithItsLoop) {
  // What this looks for is leaks: memory, under the sanitizer, and descriptors.
  asio::io_context io;
  const Loop loop{io, io.get_executor()};
  net::DirectHost host{loop};
  asio::co_spawn(io, greet(Acceptor{host, {"127.0.0.1", 0}}), asio::detached);
  io.run_for(20ms);
  EXPECT_FALSE(io.stopped());
}

TEST_F(AcceptorTest, GivesAnAsioSocketThatKnowsItsPeer) {
  Acceptor acceptor = listen();
  acceptor.async_accept(into_results());
  const Client client{world, acceptor.local_address()};
  ASSERT_TRUE(completed(1));
  EXPECT_FALSE(results[0]) << results[0].message();
  EXPECT_EQ(sockets[0].remote_endpoint().port(), client.local().port());
  EXPECT_EQ(sockets[0].local_endpoint().port(), acceptor.local_address().port());
}

TEST_F(AcceptorTest, ServesIpv6) {
  if (!net::test::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  Acceptor acceptor = listen({"::1", 0});
  acceptor.async_accept(into_results());
  const Client client{world, acceptor.local_address()};
  ASSERT_TRUE(completed(1));
  EXPECT_EQ(sockets[0].remote_endpoint().address().to_string(), "::1");
}

TEST_F(AcceptorTest, CompletesInALaterTurnAlsoWhenAConnectionWaits) {
  Acceptor acceptor = listen();
  const auto clients = connect(acceptor, 1);
  world.turn();
  asio::post(world.io, [&] {
    acceptor.async_accept(into_results());
    EXPECT_TRUE(results.empty());
  });
  EXPECT_TRUE(completed(1));
}

TEST_F(AcceptorTest, OperationsGetConnectionsInTheirOrder) {
  Acceptor acceptor = listen();
  std::vector<int> order;
  for (const int number : {1, 2, 3})
    acceptor.async_accept([&, number](error_code, tcp::socket) { order.push_back(number); });
  const auto clients = connect(acceptor, 3);
  EXPECT_TRUE(world.run_until([&] { return order == std::vector{1, 2, 3}; }));
}

TEST_F(AcceptorTest, KeepsAFewConnectionsAndLeavesTheOthersInTheKernel) {
  Acceptor acceptor = listen();
  const auto clients = connect(acceptor, 100);
  world.turn();
  EXPECT_EQ(world.io.poll(), 0u) << "waits for nothing more";
  for (int i = 0; i < 100; ++i) {
    acceptor.async_accept(into_results());
    ASSERT_TRUE(completed(static_cast<std::size_t>(i) + 1)) << i;
    ASSERT_FALSE(results.back());
  }
}

TEST_F(AcceptorTest, GivesDescriptorsToo) {
  Acceptor acceptor = listen();
  OwnFd taken;
  acceptor.async_accept_fd([&](error_code, OwnFd fd) { taken = std::move(fd); });
  const auto clients = connect(acceptor, 1);
  ASSERT_TRUE(world.run_until([&] { return static_cast<bool>(taken); }));
  EXPECT_EQ(net::peer_address(taken.get()).value(), clients[0]->local());
}

TEST_F(AcceptorTest, OfAUnixSocketItGivesOnlyDescriptors) {
  net::test::TemporaryDirectory directory;
  Acceptor acceptor = listen(Address::from_path(directory.file("s")));
  const auto clients = connect(acceptor, 1);
  acceptor.async_accept(into_results());
  ASSERT_TRUE(completed(1));
  EXPECT_EQ(results[0], asio::error::operation_not_supported);
  bool taken = false;
  acceptor.async_accept_fd([&](error_code error, OwnFd fd) { taken = !error && fd; });
  EXPECT_TRUE(world.run_until([&] { return taken; }));
}

TEST_F(AcceptorTest, AListenErrorIsTheResultOfEveryOperation) {
  const Acceptor first = listen();
  Acceptor second{world.host, first.local_address()};
  second.async_accept(into_results());
  second.async_wait_listening([&](error_code error, Address) { results.push_back(error); });
  ASSERT_TRUE(completed(2));
  second.async_accept(into_results());
  ASSERT_TRUE(completed(3));
  for (const error_code& result : results) EXPECT_EQ(result.value(), EADDRINUSE);
  ASSERT_TRUE(second.error());
  EXPECT_EQ(second.error()->op, "listen " + to_string(first.local_address()));
}

TEST_F(AcceptorTest, TellsWhenItListens) {
  Acceptor acceptor{world.host, {"127.0.0.1", 0}};
  std::vector<Address> told;
  const auto tell = [&](error_code, const Address& address) { told.push_back(address); };
  acceptor.async_wait_listening(tell);
  EXPECT_TRUE(told.empty());
  ASSERT_TRUE(world.run_until([&] { return told.size() == 1; }));
  acceptor.async_wait_listening(tell);
  ASSERT_TRUE(world.run_until([&] { return told.size() == 2; }));
  EXPECT_EQ(told[0], acceptor.local_address());
  EXPECT_EQ(told[1], acceptor.local_address());
  EXPECT_NE(told[0].port(), 0);
}

TEST_F(AcceptorTest, CloseAbortsWhatIsPendingAndClosesWhatWaits) {
  Acceptor acceptor = listen();
  const auto clients = connect(acceptor, 1);
  world.turn();
  acceptor.close();
  EXPECT_TRUE(clients[0]->ended());
  acceptor.async_accept(into_results());
  ASSERT_TRUE(completed(1));
  EXPECT_EQ(results[0], asio::error::operation_aborted);
  EXPECT_EQ(acceptor.local_address(), Address{});
}

TEST_F(AcceptorTest, DestroyingItAbortsWhatIsPending) {
  {
    Acceptor acceptor = listen();
    acceptor.async_accept(into_results());
    world.turn();
  }
  ASSERT_TRUE(completed(1));
  EXPECT_EQ(results[0], asio::error::operation_aborted);
  world.run_for(1s);
  EXPECT_TRUE(world.io.stopped());
}

TEST_F(AcceptorTest, AssigningToItClosesTheFormerOne) {
  Acceptor acceptor = listen();
  const Address former = acceptor.local_address();
  acceptor = listen();
  world.turn();
  EXPECT_FALSE(Client(world, former).connected());
  EXPECT_TRUE(Client(world, acceptor.local_address()).connected());
}

TEST_F(AcceptorTest, DrainHandsOutWhatWaitsBeforeItIsDone) {
  Acceptor acceptor = listen();
  const auto clients = connect(acceptor, 2);
  world.turn();
  const Address address = acceptor.local_address();
  bool drained = false;
  world.host.drain([&] { drained = true; });
  EXPECT_FALSE(Client(world, address).connected());
  for (std::size_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(drained, i == 3) << "before accept " << i;
    acceptor.async_accept(into_results());
    ASSERT_TRUE(completed(i));
  }
  EXPECT_FALSE(results[0]);
  EXPECT_FALSE(results[1]);
  EXPECT_EQ(results[2], asio::error::operation_aborted);
}

TEST_F(AcceptorTest, ClosingADrainingOneIsTheEndOfTheDrain) {
  Acceptor acceptor = listen();
  const auto clients = connect(acceptor, 2);
  world.turn();
  bool drained = false;
  world.host.drain([&] { drained = true; });
  EXPECT_FALSE(drained);
  acceptor.close();
  EXPECT_TRUE(world.run_until([&] { return drained; }));
}

TEST_F(AcceptorTest, AnOperationCanBeCancelledAndTheNextOneGetsTheConnection) {
  Acceptor acceptor = listen();
  asio::cancellation_signal signal;
  acceptor.async_accept(asio::bind_cancellation_slot(signal.slot(), into_results()));
  world.turn();
  signal.emit(asio::cancellation_type::terminal);
  ASSERT_TRUE(completed(1));
  EXPECT_EQ(results[0], asio::error::operation_aborted);
  acceptor.async_accept(into_results());
  const auto clients = connect(acceptor, 1);
  ASSERT_TRUE(completed(2));
  EXPECT_FALSE(results[1]);
}

TEST_F(AcceptorTest, AnAcceptMayRaceWithATimer) {
  using asio::experimental::awaitable_operators::operator||;
  Acceptor acceptor = listen();
  bool timed_out = false;
  const auto race = [&]() -> asio::awaitable<void> {
    asio::steady_timer timer{world.io, 20ms};
    const auto first = co_await (acceptor.async_accept(asio::use_awaitable) ||
                                 timer.async_wait(asio::use_awaitable));
    timed_out = first.index() == 1;
  };
  asio::co_spawn(world.io, race(), asio::detached);
  EXPECT_TRUE(world.run_until([&] { return timed_out; }));
}

TEST_F(AcceptorTest, CompletesOnTheHandlersOwnExecutor) {
  asio::thread_pool pool{1};
  Acceptor acceptor = listen();
  std::atomic<std::thread::id> where{};
  acceptor.async_accept(asio::bind_executor(
      pool, [&](error_code, tcp::socket) { where = std::this_thread::get_id(); }));
  const auto clients = connect(acceptor, 1);
  ASSERT_TRUE(world.run_until([&] { return where.load() != std::thread::id{}; }));
  EXPECT_NE(where.load(), std::this_thread::get_id());
  pool.join();
}

TEST_F(AcceptorTest, KeepsAnExecutorOfTheHandlersAliveMeanwhile) {
  asio::thread_pool pool{1};
  Acceptor acceptor = listen();
  std::atomic<bool> done = false;
  acceptor.async_accept(asio::bind_executor(pool, [&](error_code, tcp::socket) { done = true; }));
  world.turn();
  std::thread joiner{[&] { pool.join(); }};  // waits for outstanding work
  world.run_until([] { return false; }, 20ms);
  const Client client{world, acceptor.local_address()};
  EXPECT_TRUE(world.run_until([&] { return done.load(); }));
  joiner.join();
}

// A user's io_context with several threads; the cluster's loop is a strand of it.
TEST(AcceptorThreads, ManyThreadsMayAccept) {
  asio::io_context io;
  const Loop loop{io, asio::make_strand(io)};
  net::DirectHost host{loop};
  constexpr int kConnections = 200;
  std::atomic<int> served = 0;
  Acceptor acceptor{host, {"127.0.0.1", 0}};
  std::promise<Address> listening;
  acceptor.async_wait_listening(
      [&](error_code, const Address& address) { listening.set_value(address); });
  for (int i = 0; i < 4; ++i) {
    asio::co_spawn(
        asio::make_strand(io),
        [&]() -> asio::awaitable<void> {
          for (;;) {
            tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
            if (++served == kConnections) acceptor.close();
          }
        },
        asio::detached);
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { io.run(); });
  const auto target = net::to_sockaddr(listening.get_future().get()).value();
  for (int i = 0; i < kConnections; ++i) {
    const OwnFd client = sys::socket(AF_INET, SOCK_STREAM, 0);
    sys::set_nonblocking(client.get(), false);
    EXPECT_EQ(sys::connect(client.get(), target.get(), target.size), 0);
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(served, kConnections);
}

}  // namespace
}  // namespace cohort
