// What a primary says of itself at any moment, and how it is stopped from within.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "harness/client.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

class Status : public testing::TestWithParam<const char*> {
 protected:
  Status() : program_{{helper("watched")}, {.env = {{"NODE_CLUSTER_SCHED_POLICY", GetParam()}}}} {}

  std::string port_line() const {
    return std::string{GetParam()} == "rr" ? "round-robin" : GetParam();
  }
  std::uint16_t port() {
    EXPECT_TRUE(program_.wait_for_match("port [0-9]+")) << program_.transcript();
    const std::string text = program_.transcript();
    return static_cast<std::uint16_t>(std::stoi(text.substr(text.find("port ") + 5)));
  }

  Program program_;
};
INSTANTIATE_TEST_SUITE_P(Policy, Status, testing::Values("adaptive", "hash", "shared", "rr"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(Status, SaysWhoLivesWhatWaitsAndWhatHappens) {
  const std::uint16_t port = this->port();
  EXPECT_TRUE(
      program_.wait_for_match("running, workers: 0 listening kept with 0 1 listening kept with "
                              "0; ports: " +
                              port_line() + " of 2 waiting 0; forks 2, deaths 0"))
      << program_.transcript();
  TcpClient served;
  ASSERT_EQ(served.connect(port), "");
  EXPECT_TRUE(program_.wait_for_match("kept with 1")) << program_.transcript();

  const std::vector<pid_t> workers = program_.descendants();
  ASSERT_EQ(workers.size(), 2u);
  for (const pid_t worker : workers) ASSERT_TRUE(stop(worker));
  TcpClient waits[3];
  for (TcpClient& client : waits) ASSERT_EQ(client.connect(port), "");
  EXPECT_TRUE(program_.wait_for_match("of 2 waiting [123];")) << program_.transcript();
  for (const pid_t worker : workers) ::kill(worker, SIGCONT);
  EXPECT_TRUE(program_.wait_for_match("kept with [1-4].* waiting 0;")) << program_.transcript();

  ::kill(workers[0], SIGKILL);
  EXPECT_TRUE(program_.wait_for_match("of 1 waiting 0; forks 2, deaths 1"))
      << program_.transcript();
  EXPECT_TRUE(program_.wait_for_match("of 2 waiting 0; forks 3, deaths 1"))
      << program_.transcript();
  served.close();
  for (TcpClient& client : waits) client.close();
  program_.signal(SIGTERM);
  EXPECT_TRUE(program_.wait_for_match("stopping by a signal")) << program_.transcript();
  EXPECT_TRUE(program_.exits_with(0)) << program_.transcript();
}

TEST_P(Status, AServiceThatStopsItselfEndsAsWithASignal) {
  const std::uint16_t port = this->port();
  EXPECT_TRUE(program_.wait_for_match("1 listening kept with 0;")) << program_.transcript();
  TcpClient client;
  ASSERT_EQ(client.connect(port), "");
  ASSERT_EQ(client.send("stop"), "");
  EXPECT_TRUE(program_.wait_for_match("stopping by itself")) << program_.transcript();
  EXPECT_TRUE(program_.wait_for_match("letting-in, workers: 0")) << program_.transcript();
  EXPECT_TRUE(program_.wait_for_match("draining, workers: .*ending")) << program_.transcript();
  client.close();
  EXPECT_TRUE(program_.exits_with(0)) << program_.transcript();
  EXPECT_TRUE(program_.leaves_no_process());
}

}  // namespace
}  // namespace harness
