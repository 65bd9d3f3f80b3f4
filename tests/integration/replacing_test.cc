// Workers that are replaced in their slot while they serve: no request is lost, whatever the
// policy, and a client of a slot has the successor. The load never sends a request twice, and
// accounts for each. COHORT_CHAOS=1 (`make chaos`): the same for longer.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "harness/client.h"
#include "harness/load.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

using std::chrono_literals::operator""s;

constexpr int kWorkers = 3;

int rounds() { return std::getenv("COHORT_CHAOS") != nullptr ? 20 : 1; }

// `replaced` under a policy (`random`: adaptive without eBPF), with workers of ours or of a Node.
class Replacing : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  bool is(std::string_view policy) const { return policy == std::get<0>(GetParam()); }
  bool of_node() const { return of() != "cpp"; }
  Program& start(const std::vector<std::string>& flags) {
    std::vector<std::string> argv{helper("replaced"), "--port", std::to_string(port), "--workers",
                                  std::to_string(kWorkers)};
    argv.insert(argv.end(), flags.begin(), flags.end());
    if (of_node())
      argv.insert(argv.end(), {"--exec", source("tests/integration/scripts/replaced.js")});
    if (is("own")) argv.emplace_back("--own");
    const std::string node = of() == "node26" ? node26() : node20();
    const std::string folder = node.substr(0, node.rfind('/'));
    const std::string policy = is("random") || is("own") ? "adaptive" : std::get<0>(GetParam());
    program_.emplace(argv, ProgramOptions{.env = {{"NODE_CLUSTER_SCHED_POLICY", policy},
                                                  {"COHORT_EBPF", is("random") ? "0" : "1"},
                                                  {"PATH", folder + ':' + ::getenv("PATH")}}});
    EXPECT_TRUE(program_->wait_until("every worker to listen",
                                     [&] { return count("worker ") == kWorkers; }));
    EXPECT_TRUE(accepts(port));
    return *program_;
  }
  int count(std::string_view word) const {
    int count = 0;
    for (const std::string& line : program_->lines()) count += line.starts_with(word) ? 1 : 0;
    return count;
  }
  // Of the workers that ever listened.
  std::map<int, std::size_t> slots_by_pid() const {
    std::map<int, std::size_t> slots;
    for (const std::string& line : program_->lines()) {
      int id = 0, pid = 0;
      std::size_t slot = 0;
      if (sscanf(line.c_str(), "worker %d %d slot %zu", &id, &pid, &slot) == 3) slots[pid] = slot;
    }
    return slots;
  }

  const std::uint16_t port = free_port();

 private:
  std::string_view of() const { return std::get<1>(GetParam()); }

  std::optional<Program> program_;
};
std::string name_of(const testing::TestParamInfo<std::tuple<const char*, const char*>>& test) {
  return std::string{std::get<0>(test.param)} + '_' + std::get<1>(test.param);
}
INSTANTIATE_TEST_SUITE_P(Of, Replacing,
                         testing::Combine(testing::Values("adaptive", "random", "hash", "sticky",
                                                          "rr", "own", "none"),
                                          testing::Values("cpp", "node26")),
                         name_of);
// What Node hands over and what it accepts by itself: the two ways in which an older one may
// differ.
INSTANTIATE_TEST_SUITE_P(OfAnOlderNode, Replacing,
                         testing::Combine(testing::Values("adaptive", "rr"),
                                          testing::Values("node20")),
                         name_of);

