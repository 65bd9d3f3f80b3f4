// Handles, and the advanced serialization, between this process and real Node as its child. What
// the children run is what Node's own tests run as theirs.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cohort/cohort.h"
#include "harness/client.h"
#include "harness/places.h"
#include "harness/proc.h"

namespace harness {
namespace {

using cohort::Handle;
using cohort::Value;
using cohort::net::Socket;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class NodeChildHandles : public testing::TestWithParam<const char*> {
 protected:
  cohort::ChildProcess fork(const std::string& script, cohort::SpawnOptions options = {}) {
    options.exec_path = GetParam() == std::string{"node20"} ? node20() : node26();
    // A file of its own: the children before it may not have read theirs yet.
    const std::string name = "child" + std::to_string(children_.size()) + ".js";
    const auto child = cohort::fork(io, folder_.write(name, script), {}, options);
    children_.push_back(child);
    return child;
  }
  // A server of this process on `port`.
  cohort::net::Server serve(std::function<void(Socket)> handler) {
    auto server = cohort::net::create_server(cluster, std::move(handler));
    server.listen(cohort::Address{"127.0.0.1", port});
    EXPECT_TRUE(until([&] { return server.listening(); }));
    return server;
  }
  bool until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      if (io.stopped()) io.restart();
      io.run_one_for(10ms);
    }
    return true;
  }
  // What a client that says `x` is answered, while the loop runs here.
  std::string ask(std::uint16_t where) {
    std::string answer;
    std::atomic<bool> done = false;
    std::thread client{[&] {
      TcpClient socket;
      answer = socket.connect(where);
      if (answer.empty()) answer = socket.send("x");
      if (answer.empty()) answer = socket.receive_all();
      done = true;
    }};
    EXPECT_TRUE(until([&] { return done.load(); }));
    client.join();
    return answer;
  }
  void TearDown() override {
    for (const auto& child : children_) child.kill(SIGKILL);
    EXPECT_TRUE(until([&] {
      return std::all_of(children_.begin(), children_.end(),
                         [](const auto& child) { return child.exit().has_value(); });
    }));
  }

  boost::asio::io_context io{1};
  cohort::Cluster cluster{io};
  const std::uint16_t port = free_port();

