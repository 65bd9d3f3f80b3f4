// One worker leads (Worker::is_leader, COHORT_LEADER), and never do two: through deaths, reloads,
// and their undoing. Node 20 and 26, and a program of this library.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/verbs.h"

namespace harness {
namespace {

class Leader : public Verbs, public testing::WithParamInterface<const char*> {
 protected:
  static bool is_cpp() { return GetParam() == std::string{"cpp"}; }
  // Two of them; each prints `up PID` when it leads, and `down PID` when it does no more.
  std::unique_ptr<Program> start(const std::vector<std::string>& more = {}) {
    write_server();
    ProgramOptions options = surroundings();
    if (GetParam() == std::string{"node20"}) {
      const std::string node = node20();
      options.env.emplace_back("PATH", node.substr(0, node.rfind('/')) + ':' + ::getenv("PATH"));
    }
    std::vector<std::string> words{command(), "run", "-w",     "2",
                                   "--prove", "0.2", "--name", "server"};
    words.insert(words.end(), more.begin(), more.end());
    if (is_cpp())
      for (const std::string& word :
           {helper("leading"), std::string{"--port"}, std::to_string(port)})
        words.push_back(word);
    else
      words.emplace_back("server.js");
    auto program = std::make_unique<Program>(words, options);
    EXPECT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
    return program;
  }
  void write_server(const std::string& before = {}) const {
    folder_.write(
        "server.js",
        before +
            "const say = (what) => require('fs').writeSync(1, `${what} ${process.pid}\\n`);\n"
            "process.on('cohort:leader', (leads) => {\n"
            "  if (leads !== (process.env.COHORT_LEADER === '1')) say('another variable');\n"
            "  say(leads ? 'up' : 'down');\n"
            "});\n"
            "require('http').createServer((request, response) => {\n"
            "  response.end(process.env.COHORT_LEADER ? 'leader' : 'follower');\n"
            "}).listen(Number(process.env.TEST_PORT));\n");
  }
  // Who leads, of all that was said; 0: nobody. None: two did.
  static std::optional<pid_t> leader_of(const Program& program) {
    pid_t leader = 0;
    for (const std::string& line : program.lines()) {
      const auto space = line.find(' ');
      const pid_t pid = std::stoi(line.substr(space + 1));
      if (line.starts_with("up ")) {
        if (leader != 0 && ::kill(leader, 0) == 0) return std::nullopt;
        leader = pid;
      } else if (!line.starts_with("down ") || pid != leader) {
        return std::nullopt;
      } else {
        leader = 0;
      }
    }
    return leader;
  }
  // Once another than `before` leads.
  static pid_t next_leader(Program& program, pid_t before) {
    EXPECT_TRUE(program.wait_until("another to lead", [&] {
      const auto leader = leader_of(program);
      return !leader || (*leader != 0 && *leader != before);
    })) << program.transcript();
    const auto leader = leader_of(program);
    EXPECT_TRUE(leader) << "two led\n" << program.transcript();
    return leader.value_or(0);
  }
  // As the status has it, too.
  void expect_leader(pid_t pid) const {
    const Said said = verb({"status", "--json"});
    const std::string leads = R"("leader":true)";
    const auto at = said.out.find(leads);
    ASSERT_NE(at, std::string::npos) << said.text();
    EXPECT_EQ(said.out.find(leads, at + 1), std::string::npos) << said.text();
    const auto own = said.out.rfind(R"("pid":)", at);
    EXPECT_EQ(std::stoi(said.out.substr(own + 6)), pid) << said.text();
  }
};

TEST_P(Leader, IsOneOfThem) {
  auto program = start();
  const pid_t leader = next_leader(*program, 0);
  const auto workers = children_of(program->pid());
  EXPECT_EQ(std::count(workers.begin(), workers.end(), leader), 1);
  expect_leader(leader);
  EXPECT_TRUE(has(verb({"status"}).out, "listening, leader"));
  std::vector<std::string> answers;
  EXPECT_TRUE(program->wait_until("both to answer", [&] {
    answers.push_back(http_get(port).body);
    return std::count(answers.begin(), answers.end(), "leader") > 0 &&
           std::count(answers.begin(), answers.end(), "follower") > 0;
  }));
  EXPECT_EQ(program->lines().size(), 1U) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_P(Leader, AnotherLeadsWhenItDies) {
  auto program = start();
  pid_t leader = next_leader(*program, 0);
  for (int i = 0; i < 3; ++i) {
    kill(leader, SIGKILL);
    leader = next_leader(*program, leader);
    expect_leader(leader);
  }
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_P(Leader, OfTheNextGenerationLeadsAfterAReload) {
  auto program = start();
  pid_t leader = next_leader(*program, 0);
  for (int i = 0; i < 3; ++i) {
    const Said said = verb({"reload"});
    EXPECT_EQ(said.code, 0) << said.text() << program->transcript();
    leader = next_leader(*program, leader);
    expect_leader(leader);
  }
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_P(Leader, StaysOrMovesWhenTheirNumberChanges) {
  auto program = start();
  const pid_t leader = next_leader(*program, 0);
  for (const char* count : {"4", "1"}) {
    const Said said = verb({"scale", count});
    EXPECT_EQ(said.code, 0) << said.text();
  }
  EXPECT_TRUE(program->wait_until("one worker", [&] {
    return children_of(program->pid()).size() == 1;
  })) << program->transcript();
  const pid_t left = children_of(program->pid()).front();
  if (left != leader) {
    EXPECT_EQ(next_leader(*program, leader), left);
  }
  expect_leader(left);
  EXPECT_TRUE(program->ends_on_interrupt());
}

// It cannot say that it leads no more, so nobody else does before it is gone.
TEST_P(Leader, OneThatIsStoppedLeadsUntilItIsGone) {
  auto program = start();
  const pid_t leader = next_leader(*program, 0);
  kill(leader, SIGSTOP);
  const auto workers = children_of(program->pid());
  const pid_t other = workers.front() == leader ? workers.back() : workers.front();
  kill(other, SIGKILL);  // one more that may lead
  EXPECT_TRUE(program->wait_for_error("in place of worker"));
  expect_leader(leader);
  kill(leader, SIGKILL);
  next_leader(*program, leader);
  EXPECT_TRUE(program->ends_on_interrupt());
}

// Of a program in C++ there is no other version here.
class LeaderOfNode : public Leader {};

TEST_P(LeaderOfNode, OfAVersionThatFailsGivesItBack) {
  auto program = start();
  const pid_t leader = next_leader(*program, 0);
  write_server("setTimeout(() => process.exit(3), 100);\n");
  const Said said = verb({"reload"});
  EXPECT_NE(said.code, 0) << said.text();
  EXPECT_TRUE(program->wait_until("the first to lead again", [&] {
    const auto now = leader_of(*program);
    return now && *now != 0 && children_of(program->pid()).size() == 2;
  })) << program->transcript();
  const auto workers = children_of(program->pid());
  EXPECT_EQ(std::count(workers.begin(), workers.end(), leader), 1) << program->transcript();
  expect_leader(*leader_of(*program));
  EXPECT_TRUE(program->ends_on_interrupt());
}

INSTANTIATE_TEST_SUITE_P(Of, Leader, testing::Values("node20", "node26", "cpp"),
                         [](const auto& program) { return std::string{program.param}; });

INSTANTIATE_TEST_SUITE_P(Of, LeaderOfNode, testing::Values("node20", "node26"),
                         [](const auto& program) { return std::string{program.param}; });

}  // namespace
}  // namespace harness
