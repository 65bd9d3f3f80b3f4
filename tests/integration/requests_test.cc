// `cohort run --max-requests N`: a worker that has answered so many is replaced, and nobody
// notices.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "harness/load.h"
#include "harness/verbs.h"

namespace harness {
namespace {

class Requests : public Verbs {
 protected:
  std::string status() const { return verb({"status", "--json"}).out; }
  bool told(Program& program, long count) const {
    return program.wait_until("the count of requests", [&] {
      return has(status(), "\"requests\":" + std::to_string(count));
    });
  }
  // Both workers are replaced under load, and their successors, too: none is lost.
  void expect_replaced_without_loss(Program& program) const {
    LoadGenerator generator{{.port = port}};
    EXPECT_TRUE(program.wait_for_error("worker 3 \\(pid [0-9]+\\) listens in place of worker"));
    EXPECT_TRUE(program.wait_for_error("worker 5 \\(pid [0-9]+\\) listens in place of worker"))
        << program.transcript();
    const LoadReport report = generator.stop();
    EXPECT_EQ(report.failed, 0) << report.text() << program.transcript();
    EXPECT_TRUE(program.wait_for_error(
        "worker [12] is to be replaced: it has answered [0-9]+ requests, of 300"));
    EXPECT_FALSE(has(program.errors(), "does not tell")) << program.transcript();
    EXPECT_TRUE(program.ends_on_interrupt());
  }
};

class RequestsOfNode : public Requests, public testing::WithParamInterface<int> {
 protected:
  std::string node() const { return GetParam() == 20 ? node20() : node26(); }
};

TEST_P(RequestsOfNode, WhoHasAnsweredEnoughIsReplacedAndNoneIsLost) {
  folder_.write("server.js", script("hello world"));
  auto program = run({"-w", "2", "--max-requests", "300", "--interpreter", node(), "server.js"});
  expect_replaced_without_loss(*program);
}

TEST_P(RequestsOfNode, AreCountedWhenTheyAreAnswered) {
  folder_.write("server.js", script("hello world",
                                    "server.prependListener('request', (request, response) => {\n"
                                    "  if (request.url === '/never') response.end = () => {};\n"
                                    "});\n"));
  auto program = run({"-w", "1", "--interpreter", node(), "server.js"}, "listening on");
  EXPECT_TRUE(told(*program, 0));
  TcpClient never;
  EXPECT_EQ(never.connect(port), "");
  EXPECT_EQ(never.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n"), "");
  for (int i = 0; i < 7; ++i) EXPECT_EQ(http_get(port).body, "hello world\n");
  EXPECT_TRUE(told(*program, 7)) << status();
  EXPECT_TRUE(has(verb({"status"}).out, "  REQUESTS\n"));
  never.close();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_P(RequestsOfNode, OfHttp2AreCountedToo) {
  folder_.write(
      "server.js",
      "require('http2').createServer((request, response) => response.end('hello world'))\n"
      "  .listen(Number(process.env.TEST_PORT));\n");
  folder_.write("client.js",
                "const session = require('http2').connect(`http://localhost:${process.argv[2]}`);\n"
                "let left = 5;\n"
                "for (let i = 0; i < 5; ++i)\n"
                "  session.request().on('end', () => --left || session.close()).resume();\n");
  auto program = run({"-w", "1", "--interpreter", node(), "server.js"}, "listening on");
  Program client{{node(), folder_.path() + "/client.js", std::to_string(port)}};
  EXPECT_EQ(client.wait_exit()->code, 0) << client.transcript();
  EXPECT_TRUE(told(*program, 5)) << status();
  EXPECT_TRUE(program->ends_on_interrupt());
}

INSTANTIATE_TEST_SUITE_P(Node, RequestsOfNode, testing::Values(20, 26),
                         testing::PrintToStringParamName());

TEST_F(Requests, OfAProgramOfOursAreKnown) {
  auto program = run({"-w", "2", "--max-requests", "300", helper("answers_by_path")});
  expect_replaced_without_loss(*program);
}

TEST_F(Requests, OfAnyProgramThatHasTheChannelAreWhatItSays) {
  folder_.write("jobs.js",
                "require('net').createServer().listen(Number(process.env.TEST_PORT));\n"
                "let count = 0;\n"
                "const tell = () => process.send({cmd: 'NODE_CLUSTER', act: 'requests', count});\n"
                "tell();\n"
                "setInterval(() => { count += 60; tell(); }, 100);\n");
  auto program = run({"-w", "1", "--max-requests", "300", "jobs.js"}, "listening on");
  EXPECT_TRUE(program->wait_for_error(
      "worker 1 is to be replaced: it has answered [0-9]+ requests, of 300"));
  EXPECT_TRUE(program->wait_for_error("worker 2 \\(pid [0-9]+\\) listens in place of worker 1"));
  EXPECT_FALSE(has(program->errors(), "does not tell")) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Requests, OfWhoTellsNothingAreNotKnownAndThatIsSaidOnce) {
  folder_.write("server.py",
                "import socket\n"
                "server = socket.socket(fileno=3)\n"
                "while True:\n"
                "    client, _ = server.accept()\n"
                "    client.recv(4096)\n"
                "    client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n')\n"
                "    client.close()\n");
  const std::string line =
      "worker [12] does not tell how many requests it has answered, so --max-requests replaces "
      "none";
  auto program =
      run({"-w", "2", "--max-requests", "1", "--listen", std::to_string(port), "server.py"},
          "listening on");
  EXPECT_EQ(http_get(port).status, 200);
  EXPECT_TRUE(program->wait_for_error(line));
  EXPECT_TRUE(has(verb({"status"}).out, "  -\n"));
  EXPECT_FALSE(has(status(), "\"requests\""));
  EXPECT_TRUE(program->ends_on_interrupt());
  const std::string said = program->errors();
  EXPECT_EQ(said.find("does not tell"), said.rfind("does not tell"));
}

TEST_F(Requests, OfANodeServerThatSpeaksNoHttpAreNotKnown) {
  folder_.write("server.js",
                "require('net').createServer().listen(Number(process.env.TEST_PORT));\n");
  auto program = run({"-w", "1", "--max-requests", "1", "server.js"}, "listening on");
  EXPECT_TRUE(program->wait_for_error("worker 1 does not tell how many requests"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
