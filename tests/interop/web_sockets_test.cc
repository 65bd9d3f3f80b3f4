// WebSockets and Socket.IO, unmodified, when their workers are replaced. A reload closes a
// WebSocket by design: its client is told so, and connects again at once. Nothing is tried again
// besides.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "harness/verbs.h"

namespace harness {
namespace {

constexpr int kSockets = 8;

class WebSockets : public Verbs, public testing::WithParamInterface<const char*> {
 protected:
  WebSockets() {
    const std::string kind = GetParam();
    const bool is_io = kind == "socket.io";
    std::vector<std::string> words{"-w", "2", "--prove", "0.2", "--name", "server"};
    if (is_io) words.insert(words.end(), {"-b", "sticky"});
    words.insert(words.end(), {source(kWorkersOf) + "echo.js", kind});
    server_ = start(words, {command(), "run"});
    EXPECT_TRUE(server_->wait_for_error("all 2 workers listen")) << server_->transcript();
    clients_ = start({is_io ? "socket.io" : "ws", std::to_string(kSockets)},
                     {node26(), source(kWorkersOf) + "clients.js"});
    all_talk();
  }

  // The messages of each are answered: by what is there now, since a round may have begun before.
  void all_talk() {
    const int then = clients_->count("round");
    EXPECT_TRUE(clients_->wait_for_line("round", then + 2)) << server_->transcript();
  }
  void scale_to(const char* count) {
    const Said said = verb({"scale", count});
    EXPECT_EQ(said.code, 0) << said.text();
    all_talk();
  }
  // The workers before it end some time after the verdict: then all are closed.
  void reload() {
    const int then = closed("1001");
    const Said said = verb({"reload"});
    EXPECT_EQ(said.code, 0) << said.text();
    EXPECT_TRUE(clients_->wait_until("all are told", [&] {
      return closed("1001") >= then + kSockets;
    })) << server_->transcript();
    all_talk();
  }
  int closed(const std::string& how) const { return begin_with("closed " + how); }
  int begin_with(const std::string& text) const {
    const auto lines = clients_->lines();
    return static_cast<int>(std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.starts_with(text);
    }));
  }
  // Each client has the answer to what it sent last, or would wait for it.
  void end() {
    clients_->signal(SIGTERM);
    EXPECT_TRUE(clients_->exits_with(0)) << clients_->transcript();
    EXPECT_EQ(begin_with("failed"), 0) << clients_->transcript() << server_->transcript();
    EXPECT_TRUE(server_->ends_on_interrupt()) << server_->transcript();
  }

  std::unique_ptr<Program> server_, clients_;

 private:
  static constexpr const char* kWorkersOf = "tests/interop/workers/web_socket_";

  std::unique_ptr<Program> start(const std::vector<std::string>& words,
                                 std::vector<std::string> all) const {
    all.insert(all.end(), words.begin(), words.end());
    ProgramOptions options = surroundings();
    options.env.emplace_back("PORT", std::to_string(port));
    options.env.emplace_back("NODE_PATH", frameworks() + "/node_modules");
    return std::make_unique<Program>(all, options);
  }
};

TEST_P(WebSockets, AreToldThatTheirWorkerGoesAndFindAnotherAtOnce) {
  reload();
  for (const char* count : {"3", "1", "2"}) scale_to(count);
  reload();
  EXPECT_EQ(closed(""), closed("1001")) << clients_->transcript();
  end();
}

// The clients of a worker that is killed notice; those of the other do not.
TEST_P(WebSockets, OfAKilledWorkerAloneAreLost) {
  const auto workers = children_of(server_->pid());
  ASSERT_EQ(workers.size(), 2U);
  // The one that has fewer: all that came at once may have gone to one of them.
  const auto sockets_of = [](pid_t worker) {
    const auto open = fds_of(worker);
    return std::count_if(open.begin(), open.end(),
                         [](const auto& each) { return each.second.starts_with("socket:"); });
  };
  const bool second = sockets_of(workers[1]) < sockets_of(workers[0]);
  ::kill(workers[second ? 1 : 0], SIGKILL);
  EXPECT_TRUE(server_->wait_for_error("in place of worker")) << server_->transcript();
  all_talk();
  // Under sticky all of one address are on one worker.
  if (GetParam() != std::string{"socket.io"}) {
    EXPECT_LT(closed(""), kSockets) << clients_->transcript();
  }
  EXPECT_EQ(closed(""), closed("1006")) << clients_->transcript();
  end();
}

INSTANTIATE_TEST_SUITE_P(Of, WebSockets, testing::Values("ws", "goodbye", "socket.io"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace harness