 private:
  const TempDir folder_;
  std::vector<cohort::ChildProcess> children_;
};
INSTANTIATE_TEST_SUITE_P(Version, NodeChildHandles, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

// test-child-process-fork-net-server
TEST_P(NodeChildHandles, AServerAcceptsOnBothSides) {
  const auto server = serve([](const Socket& socket) { socket.end("parent"); });
  const auto child = fork(
      "process.on('message', (m, server) => {\n"
      "  server.on('connection', (socket) => socket.end('child'));\n"
      "  process.send('ready');\n"
      "});\n");
  bool ready = false;
  child.on_message([&](const Value& message) { ready = message == "ready"; });
  child.send("take it", server.handle().value());
  ASSERT_TRUE(until([&] { return ready; }));
  std::set<std::string> answers;
  ASSERT_TRUE(until([&] {
    answers.insert(ask(port));
    return answers.size() == 2;
  }));
  EXPECT_EQ(answers, (std::set<std::string>{"child", "parent"}));
}

// test-child-process-fork-net-socket
TEST_P(NodeChildHandles, AConnectionIsServedByTheChild) {
  const auto child = fork("process.on('message', (m, socket) => socket.end(`child ${m}`));\n");
  const auto server =
      serve([child](const Socket& socket) { child.send("took it", socket.release().value()); });
  EXPECT_EQ(ask(port), "child took it");
}

// test-child-process-send-keep-open
TEST_P(NodeChildHandles, AConnectionThatIsKeptOpenIsWrittenToByBoth) {
  const auto child = fork(
      "process.on('message', (m, socket) => {\n"
      "  socket.write('child ', () => { process.send('wrote'); socket.destroy(); });\n"
      "});\n");
  std::optional<Handle> kept;
  child.on_message(
      [&](const Value&) { cohort::net::adopt(cluster, std::move(*kept)).end("parent"); });
  const auto server = serve([&](const Socket& socket) {
    kept = socket.release().value();
    child.send("both", kept->duplicate().value());
  });
  EXPECT_TRUE(ask(port).starts_with("child "));
}

// test-child-process-recv-handle
TEST_P(NodeChildHandles, AHandleComesWithItsOwnMessage) {
  const auto child = fork(
      "const server = require('net').createServer(() => {}).listen(0, () => {\n"
      "  process.send('one'); process.send('two', server); process.send('three');\n"
      "  process.on('message', () => process.exit());\n"
      "});\n");
  std::vector<std::string> messages;
  child.on_message([&](const Value& message, Handle& handle) {
    messages.push_back(cohort::to_json(message) +
                       (handle.kind() == Handle::Kind::Server ? " a server" : ""));
  });
  ASSERT_TRUE(until([&] { return messages.size() == 3; }));
  EXPECT_EQ(messages, (std::vector<std::string>{"\"one\"", "\"two\" a server", "\"three\""}));
}

// test-child-process-send-returns-boolean
TEST_P(NodeChildHandles, SendSaysWhenThePeerDoesNotKeepUpAndWhenItHasAll) {
  const auto child = fork("process.on('message', () => {});\n");
  EXPECT_TRUE(child.send("first"));
  ASSERT_EQ(::kill(child.pid(), SIGSTOP), 0);
  int sent = 0, written = 0;
  bool keeps_up = true;
  for (; keeps_up && sent < 10'000; ++sent)
    keeps_up = static_cast<bool>(child.send(std::string(4096, 'x'), [&](auto error) {
      EXPECT_FALSE(error);
      ++written;
    }));
  EXPECT_FALSE(keeps_up);
  ASSERT_EQ(::kill(child.pid(), SIGCONT), 0);
  EXPECT_TRUE(until([&] { return written == sent; }));
}

// test-child-process-fork-dgram
TEST_P(NodeChildHandles, AUdpSocketIsReadByBoth) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  cohort::OwnFd udp{fd};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  Handle handle{std::move(udp)};
  ASSERT_EQ(handle.kind(), Handle::Kind::Datagram);
  const Handle ours = handle.duplicate().value();
  const auto child = fork(
      "process.on('message', (m, socket) => {\n"
      "  socket.on('message', (data) => process.send(`child ${data}`));\n"
      "  process.send('ready');\n"
      "});\n");
  std::vector<std::string> heard;
  child.on_message([&](const Value& message) { heard.emplace_back(message.string_or("")); });
  child.send("udp", std::move(handle));
  ASSERT_TRUE(until([&] { return heard.size() == 1; }));
  const cohort::OwnFd client{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const auto say = [&](std::string_view text) {
    ASSERT_EQ(::sendto(client.get(), text.data(), text.size(), 0,
                       reinterpret_cast<sockaddr*>(&address), size),
              static_cast<ssize_t>(text.size()));
  };
  say("one");
  ASSERT_TRUE(until([&] { return heard.size() == 2; }));
  EXPECT_EQ(heard.back(), "child one");
  ASSERT_EQ(::kill(child.pid(), SIGSTOP), 0);
  say("two");
  char buffer[16];
  ssize_t got = -1;
  ASSERT_TRUE(until([&] {
    got = ::recv(ours.native_handle(), buffer, sizeof buffer, MSG_DONTWAIT);
    return got > 0;
  }));
  EXPECT_EQ(std::string(buffer, static_cast<std::size_t>(got)), "two");
}

// test-child-process-fork-closed-channel-segfault
TEST_P(NodeChildHandles, ThoseOfAChildThatDiesComeBack) {
  const auto child = fork("process.on('message', () => process.exit());\n");
  const auto server = serve([](const Socket&) {});
  const std::size_t before = fds_of(::getpid()).size();
  int back = 0, taken = 0;
  for (int i = 0; i < 50; ++i)
    child.send(i, server.handle().value(), [&](const auto& error, const Handle& handle) {
      EXPECT_EQ(error.has_value(), static_cast<bool>(handle));
      ++(error ? back : taken);
    });
  bool closed = false;
  child.on_close([&](const cohort::Exit&) { closed = true; });
  ASSERT_TRUE(until([&] { return closed && back + taken == 50; }));
  EXPECT_FALSE(child.connected());
  EXPECT_LE(fds_of(::getpid()).size(), before) << "the child's own are gone, too";
}

// test-child-process-pass-fd
TEST_P(NodeChildHandles, TwentyChildrenEachPassAConnection) {
  int got = 0;
  const auto server = serve([](const Socket&) {});
  for (int i = 0; i < 20; ++i) {
    const auto child = fork(
        "const socket = require('net').connect(" + std::to_string(port) +
        ", '127.0.0.1', () => process.send('take it', socket, () => process.disconnect()));\n");
    child.on_message([&](const Value&, Handle& handle) {
      got += handle.kind() == Handle::Kind::Socket ? 1 : 0;
    });
  }
  EXPECT_TRUE(until([&] { return got == 20; })) << got;
}

// test-net-child-process-connect-reset
TEST_P(NodeChildHandles, AConnectionToAChildThatDiesIsReset) {
  const auto child =
      fork("require('net').createServer((s) => s.pause()).listen(" + std::to_string(port) +
           ", '127.0.0.1', () => process.send('listening'));\n");
  bool listening = false;
  child.on_message([&](const Value&) { listening = true; });
  ASSERT_TRUE(until([&] { return listening; }));
  ASSERT_EQ(::kill(child.pid(), SIGSTOP), 0);
  TcpClient client;
  ASSERT_EQ(client.connect(port), "");
  ASSERT_EQ(client.send("never read"), "");
  ASSERT_EQ(::kill(child.pid(), SIGKILL), 0);
  EXPECT_EQ(client.receive_all(), "");
  EXPECT_EQ(client.reason(), "reset");
}

// --- the advanced serialization

constexpr const char* kEcho = "process.on('message', (m) => process.send(m));\n";

// test-child-process-advanced-serialization
TEST_P(NodeChildHandles, EveryKindComesBackInAdvancedMode) {
  Value circular = Value::object();
  circular["self"] = circular;
  const std::vector<Value> kinds = {
      Value::buffer("bytes"),   Value::typed_array(std::vector<double>{0.5, -1}),
      Value::map({{1, "one"}}), Value::bigint(INT64_MAX),
      Value::date(1e12),        Value::error("TypeError", "bad"),
      Value::set({1, "two"}),   Value::regexp("a+", "g")};
  const auto child = fork(kEcho, {.serialization = cohort::Serialization::Advanced});
  std::size_t next = 0;
  child.on_message([&](const Value& message) {
    if (next < kinds.size()) {
      EXPECT_EQ(message[0].type(), kinds[next].type()) << next;
      EXPECT_TRUE(message[0] == kinds[next]) << next << ' ' << message;
    } else {
      EXPECT_TRUE(message["self"].is_same(message));
    }
    ++next;
  });
  for (const Value& kind : kinds) EXPECT_TRUE(child.send(Value::array({kind})));
  EXPECT_TRUE(child.send(circular));
  EXPECT_TRUE(until([&] { return next == kinds.size() + 1; }));
  Value::drop(std::move(circular));
}

// test-child-process-advanced-serialization-largebuffer
TEST_P(NodeChildHandles, LargeBuffersComeBackIntactAndInOrder) {
  const auto child = fork(kEcho, {.serialization = cohort::Serialization::Advanced});
  int got = 0;
  child.on_message([&](const Value& message) {
    const auto bytes = message.bytes();
    EXPECT_EQ(bytes.size(), 8U << 20);
    EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(),
                            [&](std::byte b) { return b == static_cast<std::byte>('a' + got); }));
    ++got;
  });
  for (int i = 0; i < 4; ++i)
    child.send(Value::buffer(std::string(8U << 20, static_cast<char>('a' + i))));
  EXPECT_TRUE(until([&] { return got == 4; }));
}

