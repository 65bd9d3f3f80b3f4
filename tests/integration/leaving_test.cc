// Workers that leave by themselves, and programs that close servers, under `keep`: a port stays
// open while a place is to be filled, and a successor does not wait for the last client of the old
// one.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "harness/client.h"
#include "harness/places.h"
#include "harness/program.h"

namespace harness {
namespace {

// `recycled` under a policy (`random`: adaptive without eBPF), of ours or of a Node.
class Leaving : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  Program& run(unsigned workers, const std::vector<std::string>& flags = {}) {
    return start({command(), "run", "-w", std::to_string(workers), program()}, flags);
  }
  // The same by a primary of the user's own.
  Program& keep(unsigned workers) {
    return start({helper("recycled"), "--keep", std::to_string(workers), "--exec", program()}, {});
  }
  pid_t get(const std::string& path) const {
    const HttpResponse response = http_get(port, path);
    EXPECT_EQ(response.status, 200) << path << ": " << response.error;
    return response.status == 200 ? std::stoi(response.body) : 0;
  }
  TcpClient an_endless_answer() const {
    TcpClient client;
    EXPECT_EQ(client.connect(port), "");
    EXPECT_EQ(client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n"), "");
    EXPECT_NE(client.receive_until("a first event").find("a first event"), std::string::npos);
    return client;
  }
  static bool goes_on(TcpClient& client) {
    return client.receive(milliseconds{1}).empty() && client.reason() == "timeout";
  }
  void expect_successors_beside(Program& program);

  const std::uint16_t port = free_port();

 private:
  bool is(const char* workers) const {
    return workers == std::string_view{std::get<1>(GetParam())};
  }
  std::string program() const {
    return is("cpp") ? helper("recycled") : source("tests/integration/scripts/recycled.js");
  }
  Program& start(std::vector<std::string> argv, const std::vector<std::string>& flags) {
    argv.insert(argv.end(), {"--port", std::to_string(port)});
    argv.insert(argv.end(), flags.begin(), flags.end());
    const std::string policy = std::get<0>(GetParam());
    const std::string node = is("node26") ? node26() : node20();
    const std::string folder = std::filesystem::path{node}.parent_path();
    program_.emplace(
        argv,
        ProgramOptions{.env = {{"NODE_CLUSTER_SCHED_POLICY", policy == "random" ? "" : policy},
                               {"COHORT_EBPF", policy == "random" ? "0" : "1"},
                               {"PATH", folder + ':' + ::getenv("PATH")}}});
    EXPECT_TRUE(accepts(port)) << program_->transcript();
    return *program_;
  }

  std::optional<Program> program_;
};
INSTANTIATE_TEST_SUITE_P(Of, Leaving,
                         testing::Combine(testing::Values("adaptive", "random", "hash", "sticky",
                                                          "rr", "shared"),
                                          testing::Values("cpp", "node20", "node26")),
                         [](const auto& test) {
                           return std::string{std::get<0>(test.param)} + '_' +
                                  std::get<1>(test.param);
                         });

TEST_P(Leaving, OfAllWorkersAtOnceLetsConnectionsWait) {
  Program& program = run(2, {"--requests", "3"});
  for (int request = 0; request < 30; ++request) get("/");
  EXPECT_TRUE(program.ends_on_interrupt());
}

// While clients of its own stay, and again while clients of its successor do.
void Leaving::expect_successors_beside(Program& program) {
  std::vector<TcpClient> clients;
  pid_t pid = get("/");
  for (int worker = 1; worker <= 2; ++worker) {
    clients.push_back(an_endless_answer());
    EXPECT_EQ(get("/leave"), pid);
    const pid_t successor = get("/");
    EXPECT_NE(successor, std::exchange(pid, successor));
    EXPECT_TRUE(
        program.wait_for_error("worker " + std::to_string(worker) +
                               " \\(pid [0-9]+\\) leaves: it finishes what it serves; worker " +
                               std::to_string(worker + 1) + " takes its place"));
  }
  EXPECT_TRUE(std::all_of(clients.begin(), clients.end(), goes_on));
  EXPECT_EQ(get("/"), pid);
  for (TcpClient& client : clients) client.reset();  // a half-close may wait for its answer
}

TEST_P(Leaving, WhileItsClientsStayASuccessorServesBesideIt) {
  Program& program = run(1);
  expect_successors_beside(program);
  EXPECT_TRUE(program.wait_for_error("worker 1 \\(pid [0-9]+\\) left"));
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Leaving, WorksForAPrimaryOfTheUsersOwn) {
  Program& program = keep(1);
  expect_successors_beside(program);
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Leaving, IsNotWhatAProgramDoesThatClosesOneOfItsServers) {
  const std::uint16_t second = free_port();
  Program& program = run(1, {"--second", std::to_string(second)});
  EXPECT_TRUE(accepts(second));
  const pid_t pid = get("/close");
  EXPECT_TRUE(is_closed(second));
  EXPECT_EQ(get("/"), pid);
  EXPECT_EQ(program.errors().find("leaves"), std::string::npos) << program.transcript();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// As get-port does, long before the program opens its own server.
TEST_P(Leaving, IsNotWhatAProgramDoesThatTriesWhetherAPortIsFree) {
  Program& program = run(1, {"--try", std::to_string(free_port())});
  EXPECT_EQ(program.descendants(), std::vector{get("/")});
  EXPECT_EQ(program.errors().find("leaves"), std::string::npos) << program.transcript();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// The channel of a Node worker that closes its server itself is closed before its clients are gone.
TEST_P(Leaving, LetsARequestFinishThoughTheChannelIsClosed) {
  Program& program = run(1, {"--busy"});
  const pid_t pid = get("/");
  const HttpResponse response = http_get(port, "/bye");
  EXPECT_EQ(response.body, "bye") << response.error << program.transcript();
  EXPECT_TRUE(program.wait_until("its end", [&] { return ::kill(pid, 0) != 0; }));
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Leaving, EndsThoughATimerKeepsTheProgramBusy) {
  Program& program = run(1, {"--busy"});
  for (int i = 0; i < 2; ++i) {
    const pid_t pid = get("/leave");
    EXPECT_TRUE(program.wait_until("its end", [&] { return ::kill(pid, 0) != 0; }));
  }
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Leaving, IsNotWhatAProgramDoesThatOpensItsServerAgain) {
  Program& program = run(1);
  const pid_t pid = get("/");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(get("/reopen"), pid);
    EXPECT_EQ(get("/"), pid) << "waits until it is open again";
  }
  EXPECT_TRUE(program.ends_on_interrupt());
}

}  // namespace
}  // namespace harness
