// A session that lives in a worker needs every request of its client there, also while that worker
// is busy for a moment.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "harness/client.h"
#include "harness/places.h"
#include "harness/program.h"

namespace harness {
namespace {

constexpr int kClients = 10;

// `cohort run` under a policy, with workers of ours or of a version of Node.
class Sessions : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  bool of_node() const { return workers().starts_with("node"); }
  std::string node() const { return workers() == "node26" ? node26() : node20(); }
  std::unique_ptr<Program> serve(const std::vector<std::string>& program) {
    std::vector<std::string> argv{command(), "run", "-b", std::get<0>(GetParam()), "-w", "3"};
    argv.insert(argv.end(), program.begin(), program.end());
    const std::string folder = std::filesystem::path{node()}.parent_path();
    auto served = std::make_unique<Program>(
        argv, ProgramOptions{.env = {{"PATH", folder + ':' + ::getenv("PATH")}, node_path()}});
    EXPECT_TRUE(served->wait_for_error("all 3 workers listen"));
    return served;
  }
  static std::pair<std::string, std::string> node_path() {
    return {"NODE_PATH", frameworks() + "/node_modules"};
  }

  const std::uint16_t port = free_port();

 private:
  std::string_view workers() const { return std::get<1>(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Of, Sessions,
                         testing::Combine(testing::Values("hash", "sticky"),
                                          testing::Values("cpp", "node20", "node26")),
                         [](const auto& test) {
                           return std::string{std::get<0>(test.param)} + '_' +
                                  std::get<1>(test.param);
                         });

TEST_P(Sessions, EveryRequestOfAClientMeetsItsWorkerHoweverBusy) {
  const std::string script = source("tests/integration/scripts/steered.js");
  auto program = serve({of_node() ? script : helper("steered"), "--port", std::to_string(port)});
  std::vector<std::thread> clients;
  std::vector<std::string> answers(kClients);
  for (std::string& answer : answers)
    clients.emplace_back([this, &answer] {
      const HttpResponse first = http_get(port, "/who/40"), second = http_get(port, "/who/40");
      answer = first.body + first.error + ' ' + second.body + second.error;
    });
  for (std::thread& client : clients) client.join();
  const std::string pid = answers[0].substr(0, answers[0].find(' '));
  for (const std::string& answer : answers) EXPECT_EQ(answer, pid + ' ' + pid);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_P(Sessions, SocketIoConnectsEveryClientThatPolls) {
  if (!of_node()) GTEST_SKIP() << "Socket.IO is of Node";
  auto program = serve({source("tests/integration/scripts/socket_io.js"), std::to_string(port)});
  Program clients{{node(), source("tests/integration/scripts/socket_io_clients.js"),
                   std::to_string(port), std::to_string(kClients)},
                  {.env = {node_path()}}};
  EXPECT_TRUE(clients.exits_with(0));
  EXPECT_EQ(clients.output(), "10 of 10\n") << clients.transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
