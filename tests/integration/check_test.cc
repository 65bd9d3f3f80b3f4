// `cohort run --check PATH`: a worker that is not well gets no connections, and no reload is
// reached with it. All workers are well while there is a file `well`.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "harness/verbs.h"

namespace harness {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNodeServer = R"(
const fs = require('fs');
require('http').createServer((request, response) => {
  if (request.url === '/silence') return;
  if (request.url !== '/healthz') return response.end(`${process.env.COHORT_GENERATION} ${process.pid}\n`);
  const well = fs.existsSync('well');
  response.statusCode = well ? 200 : 503;
  response.end(well ? 'ok\n' : 'no database\n');
}).listen(Number(process.env.TEST_PORT));
)";

// It accepts by itself, and knows nothing of us.
constexpr const char* kPythonServer = R"(
import http.server, os, socket

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        well = self.path != '/healthz' or os.path.exists('well')
        text = f"{os.environ['COHORT_GENERATION']} {os.getpid()}\n" if well else 'no database\n'
        self.send_response(200 if well else 503)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *args): pass

server = http.server.ThreadingHTTPServer(('', 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
)";

class Checks : public Verbs {
 protected:
  void be_well(bool well) const {
    if (well)
      folder_.write("well", "");
    else
      fs::remove(folder_.path() + "/well");
  }
  // Who answered so many requests, each on a connection of its own.
  std::set<std::string> answers(int requests = 40) const {
    std::set<std::string> all;
    for (int i = 0; i < requests; ++i) {
      const HttpResponse response = http_get(port);
      all.insert(response.error.empty() ? response.body : response.error);
    }
    return all;
  }
  static bool are_of(const std::set<std::string>& answers, const std::string& generation) {
    for (const std::string& each : answers)
      if (!each.starts_with(generation + ' ')) return false;
    return true;
  }
};

struct Kind {
  std::string name;
  std::vector<std::string> options;
  bool python = false;
  bool ebpf = true;
};

class ChecksOf : public Checks, public testing::WithParamInterface<Kind> {
 protected:
  std::unique_ptr<Program> start(std::vector<std::string> more = {}) {
    const Kind& kind = GetParam();
    folder_.write(file(), kind.python ? kPythonServer : kNodeServer);
    std::vector<std::string> options{"run", "-w", "2", "--prove", "0.2", "--check", "/healthz"};
    options.insert(options.begin(), command());
    options.insert(options.end(), kind.options.begin(), kind.options.end());
    options.insert(options.end(), more.begin(), more.end());
    if (kind.python)
      options.insert(options.end(), {"--listen", "127.0.0.1:" + std::to_string(port)});
    options.push_back(file());
    auto around = surroundings();
    if (!kind.ebpf) around.env.emplace_back("COHORT_EBPF", "0");
    return std::make_unique<Program>(options, around);
  }
  std::string file() const { return GetParam().python ? "server.py" : "server.js"; }
  testing::AssertionResult serve_both(Program& program) {
    return program.wait_until("both to serve",
                              [&] { return has(verb({"status"}).out, "2 of 2 workers listen"); });
  }
};

TEST_P(ChecksOf, AReloadWaitsUntilItsWorkersAreWell) {
  be_well(true);
  auto program = start();
  ASSERT_TRUE(serve_both(*program)) << program->transcript();
  be_well(false);
  EXPECT_EQ(verb({"reload", "--no-wait"}).code, 0);
  EXPECT_TRUE(program->wait_for_error(
      "worker 3 \\(pid [0-9]+\\) listens, but fails its check: GET /healthz: 503 Service "
      "Unavailable, no database"))
      << program->transcript();
  EXPECT_TRUE(are_of(answers(), "1"));
  const Said status = verb({"status"});
  EXPECT_TRUE(has(status.out, "checking")) << status.text();
  EXPECT_TRUE(has(status.out, "awaited  worker 3: GET /healthz: 503")) << status.text();
  EXPECT_TRUE(has(status.out, "2 of 2 workers listen, generation 1")) << status.text();
  be_well(true);
  EXPECT_TRUE(program->wait_for_error("worker 3 \\(pid [0-9]+\\) passes its check now"));
  EXPECT_TRUE(program->wait_for_error("reloaded: generation 2 serves")) << program->transcript();
  EXPECT_TRUE(are_of(answers(), "2"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_P(ChecksOf, AReloadWhoseWorkersAreNeverWellIsUndone) {
  be_well(true);
  auto program = start({"--ready-within", GetParam().python ? "10" : "5"});
  ASSERT_TRUE(serve_both(*program)) << program->transcript();
  be_well(false);
  const Said said = verb({"reload"});
  EXPECT_EQ(said.code, 111);
  EXPECT_TRUE(has(said.err,
                  "server is not reloaded: generation 2: worker 3 was not ready in time: "
                  "GET /healthz: 503 Service Unavailable, no database"))
      << said.text();
  EXPECT_TRUE(are_of(answers(), "1"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_P(ChecksOf, WhoReplacesADeadOneGetsNothingBefore) {
  be_well(true);
  auto program = start();
  ASSERT_TRUE(serve_both(*program)) << program->transcript();
  be_well(false);
  const auto before = children_of(program->pid());
  ASSERT_EQ(before.size(), 2U);
  kill(before.front(), SIGKILL);
  ASSERT_TRUE(program->wait_for_error("worker 3 .* fails its check")) << program->transcript();
  EXPECT_EQ(answers(), std::set{"1 " + std::to_string(before.back()) + "\n"});
  be_well(true);
  EXPECT_TRUE(serve_both(*program)) << program->transcript();
  // Under hash a client, as this one, has one worker.
  const std::size_t expected = GetParam().name == "hash" ? 1 : 2;
  EXPECT_TRUE(
      program->wait_until("who serves to answer", [&] { return answers().size() == expected; }));
  EXPECT_TRUE(program->ends_on_interrupt());
}

INSTANTIATE_TEST_SUITE_P(Of, ChecksOf,
                         testing::Values(Kind{"adaptive", {"-b", "adaptive"}},
                                         Kind{"hash", {"-b", "hash"}},
                                         Kind{"rr", {"-b", "round-robin"}},
                                         Kind{"listen", {"-b", "adaptive"}, true},
                                         Kind{"listen_by_chance", {"-b", "adaptive"}, true, false}),
                         [](const auto& each) { return each.param.name; });

TEST_F(Checks, AServiceIsReadyWhenItsWorkersAreWell) {
  folder_.write("server.js", kNodeServer);
  const std::uint16_t admin = free_port();
  auto program =
      run({"-w", "2", "--check", "/healthz", "--admin", std::to_string(admin), "server.js"},
          "worker 2 .* fails its check");
  EXPECT_EQ(http_get(admin, "/readyz").status, 503);
  EXPECT_TRUE(has(verb({"status"}).out, "0 of 2 workers listen"));
  be_well(true);
  EXPECT_TRUE(program->wait_until("it to be ready",
                                  [&] { return http_get(admin, "/readyz").status == 200; }));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Checks, WhoIsNeverWellDidNotStart) {
  folder_.write("server.js", kNodeServer);
  const Said said = verb({"start", "-w", "1", "--check", "/healthz", "--ready-within", "1", "--log",
                          folder_.path() + "/log", "server.js"});
  EXPECT_EQ(said.code, 111);
  EXPECT_TRUE(has(said.err, "server did not serve within 1 s")) << said.text();
  EXPECT_TRUE(has(said.err, "fails its check: GET /healthz: 503")) << said.text();
}

TEST_F(Checks, WhoDoesNotAnswerIsNotWell) {
  folder_.write("server.js", kNodeServer);
  auto program = run({"-w", "1", "--check", "/silence", "server.js"},
                     "fails its check: .*no answer within 5 s");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Checks, WhoSpeaksAnotherProtocolIsNotWell) {
  folder_.write("server.js",
                "require('net').createServer((socket) => socket.end('220 hello\\r\\n'))"
                ".listen(Number(process.env.TEST_PORT));\n");
  auto program = run({"-w", "1", "--check", "/healthz", "server.js"},
                     "fails its check: GET /healthz: no answer: bad version");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST(CheckInCpp, IsAnyFunction) {
  Program program{{helper("checked"), "--port", std::to_string(free_port())}};
  EXPECT_TRUE(program.exits_with(0)) << program.transcript();
  for (const char* line :
       {"checking\n", "check_failed: asked 1 times\n", "check_failed: asked 2 times\n",
        "it turns\n", "check_passed: \n", "listening, ready\n"})
    EXPECT_TRUE(has(program.output(), line)) << line << program.transcript();
}

// From the options of the next generation on, and back if that is undone.
TEST_F(Checks, AreOfTheGenerationThatHasThem) {
  folder_.write("server.js", kNodeServer);
  // A reload that is to fail need not take long.
  const auto configure = [&](const std::string& check, int ready_within = 60) {
    folder_.write("cohort.toml", "[server]\nprogram = 'server.js'\nworkers = 2\nprove = 0.2\n" +
                                     check + "ready-within = " + std::to_string(ready_within) +
                                     '\n');
  };
  const std::string with_check = "check = '/healthz'\n";
  configure("");
  auto program = run({}, "all 2 workers listen");
  configure(with_check, 1);
  EXPECT_EQ(verb({"reload"}).code, 111);
  const auto before = children_of(program->pid());
  kill(before.front(), SIGKILL);
  EXPECT_TRUE(program->wait_for_error("worker 4 \\(pid [0-9]+\\) listens"))
      << program->transcript();
  be_well(true);
  configure(with_check);
  EXPECT_EQ(verb({"reload"}).code, 0) << program->transcript();
  be_well(false);
  configure(with_check, 1);
  EXPECT_EQ(verb({"reload"}).code, 111);
  configure("");
  EXPECT_EQ(verb({"reload"}).code, 0) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
