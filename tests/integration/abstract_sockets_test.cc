// Abstract Unix sockets of Node programs. Node 20 pads the name to the length of an address, and 26
// does not; alone, neither is heard by the other's clients.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <tuple>

#include "harness/places.h"
#include "harness/program.h"

namespace harness {
namespace {

// What is said to whoever connects to the name as it is, as curl and socat do.
std::string answer_at(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char text[64] = "";
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), size) == 0) [[maybe_unused]]
    const ssize_t received = recv(fd, text, sizeof text - 1, 0);
  close(fd);
  return text;
}

class AbstractSockets : public testing::TestWithParam<std::tuple<const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(Of, AbstractSockets,
                         testing::Combine(testing::Values("auto", "rr", "shared"),
                                          testing::Values("node20", "node26")),
                         [](const auto& test) {
                           return std::string{std::get<0>(test.param)} + '_' +
                                  std::get<1>(test.param);
                         });

TEST_P(AbstractSockets, AreServedToClientsOfEverySpelling) {
  const auto [policy, version] = GetParam();
  const std::string node = std::string_view{version} == "node26" ? node26() : node20();
  const std::string folder = std::filesystem::path{node}.parent_path();
  const std::string script = source("tests/integration/scripts/abstract.js");
  const std::string name = "cohort-test-" + std::to_string(getpid());
  Program served{{command(), "run", "-w", "2", "-b", policy, script, name},
                 {.env = {{"PATH", folder + ':' + ::getenv("PATH")}}}};
  ASSERT_TRUE(served.wait_for_error("listening on @" + name + " \\(1 of 2 workers\\)"));
  EXPECT_EQ(answer_at(name), "hello\n");
  for (const std::string& client : {node20(), node26()}) {
    Program asks{{client, script, "--connect", name}};
    EXPECT_TRUE(asks.exits_with(0));
    EXPECT_EQ(asks.output(), "hello\n") << asks.transcript();
  }
  EXPECT_TRUE(served.ends_on_interrupt());
  EXPECT_EQ(answer_at(name), "");
}

}  // namespace
}  // namespace harness
