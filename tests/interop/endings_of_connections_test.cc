// A stop of `cohort run` and the connections of Node workers: keep-alive, WebSocket, HTTP/2, events
// without end; under each policy.
#include <future>
#include <string>
#include <tuple>

#include "harness/load.h"
#include "interop/endings.h"

namespace harness {
namespace {

// The requests that were lost: those that came when nobody listened any more were not.
long lost(const LoadReport& report) {
  long refused = 0;
  for (const auto& [reason, times] : report.reasons)
    if (reason.starts_with("connect: ")) refused += times;
  return report.failed - refused;
}

// Stops it while busy clients keep their connections. Nobody may lose a request.
void stop_under_load(Service& service) {
  LoadGenerator load{{.port = service.port, .connections = 12}};
  EXPECT_TRUE(eventually("requests are served", [&] { return load.ok() > 500; }));
  service.program().signal(SIGTERM);
  EXPECT_TRUE(stopped_well(service.program()));
  const LoadReport report = load.stop();
  EXPECT_EQ(lost(report), 0) << report.text();
}

std::string name_of(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
  return text;
}

using NodeAndName = std::tuple<const char*, const char*>;
std::string name_of_test(const testing::TestParamInfo<NodeAndName>& test) {
  return std::string{std::get<0>(test.param)} + '_' + name_of(std::get<1>(test.param));
}

// --- frameworks

class EndingsOfFrameworks : public testing::TestWithParam<NodeAndName> {
 protected:
  EndingsOfFrameworks() {
    service.start_workers({ending_worker("frameworks.js"), std::get<1>(GetParam())});
  }
  Service service{std::get<0>(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(Of, EndingsOfFrameworks,
                         testing::Combine(testing::Values("node20", "node26"),
                                          testing::Values("http", "express", "fastify", "koa",
                                                          "hono")),
                         name_of_test);

TEST_P(EndingsOfFrameworks, LoseNoRequestOfTwelveBusyKeepAliveClients) { stop_under_load(service); }

TEST_P(EndingsOfFrameworks, FinishARequestAndCloseAnIdleConnection) {
  TcpClient idle;
  ASSERT_EQ(idle.connect(service.port), "");
  EXPECT_EQ(exchange(idle, {.keep_alive = true}).body, "hello world\n");
  SlowRequest request{service};
  service.program().signal(SIGTERM);
  EXPECT_EQ(idle.receive_all(), "");
  EXPECT_EQ(idle.reason(), "closed");
  EXPECT_EQ(request.answer(), "hello world\n");
  EXPECT_TRUE(stopped_well(service.program()));
}

// --- policies

class EndingsUnderPolicies : public testing::TestWithParam<NodeAndName> {
 protected:
  // "classic": adaptive without eBPF.
  Program& start(const Words& words) {
    const std::string policy = std::get<1>(GetParam());
    if (policy == "classic")
      return service.start_workers(words,
                                   {.options = {"-b", "adaptive"}, .env = {{"COHORT_EBPF", "0"}}});
    return service.start_workers(words, {.options = {"-b", policy}});
  }
  Service service{std::get<0>(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(Of, EndingsUnderPolicies,
                         testing::Combine(testing::Values("node20", "node26"),
                                          testing::Values("auto", "classic", "hash", "sticky",
                                                          "round-robin", "shared")),
                         name_of_test);

TEST_P(EndingsUnderPolicies, LoseNoRequestAndRunTheHandler) {
  start({ending_worker("handling.js"), "close_exit_error"});
  stop_under_load(service);
  EXPECT_EQ(service.said(), (Words{"SIGTERM", "SIGTERM", "exit 0", "exit 0"}));
}

TEST_P(EndingsUnderPolicies, FinishTheRequestOfAProgramWithoutAHandler) {
  start({ending_worker("handling.js"), "interval"});
  SlowRequest request{service};
  service.program().signal(SIGTERM);
  EXPECT_EQ(request.answer(), "hello world\n");
  EXPECT_TRUE(stopped_well(service.program()));
}

// --- connections that last

class EndingsOfConnections : public testing::TestWithParam<const char*> {
 protected:
  Program& start(const Words& words, const Start& options = {}) {
    Words all = words;
    all.front() = ending_worker(all.front());
    return service.start_workers(all, options);
  }
  Service service{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Of, EndingsOfConnections, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

// A WebSocket client that has been greeted.
class WebSocket {
 public:
  explicit WebSocket(std::uint16_t port) {
    EXPECT_EQ(client_.connect(port), "");
    EXPECT_EQ(client_.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                           "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
              "");
    EXPECT_NE(client_.receive_until("\x81\x05hello").find(" 101 "), std::string::npos);
  }
  // The code of the server's close, which the client confirms; 0 if the connection ends without.
  int wait_for_close() {
    const std::string frame = client_.receive();
    if (frame.size() < 4 || frame[0] != '\x88') return 0;
    client_.send({"\x88\x82\0\0\0\0\x03\xe9", 8});
    client_.receive_all();
    client_.close();
    return static_cast<unsigned char>(frame[2]) << 8 | static_cast<unsigned char>(frame[3]);
  }

 private:
  TcpClient client_;
};

constexpr int kGoingAway = 1001;

TEST_P(EndingsOfConnections, AWebSocketProgramSaysGoodbyeToItsClients) {
  Program& program = start({"websocket.js", "goodbye"}, {.workers = 1});
  WebSocket client{service.port};
  program.signal(SIGTERM);
  EXPECT_EQ(client.wait_for_close(), kGoingAway);
  EXPECT_TRUE(stopped_well(program));
  EXPECT_EQ(service.said(), (Words{"SIGTERM", "exit 0"}));
}

TEST_P(EndingsOfConnections, WebSocketClientsOfAProgramWithoutAHandlerHearThatItGoesAway) {
  Program& program = start({"websocket.js"}, {.workers = 1});
  WebSocket client{service.port};
  program.signal(SIGTERM);
  EXPECT_EQ(client.wait_for_close(), kGoingAway);
  EXPECT_TRUE(stopped_well(program));
}

TEST_P(EndingsOfConnections, AWebSocketClientThatConfirmsNothingDelaysNobody) {
  Program& program = start({"websocket.js", "goodbye"}, {.workers = 1, .grace = "4"});
  WebSocket client{service.port};
  program.signal(SIGTERM);
  EXPECT_TRUE(program.wait_for_line("SIGTERM"));
  EXPECT_TRUE(program.wait_exit());
  EXPECT_TRUE(program.leaves_no_process());
}

TEST_P(EndingsOfConnections, OfSocketIoAreSoonAndItsClientsNotice) {
  Program& program = start({"socket_io.js"}, {.options = {"-b", "sticky"}});
  Program client{{service.node().node(), ending_worker("socket_io_client.js")},
                 {.env = {{"PORT", std::to_string(service.port)},
                          {"NODE_PATH", frameworks() + "/node_modules"}}}};
  ASSERT_TRUE(client.wait_for_line("hello"));
  ASSERT_TRUE(client.wait_for_line("upgraded"));
  program.signal(SIGTERM);
  EXPECT_TRUE(client.wait_for_line("disconnected"));
  EXPECT_TRUE(client.exits_with(0));
  EXPECT_TRUE(stopped_well(program));
}

// A client with an HTTP/2 session, which the server ends by GOAWAY.
class Http2Client {
 public:
  Http2Client(Service& service, const Words& words)
      : program_{command(service, words), {.env = {{"PORT", std::to_string(service.port)}}}} {
    EXPECT_TRUE(program_.wait_for_line("/: hello world"));
  }
  void expect_goodbye() {
    EXPECT_TRUE(program_.exits_with(0));
    EXPECT_GE(program_.count("goaway 0"), 1) << program_.transcript();
    EXPECT_EQ(program_.count("closed"), 1) << program_.transcript();
  }
  Program& program() { return program_; }

 private:
  static Words command(Service& service, const Words& words) {
    Words all{service.node().node(), ending_worker("h2_client.js")};
    all.insert(all.end(), words.begin(), words.end());
    return all;
  }
  Program program_;
};

TEST_P(EndingsOfConnections, AnIdleHttp2SessionIsToldToGo) {
  Program& program = start({"h2.js"}, {.workers = 1});
  Http2Client client{service, {}};
  program.signal(SIGTERM);
  client.expect_goodbye();
  EXPECT_TRUE(stopped_well(program));
}

TEST_P(EndingsOfConnections, AnHttp2SessionGetsItsAnswersFirst) {
  Program& program = start({"h2.js"}, {.workers = 1});
  Http2Client client{service, {"slow"}};
  ASSERT_TRUE(program.wait_for_line("request"));
  program.signal(SIGTERM);
  client.expect_goodbye();
  EXPECT_EQ(client.program().count("/slow: hello world"), 1) << client.program().transcript();
  EXPECT_TRUE(stopped_well(program));
}

TEST_P(EndingsOfConnections, AnHttp2ProgramWithAHandlerRunsIt) {
  Program& program = start({"h2.js", "goodbye"}, {.workers = 1});
  Http2Client client{service, {}};
  program.signal(SIGTERM);
  client.expect_goodbye();
  EXPECT_TRUE(stopped_well(program));
  EXPECT_EQ(service.said(), (Words{"SIGTERM", "exit 0"}));
}

// A client of events.js that has got its first event.
TcpClient events_of(std::uint16_t port) {
  TcpClient client;
  EXPECT_EQ(client.connect(port), "");
  EXPECT_EQ(client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "");
  EXPECT_NE(client.receive_until("data: hello").find("200"), std::string::npos);
  return client;
}

TEST_P(EndingsOfConnections, AProgramThatStreamsEventsEndsItsStreamsInItsHandler) {
  Program& program = start({"events.js", "goodbye"}, {.workers = 1, .grace = "4"});
  TcpClient client = events_of(service.port);
  program.signal(SIGTERM);
  EXPECT_NE(client.receive_all().find("data: goodbye"), std::string::npos);
  EXPECT_TRUE(stopped_well(program));
  EXPECT_EQ(service.said(), (Words{"SIGTERM", "exit 0"}));
}

TEST_P(EndingsOfConnections, AProgramWithoutAHandlerThatStreamsEventsEndsInTime) {
  Program& program = start({"events.js"}, {.workers = 1, .grace = "4"});
  TcpClient client = events_of(service.port);
  program.signal(SIGTERM);
  EXPECT_TRUE(program.wait_exit());
  EXPECT_TRUE(program.leaves_no_process());
}

}  // namespace
}  // namespace harness
