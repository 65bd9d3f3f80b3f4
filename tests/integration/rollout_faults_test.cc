// Reloads with faults in them: workers that are killed at any moment, calls that overlap. In the
// end the processes are those of `status`, and all of them are of one generation. COHORT_CHAOS=1
// (`make chaos`): the same for longer.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
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

// A restart counts generations anew, and loses who waits for the control socket: that one is asked
// for again. Nobody is killed, since five deaths before any worker is ready are an end.
TEST_F(RolloutFaults, RestartsAmongTheCallsEndInOrder) {
  auto program = start({"--park", "1"});
  const auto ask = [this](const std::string& path, const std::string& body = "") {
    return say("POST /v1/" + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body);
  };
  std::minstd_rand random{13};
  int restarts = 0;
  for (int i = 0; i < times(60, 500); ++i) {
    switch (random() % 5) {
      case 0:
        restarts += ask("restart").starts_with("HTTP/1.1 202") ? 1 : 0;
        break;
      case 1:
        ask("reload?wait=0");
        break;
      case 2:
        ask("scale", R"({"workers":)" + std::to_string(1 + random() % 4) + '}');
        break;
      case 3:
        ask("recycle", R"({"slot":)" + std::to_string(random() % 3) + '}');
        break;
      default:
        ask("rollback");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{random() % 200});
  }
  EXPECT_GT(restarts, 1);
  // The last one, when no other is under way, begins with three workers of generation 1.
  ASSERT_TRUE(program->wait_until("a last restart", [&] { return verb({"restart"}).code == 0; }))
      << program->transcript();
  ASSERT_TRUE(comes_to_rest(*program)) << status() << program->transcript();
  EXPECT_EQ(number(status(), "places"), "3") << program->transcript();
  EXPECT_EQ(number(status(), "generation"), "1") << program->transcript();
  expect_one_generation(*program);
  EXPECT_TRUE(program->ends_on_interrupt());
}

// Asks all the time. Who asks after a generation was reached is answered by that one or a newer.
class WatchesGenerations {
 public:
  explicit WatchesGenerations(std::uint16_t port) : port_{port} {
    for (int i = 0; i < 3; ++i) threads_.emplace_back([this] { watch(); });
  }
  ~WatchesGenerations() { stop(); }
  WatchesGenerations(const WatchesGenerations&) = delete;
  WatchesGenerations& operator=(const WatchesGenerations&) = delete;

  void reached(int generation) { reached_ = std::max<int>(reached_, generation); }
  long answers() const { return answers_; }
  /// What was wrong; empty: nothing.
  std::string stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return wrong_;
  }

 private:
  void watch() {
    while (!stopping_) {
      const int least = reached_;
      const HttpResponse response = http_get(port_);
      std::this_thread::sleep_for(std::chrono::milliseconds{2});
      if (response.status != 200) continue;  // one that was killed had it
      ++answers_;
      if (std::stoi(response.body) >= least) continue;
      const std::lock_guard lock{mutex_};
      wrong_ += "generation " + response.body + " answers after " + std::to_string(least) +
                " was reached\n";
    }
  }

  const std::uint16_t port_;
  std::atomic<int> reached_{1};
  std::atomic<long> answers_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::string wrong_;
  std::vector<std::thread> threads_;
};

TEST_F(RolloutFaults, NoOlderGenerationAnswersOnceANewerOneWasReached) {
  auto program = start();
  WatchesGenerations client{port};
  std::minstd_rand random{17};
  int reached = 0;
  for (int i = 0; i < times(40, 400); ++i) {
    switch (random() % 4) {
      case 0: {
        const std::string answer =
            say("POST /v1/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: "
                "close\r\n\r\n");
        if (has(answer, R"("outcome":"reached")")) {
          client.reached(std::stoi(number(answer, "generation")));
          ++reached;
        }
        break;
      }
      case 1:
        post("reload?wait=0");  // most are given up for the next
        break;
      case 2:
        post("scale", R"({"workers":)" + std::to_string(2 + random() % 3) + '}');
        break;
      default:
        post("kill", R"({"slot":)" + std::to_string(random() % 3) + R"(,"signal":"KILL"})");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{random() % 60});
  }
  ASSERT_TRUE(comes_to_rest(*program)) << status() << program->transcript();
  const std::string serves = number(status(), "generation");
  client.reached(std::stoi(serves));
  const long before = client.answers();
  EXPECT_TRUE(eventually("answers", [&] { return client.answers() > before + 30; }));
  EXPECT_EQ(client.stop(), "") << program->transcript();
  EXPECT_GT(reached, 1) << program->transcript();
  expect_one_generation(*program);
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