// test-child-process-advanced-serialization-splitted-length-field
TEST_P(NodeChildHandles, LengthsMayStraddleReads) {
  const auto child = fork("for (let i = 0; i < 10; ++i) process.send(Buffer.alloc(65521, i));\n",
                          {.serialization = cohort::Serialization::Advanced});
  int got = 0;
  child.on_message([&](const Value& message) {
    EXPECT_EQ(message.bytes().size(), 65521U);
    EXPECT_EQ(message.bytes()[65520], static_cast<std::byte>(got));
    ++got;
  });
  EXPECT_TRUE(until([&] { return got == 10; }));
}

// test-child-process-fork-advanced-header-serialization
TEST_P(NodeChildHandles, AnImpossibleLengthEndsThatChildOnly) {
  for (const char* length : {"80000000", "ffffffff", "7fffffff"}) {
    const auto child = fork(
        "const fd = Number(process.env.NODE_CHANNEL_FD) || 3;\n"
        "require('fs').writeSync(fd, Buffer.from('" +
            std::string{length} + "', 'hex'));\n",
        {.serialization = cohort::Serialization::Advanced});
    bool closed = false;
    child.on_error([](const cohort::Error&) {});
    child.on_close([&](const cohort::Exit&) { closed = true; });
    EXPECT_TRUE(until([&] { return closed; })) << length;
  }
}

}  // namespace
}  // namespace harness
