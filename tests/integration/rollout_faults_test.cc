// Reloads with faults in them: workers that are killed at any moment, calls that overlap. In the
// end the processes are those of `status`, and all of them are of one generation. COHORT_CHAOS=1
// (`make chaos`): the same for longer.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "harness/verbs.h"

namespace harness {
namespace {

int times(int few, int many) { return std::getenv("COHORT_CHAOS") != nullptr ? many : few; }

class RolloutFaults : public Verbs {
 protected:
  std::unique_ptr<Program> start(const std::vector<std::string>& more = {}) {
    folder_.write("server.js", script("' + process.env.COHORT_GENERATION + '"));
    std::vector<std::string> options{"-w", "3", "--prove", "0.1"};
    options.insert(options.end(), more.begin(), more.end());
    options.emplace_back("server.js");
    return run(options, "all 3 workers listen");
  }
  void post(const std::string& path, const std::string& body = "") const {
    const std::string answer =
        say("POST /v1/" + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 ")) << path << ": " << answer;
  }
  std::string status() const { return verb({"status", "--json"}).out; }
  static std::set<pid_t> workers_of(const std::string& status) {
    static const std::regex worker{R"("id":\d+,"pid":(\d+))"};
    std::set<pid_t> pids;
    for (std::sregex_iterator found{status.begin(), status.end(), worker}, end; found != end;
         ++found)
      pids.insert(std::stoi((*found)[1]));
    return pids;
  }
  static std::string number(const std::string& status, const std::string& name) {
    std::smatch found;
    const std::regex member{'"' + name + R"(":(\d+))"};
    return std::regex_search(status, found, member) ? found[1].str() : "none";
  }
  // Nothing is under way, and every place has one worker.
  testing::AssertionResult comes_to_rest(Program& program) const {
    return program.wait_until("it to come to rest", [&] {
      const std::string now = status();
      const std::set<pid_t> pids = workers_of(now);
      return has(now, R"("rollout":null)") &&
             number(now, "places") == std::to_string(pids.size()) &&
             now.find(R"("serves":false)") == std::string::npos;
    });
  }
  void expect_one_generation(Program& program) const {
    const std::string now = status();
    const std::set<pid_t> pids = workers_of(now);
    const auto children = children_of(program.pid());
    EXPECT_EQ(std::set<pid_t>(children.begin(), children.end()), pids) << program.transcript();
    const std::string generation = number(now, "generation");
    for (int i = 0; i < 30; ++i) EXPECT_EQ(http_get(port).body, generation + '\n') << now;
  }
};

TEST_F(RolloutFaults, WhoeverIsKilledAtAnyMomentAllPlacesServeInTheEnd) {
  auto program = start();
  std::minstd_rand random{7};
  for (int i = 0; i < times(8, 60); ++i) {
    post("reload?wait=0");
    std::this_thread::sleep_for(std::chrono::milliseconds{random() % 600});
    const auto children = children_of(program->pid());
    kill(children[random() % children.size()], SIGKILL);
    ASSERT_TRUE(comes_to_rest(*program)) << status() << program->transcript();
    expect_one_generation(*program);
  }
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(RolloutFaults, CallsThatOverlapEndInOrder) {
  auto program = start({"--park", "1"});
  std::minstd_rand random{11};
  for (int i = 0; i < times(150, 1000); ++i) {
    switch (random() % 6) {
      case 0:
      case 1:
        post("reload?wait=0");
        break;
      case 2:
        post("scale", R"({"workers":)" + std::to_string(1 + random() % 4) + '}');
        break;
      case 3:
        post("recycle", R"({"slot":)" + std::to_string(random() % 3) + '}');
        break;
      case 4:
        post("rollback");
        break;
      default:
        post("kill", R"({"slot":)" + std::to_string(random() % 3) + R"(,"signal":"KILL"})");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{random() % 60});
  }
  ASSERT_TRUE(comes_to_rest(*program)) << status() << program->transcript();
  expect_one_generation(*program);
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
