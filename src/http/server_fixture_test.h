// An HTTP server over real loopback sockets: one thread runs the loop and, in between, the client.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/sys.h"
#include "cohort/http.h"
#include "net/test_world.h"

namespace cohort::http::test {

using namespace std::chrono_literals;
using net::test::Client;
using net::test::World;

// The next response on a connection: its head (without Date) and body, as they came.
struct Answer {
  std::string head;
  std::string body;
};

class HttpServerTest : public testing::Test {
 protected:
  // Listens, and gives a client that is connected.
  std::unique_ptr<Client> serve(Handler handler, const ServerOptions& options = {}) {
    server.emplace(create_server(world.host, std::move(handler), options));
    server->listen({"127.0.0.1", 0});
    EXPECT_TRUE(world.run_until([&] { return server->listening(); }));
    return connect();
  }
  std::unique_ptr<Client> connect() {
    auto client = std::make_unique<Client>(world, server->address());
    EXPECT_TRUE(client->connected());
    return client;
  }
  static Handler hello() {
    return [](const Request&, Response& res) { res.end("hello"); };
  }
  // The next `size` bytes: less, and the reason in errno (0: the end), if that is all.
  std::string read(Client& client, std::size_t size) {
    std::string text(size, '\0');
    std::size_t done = 0;
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while (done < size && std::chrono::steady_clock::now() < deadline) {
      errno = 0;
      const ssize_t got = sys::recv(client.fd(), text.data() + done, size - done, 0);
      if (got == 0 || (got == -1 && errno != EAGAIN)) break;
      if (got > 0) done += static_cast<std::size_t>(got);
      if (got == -1) world.io.poll();
    }
    text.resize(done);
    return text;
  }
  Answer read_answer(Client& client) {
    Answer answer;
    while (!answer.head.ends_with("\r\n\r\n")) {
      const std::string byte = read(client, 1);
      if (byte.empty()) return answer;
      answer.head += byte;
    }
    const std::size_t at = answer.head.find("Content-Length: ");
    if (at != std::string::npos)
      answer.body = read(client, std::stoul(answer.head.substr(at + 16)));
    return answer;
  }
  std::string ask(Client& client, const std::string& url = "/") {
    EXPECT_TRUE(client.send("GET " + url + " HTTP/1.1\r\nHost: a\r\n\r\n"));
    return read_answer(client).body;
  }
  static int status(const Answer& answer) {
    return answer.head.size() > 12 ? std::stoi(answer.head.substr(9, 3)) : 0;
  }
  static bool closes(const Answer& answer) {
    return answer.head.find("\r\nConnection: close\r\n") != std::string::npos;
  }
  std::uint64_t open() const { return server->stats().connections_open; }
  // Calls `task` from the loop, after `delay`.
  void later(std::chrono::milliseconds delay, std::function<void()> task) {
    auto timer = std::make_shared<boost::asio::steady_timer>(world.io, delay);
    timer->async_wait([timer, task = std::move(task)](const auto&) { task(); });
  }

  World world;
  std::optional<Server> server;
};

}  // namespace cohort::http::test
