// Servers on a plain io_context.
#include "net/host_of_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "base/sys.h"
#include "cohort/net.h"
#include "net/sockaddr.h"

namespace cohort::net {
namespace {

namespace asio = boost::asio;

// A blocking client of its own, which ends its side and reads all.
std::string ask(const Address& address, std::string_view question) {
  const auto target = to_sockaddr(address).value();
  const OwnFd fd = sys::socket(target.family(), SOCK_STREAM, 0);
  sys::set_nonblocking(fd.get(), false);
  if (sys::connect(fd.get(), target.get(), target.size) != 0) return "not connected";
  sys::send(fd.get(), question.data(), question.size());
  sys::shutdown(fd.get(), SHUT_WR);
  std::string all;
  char buffer[1000];
  ssize_t size = 0;
  while ((size = sys::recv(fd.get(), buffer, sizeof buffer, 0)) > 0)
    all.append(buffer, static_cast<std::size_t>(size));
  return all;
}

TEST(HostOfLoop, APlainIoContextServesAndRunReturnsWhenAllIsClosed) {
  asio::io_context io;
  auto server = create_server(io, [](const Socket& socket) {
    socket.on_data([socket](std::string_view data) { socket.write(data); });
  });
  std::string answer;
  std::thread client;
  server.listen({"127.0.0.1", 0}, [&] {
    client = std::thread{[&, address = server.address()] {
      answer = ask(address, "echo");
      asio::post(io, [&] { server.close(); });
    }};
  });
  io.run_for(std::chrono::seconds{20});
  client.join();
  EXPECT_EQ(answer, "echo");
  EXPECT_TRUE(io.stopped());
}

TEST(HostOfLoop, HandlersRunOneAtATimeThoughSeveralThreadsRunTheLoop) {
  asio::io_context io;
  std::atomic<int> inside = 0;
  std::atomic<int> together = 0;
  int served = 0;
  std::optional<Server> server;
  server = create_server(io, [&](const Socket& socket) {
    if (++inside > 1) ++together;
    ++served;
    std::this_thread::yield();
    socket.end("done");
    --inside;
    if (served == 40) server->close();
  });
  std::vector<std::thread> clients;
  server->listen({"127.0.0.1", 0}, [&] {
    for (int i = 0; i < 4; ++i)
      clients.emplace_back([address = server->address()] {
        for (int j = 0; j < 10; ++j) EXPECT_EQ(ask(address, ""), "done");
      });
  });
  std::vector<std::thread> runners;
  for (int i = 0; i < 3; ++i) runners.emplace_back([&] { io.run_for(std::chrono::seconds{20}); });
  for (std::thread& runner : runners) runner.join();
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(together, 0);
  EXPECT_EQ(served, 40);
}

TEST(HostOfLoop, ServersAndConnectionsMayStillBeThereWhenTheLoopGoes) {
  const auto alive = std::make_shared<int>();
  std::thread client;
  {
    asio::io_context io;
    auto server = create_server(io, [alive, &io](const Socket& socket) {
      socket.on_data([alive, socket](std::string_view) {});
      socket.write("hello");
      io.stop();
    });
    server.listen({"127.0.0.1", 0}, [&, alive] {
      client = std::thread{[address = server.address()] { ask(address, ""); }};
    });
    io.run_for(std::chrono::seconds{20});
    // A reset, or an end, for the client now.
  }
  client.join();
  EXPECT_EQ(alive.use_count(), 1);
}

TEST(HostOfLoop, WhatIsGivenIsUsedInThePlaceOfItsOwn) {
  asio::io_context io;
  const Loop loop{io, io.get_executor()};
  DirectHost given{loop};
  HostOfLoop::of(io).use(&given);
  EXPECT_EQ(&host(io), &given);
  HostOfLoop::of(io).use(nullptr);
  EXPECT_NE(&host(io), &given);
  EXPECT_EQ(&host(io), &host(io));
}

}  // namespace
}  // namespace cohort::net
