// Twenty clients that never send a request twice: half keep their connections, half have one for
// each request. What becomes of them while an application is changed, and when a worker is killed.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/load.h"
#include "harness/proc.h"
#include "harness/program.h"
#include "harness/verbs.h"

namespace harness {

class TwentyClients {
 public:
  explicit TwentyClients(std::uint16_t port)
      : kept_{{.port = port, .connections = 10}},
        single_{{.port = port, .connections = 10, .request = {.keep_alive = false}}} {}

  LoadReport kept() { return kept_.stop(); }
  LoadReport single() { return single_.stop(); }
  /// Once each kind was answered.
  testing::AssertionResult are_served() const {
    const long kept = kept_.ok(), single = single_.ok();
    return eventually("both kinds to be served",
                      [&] { return kept_.ok() > kept && single_.ok() > single; });
  }

 private:
  LoadGenerator kept_, single_;
};

using Verb = std::function<Said(const std::vector<std::string>& words)>;

/// Two reloads, a worker more, and one fewer. Of an application of two workers.
inline void expect_changes_lose_nothing(const Program& program, std::uint16_t port,
                                        const Verb& verb) {
  TwentyClients clients{port};
  using Words = std::vector<std::string>;
  for (const Words& words : {Words{"reload"}, {"scale", "+1"}, {"reload"}, {"scale", "-1"}}) {
    EXPECT_TRUE(clients.are_served()) << program.transcript();
    const Said said = verb(words);
    EXPECT_EQ(said.code, 0) << said.text() << program.transcript();
  }
  EXPECT_TRUE(clients.are_served()) << program.transcript();
  for (const LoadReport& report : {clients.kept(), clients.single()})
    EXPECT_EQ(report.failed, 0) << report.text() << program.transcript();
}

/// What it had accepted and not answered (docs/policies.md): of each client at most one request,
/// and nobody is refused. `primary`: whose child dies, of two.
inline void expect_a_killed_worker_loses_only_what_it_had(Program& program, pid_t primary,
                                                          std::uint16_t port, const Verb& verb) {
  EXPECT_TRUE(eventually("two workers", [&] { return children_of(primary).size() == 2; }))
      << program.transcript();
  TwentyClients clients{port};
  EXPECT_TRUE(clients.are_served()) << program.transcript();
  const auto workers = children_of(primary);
  ASSERT_FALSE(workers.empty());
  ::kill(workers.front(), SIGKILL);
  EXPECT_TRUE(program.wait_for_error("died: killed by SIGKILL")) << program.transcript();
  EXPECT_TRUE(program.wait_until("the successor", [&] {
    return has(verb({"status"}).out, ": 2 of 2 workers ");
  })) << program.transcript();
  EXPECT_TRUE(clients.are_served()) << program.transcript();
  for (const LoadReport& report : {clients.kept(), clients.single()}) {
    EXPECT_LE(report.failed, 10) << report.text() << program.transcript();
    for (const auto& [reason, times] : report.reasons)
      for (const char* other : {"connect", "timeout", "status", "body"})
        EXPECT_FALSE(has(reason, other)) << report.text() << program.transcript();
  }
}

}  // namespace harness