TEST_P(Replacing, LosesNoRequest) {
  for (const bool keep_alive : {false, true}) {
    Program& program = start({"--rounds", std::to_string(rounds())});
    LoadOptions options{.port = port, .connections = 8};
    options.request.keep_alive = keep_alive;
    if (is("own")) options.request.path = "/1";  // all are for one slot
    LoadGenerator generator{options};
    EXPECT_TRUE(program.wait_for_line("done", 1, 120s)) << program.transcript();
    const LoadReport report = generator.stop();
    // Nobody can be steered away from a shared queue, and Node resets what it accepts last: of each
    // client one connection at most. (Seen: 8 in all.)
    const int lost = is("none") && of_node() ? options.connections * rounds() * kWorkers : 0;
    EXPECT_LE(report.failed, lost) << (keep_alive ? "keep-alive: " : "") << report.text();
    EXPECT_EQ(count("ended "), rounds() * kWorkers) << program.transcript();
    for (const char* never : {"died ", "killed ", "refused ", "failed", "twice "})
      EXPECT_EQ(count(never), 0) << program.transcript();
    std::map<std::size_t, int> of_slot;
    for (const auto& [pid, slot] : slots_by_pid()) ++of_slot[slot];
    for (std::size_t slot = 0; slot < kWorkers; ++slot)
      EXPECT_EQ(of_slot[slot], rounds() + 1) << program.transcript();
    std::printf("%s%s: %ld of %ld requests failed, over %d replacements\n",
                testing::UnitTest::GetInstance()->current_test_info()->name(),
                keep_alive ? ", keep-alive" : "", report.failed, report.sent, count("ended "));
    EXPECT_TRUE(program.ends_on_interrupt());
  }
}

// From 127.0.0.N: a client of its own.
std::string answer_to(int client, std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto name = [](std::uint32_t host, std::uint16_t number) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_port = htons(number);
    result.sin_addr.s_addr = htonl(host);
    return result;
  };
  const sockaddr_in from = name(0x7f000000U + static_cast<std::uint32_t>(client), 0);
  const sockaddr_in to = name(0x7f000001U, port);
  const std::string request = "GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  std::string answer;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0 &&
      ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
    char buffer[1024];
    for (ssize_t size = 0; (size = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
      answer.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(fd);
  return answer;
}

int pid_in(const std::string& answer) {
  const auto body = answer.find("\r\n\r\n");
  if (body == answer.npos) return 0;
  // Node's is in chunks.
  const auto length = answer.find("Content-Length");
  const auto text = answer.substr(body + 4);
  return std::atoi(length == answer.npos && answer.find("chunked") != answer.npos
                       ? text.substr(text.find('\n') + 1).c_str()
                       : text.c_str());
}

TEST_P(Replacing, LeavesEveryClientInItsSlot) {
  if (!is("sticky") && !is("hash")) GTEST_SKIP() << "a policy whose clients have no slot";
  Program& program = start({"--rounds", std::to_string(rounds())});
  std::map<int, std::size_t> slot_of_client;
  long asked = 0;
  while (count("done") == 0 || asked < 100)
    for (int client = 2; client < 34; ++client, ++asked) {
      const int pid = pid_in(answer_to(client, port));
      ASSERT_NE(pid, 0) << program.transcript();
      ASSERT_TRUE(
          program.wait_until("its slot to be known", [&] { return slots_by_pid().contains(pid); }));
      const std::size_t slot = slots_by_pid()[pid];
      const auto [known, is_new] = slot_of_client.try_emplace(client, slot);
      ASSERT_EQ(known->second, slot) << "client " << client << '\n' << program.transcript();
    }
  std::map<std::size_t, int> clients_of_slot;
  for (const auto& [client, slot] : slot_of_client) ++clients_of_slot[slot];
  EXPECT_EQ(clients_of_slot.size(), std::size_t{kWorkers}) << "all slots have some";
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Replacing, ByWhatDoesNotStartOrDiesChangesNothing) {
  for (const std::string successor : {"/no/such/program", "/bin/false"}) {
    Program& program = start({"--broken", successor});
    LoadGenerator generator{{.port = port, .connections = 4}};
    EXPECT_TRUE(program.wait_for_line("done")) << program.transcript();
    const LoadReport report = generator.stop();
    EXPECT_EQ(report.failed, 0) << report.text();
    EXPECT_EQ(count("failed") + count("died "), kWorkers) << program.transcript();
    EXPECT_EQ(count("ended ") + count("refused "), 0) << program.transcript();
    EXPECT_EQ(program.descendants().size(), std::size_t{kWorkers});
    EXPECT_TRUE(program.ends_on_interrupt());
  }
}

}  // namespace
}  // namespace harness
