// `cohort run --admin`: what probes are told, whatever the workers do; and `--lame-duck`.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/client.h"
#include "harness/load.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

namespace fs = std::filesystem;

// Listens once there is a file `go`. /slow is answered after 3 s.
constexpr std::string_view kServer = R"(
const fs = require('fs');
const server = require('http').createServer((request, response) => {
  setTimeout(() => response.end('hello world\n'), request.url === '/slow' ? 3000 : 0);
});
const waiting = setInterval(() => {
  if (!fs.existsSync('go')) return;
  clearInterval(waiting);
  server.listen(Number(process.env.TEST_PORT));
}, 20);
process.on('SIGTERM', () => { console.log('told to end'); server.close(); });
)";

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// All that comes of it, until it is closed.
std::string say_to_socket(const std::string& path, std::string_view bytes) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    char buffer[4096];
    for (ssize_t size = 0; (size = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
      answer.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(fd);
  return answer;
}

class Probes : public testing::Test {
 protected:
  Probes() {
    folder_.write("server.js", kServer);
    may_listen(true);
  }
  void may_listen(bool may) const {
    if (may)
      folder_.write("go", "");
    else
      fs::remove(folder_.path() + "/go");
  }
  // Two workers of the server.
  std::unique_ptr<Program> start(std::vector<std::string> options,
                                 const std::string& address = {}) const {
    const std::string node = node26();
    std::vector<std::string> words{
        command(), "run", "-w", "2", "--admin", address.empty() ? std::to_string(admin) : address};
    words.insert(words.end(), options.begin(), options.end());
    words.emplace_back("server.js");
    return std::make_unique<Program>(
        words,
        ProgramOptions{.env = {{"PATH", node.substr(0, node.rfind('/')) + ':' + ::getenv("PATH")},
                               {"TEST_PORT", std::to_string(port)},
                               {"COHORT_RUNTIME_DIR", folder_.path() + "/run"}},
                       .cwd = folder_.path()});
  }
  std::unique_ptr<Program> serve(const std::vector<std::string>& options = {}) const {
    auto program = start(options);
    EXPECT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
    return program;
  }
  HttpResponse get(const std::string& path, const std::string& method = "GET") const {
    return http_get(admin, path, {.method = method});
  }
  // Within 100 ms it would be the same wish.
  static testing::AssertionResult ends_at_once(Program& program, int signal_number) {
    const auto ended = eventually("it has ended", [&] {
      program.signal(signal_number);
      return program.has_exited();
    });
    return ended ? program.exits_with(128 + signal_number) : ended;
  }
  testing::AssertionResult becomes(int status, std::string_view why) const {
    return eventually("/readyz says " + std::to_string(status) + ' ' + std::string{why}, [&] {
      const HttpResponse answer = get("/readyz");
      return answer.status == status && has(answer.body, why);
    });
  }

  const TempDir folder_;
  const std::uint16_t port = free_port(), admin = free_port();
};

TEST_F(Probes, AreToldThatItIsReadyWhenTheFirstWorkerListens) {
  may_listen(false);
  auto program = start({});
  EXPECT_TRUE(becomes(503, "no worker is ready yet")) << program->transcript();
  EXPECT_EQ(get("/livez").status, 200) << "it lives all the same";
  may_listen(true);
  EXPECT_TRUE(becomes(200, "ok"));
  EXPECT_EQ(get("/livez").body, "ok\n");
  EXPECT_TRUE(program->ends_on_interrupt()) << program->transcript();
}

TEST_F(Probes, AreToldWhenFewerServeThanWanted) {
  auto program = serve({"--min-ready", "2"});
  EXPECT_TRUE(becomes(200, "ok"));
  may_listen(false);
  ::kill(children_of(program->pid()).front(), SIGKILL);
  EXPECT_TRUE(becomes(503, "1 of 2 workers serve, and --min-ready is 2"));
  EXPECT_EQ(http_get(port).status, 200) << "the other one serves";
  may_listen(true);
  EXPECT_TRUE(becomes(200, "ok")) << "the successor serves";
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Probes, AreAnsweredWhileEveryWorkerIsStopped) {
  auto program = serve();
  const auto workers = children_of(program->pid());
  for (const pid_t pid : workers) EXPECT_TRUE(stop(pid));
  EXPECT_EQ(get("/livez").status, 200);
  EXPECT_EQ(get("/readyz").status, 200);
  EXPECT_TRUE(has(get("/status").body, R"("phase":"running")"));
  for (const pid_t pid : workers) ::kill(pid, SIGCONT);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Probes, ChangeNothing) {
  auto program = serve();
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
    for (const char* path : {"/livez", "/readyz", "/status"}) {
      const HttpResponse answer = get(path, method);
      EXPECT_EQ(answer.status, 405) << method << path;
      EXPECT_EQ(answer.headers.at("allow"), "GET, HEAD");
    }
  for (const char* path : {"/", "/livez/", "/v1/status", "/v1/stop", "/../etc/passwd"})
    EXPECT_EQ(get(path).status, 404) << path;
  EXPECT_EQ(get("/v1/stop", "POST").status, 404);
  EXPECT_EQ(get("/readyz?verbose").status, 200);
  EXPECT_TRUE(has(get("/status").body, R"("serves":true)"));
  TcpClient head;
  EXPECT_EQ(head.connect(admin), "");
  EXPECT_EQ(head.send("HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n"), "");
  const std::string answer = head.receive_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n")) << answer;
  EXPECT_EQ(children_of(program->pid()).size(), 2U);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Probes, OfHostileClientsAreRefusedOrDropped) {
  auto program = serve();
  const std::string longer_than_a_head(100'000, 'a');
  for (const std::string& bytes :
       {std::string{"\0\xff\r\n\r\n", 6}, std::string{"\x16\x03\x01\x02\x00\x01", 6},
        std::string{"GET\r\n\r\n"}, std::string{"GET /livez HTTP/9.9\r\n\r\n"},
        "GET /" + longer_than_a_head, "GET /livez HTTP/1.1\r\nA: " + longer_than_a_head,
        "POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + longer_than_a_head,
        std::string{"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n"}}) {
    TcpClient client;
    EXPECT_EQ(client.connect(admin), "");
    (void)client.send(bytes);
    client.shutdown_write();
    EXPECT_FALSE(has(client.receive_all(), " 200 ")) << bytes.substr(0, 60);
    EXPECT_NE(client.reason(), "timeout") << bytes.substr(0, 60);
  }
  EXPECT_EQ(get("/livez").status, 200);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Probes, ManyWhoSayNothingAreClosedInTheEnd) {
  auto program = serve();
  EXPECT_TRUE(program->wait_for_error(": adaptive")) << "it has opened what it needs";
  const auto at_rest = fds_of(program->pid()).size();
  std::vector<TcpClient> silent(100);
  for (TcpClient& client : silent) EXPECT_EQ(client.connect(admin), "");
  for (TcpClient& client : silent) {
    (void)client.receive_all();
    EXPECT_NE(client.reason(), "timeout");
  }
  EXPECT_TRUE(eventually("nothing is left of them",
                         [&] { return fds_of(program->pid()).size() <= at_rest; }));
  EXPECT_EQ(get("/livez").status, 200);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Probes, OfAnAddressThatIsTakenEndTheCommandBeforeAnyWorkerStarts) {
  auto program = serve();
  auto second = start({});
  EXPECT_TRUE(second->exits_with(111)) << second->transcript();
  EXPECT_EQ(second->errors().find("cohort: --admin: port " + std::to_string(admin) +
                                  " is taken by pid " + std::to_string(program->pid()) + " ("),
            0U)
      << second->errors();
  EXPECT_EQ(second->error_lines().size(), 1U) << second->errors();
  auto nowhere = start({}, "/no/such/directory/a.sock");
  EXPECT_TRUE(nowhere->exits_with(100)) << nowhere->transcript();
  EXPECT_EQ(nowhere->error_lines().size(), 1U) << nowhere->errors();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Probes, OfMoreWorkersThanThereAreAreRefused) {
  auto program = start({"--min-ready", "3"});
  EXPECT_TRUE(program->exits_with(100));
  EXPECT_EQ(program->errors(),
            "cohort: --min-ready is 3, and there are 2 workers: it would never be ready\n");
}

TEST_F(Probes, MayComeToASocketFile) {
  const std::string path = folder_.path() + "/admin.sock";
  auto program = start({}, path);
  EXPECT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  EXPECT_TRUE(has(say_to_socket(path, "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"), "\r\n\r\nok\n"));
  EXPECT_TRUE(program->ends_on_interrupt());
  EXPECT_FALSE(fs::exists(path)) << "it goes with the program";
}

TEST_F(Probes, FailInTheLameDuckTimeWhileEveryRequestIsServed) {
  auto program = serve({"--lame-duck", "3600", "--grace", "7200"});
  program->signal(SIGTERM);
  EXPECT_TRUE(becomes(503, "lame duck"));
  EXPECT_EQ(get("/livez").status, 200);
  EXPECT_TRUE(has(get("/status").body, R"("phase":"lame-duck")"));
  EXPECT_TRUE(
      program->wait_for_error("stopping in 3600 s: readiness fails, requests are still served"));
  const LoadReport report = LoadGenerator{{.port = port, .requests = 200, .request = {}}}.wait();
  EXPECT_EQ(report.ok, 200) << report.text();
  ::kill(children_of(program->pid()).front(), SIGKILL);
  EXPECT_TRUE(program->wait_for_error("listens in place of")) << "as at any time";
  EXPECT_EQ(program->count("told to end"), 0);
  EXPECT_TRUE(ends_at_once(*program, SIGTERM));
  EXPECT_TRUE(program->leaves_no_process());
}

TEST_F(Probes, FailBeforeTheServiceEndsWhichThenLosesNothing) {
  auto program = serve({"--lame-duck", "2"});
  program->signal(SIGTERM);
  EXPECT_TRUE(becomes(503, "lame duck"));
  LoadGenerator load{{.port = port, .requests = 50, .request = {}}};
  const HttpResponse slow = http_get(port, "/slow");
  EXPECT_EQ(slow.status, 200) << slow.error << ": it takes longer than the lame duck time";
  const LoadReport report = load.wait();
  EXPECT_EQ(report.ok, 50) << report.text();
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  EXPECT_EQ(program->count("told to end"), 2) << "by their own handlers, in the end";
  EXPECT_TRUE(has(program->errors(), "stopping: 2 workers finish")) << program->errors();
  EXPECT_TRUE(program->leaves_no_process());
}

TEST_F(Probes, FailAfterTheVerbToo) {
  auto program = serve({"--lame-duck", "3600", "--grace", "7200"});
  Program verb{{command(), "stop", "--no-wait"},
               {.env = {{"COHORT_RUNTIME_DIR", folder_.path() + "/run"}}}};
  EXPECT_TRUE(verb.exits_with(0)) << verb.transcript();
  EXPECT_TRUE(becomes(503, "lame duck"));
  EXPECT_TRUE(ends_at_once(*program, SIGINT));
}

}  // namespace
}  // namespace harness
