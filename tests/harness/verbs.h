// What tests of the verbs of the command share: each test has a runtime directory of its own, in
// which its applications have their control sockets.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/client.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {

inline constexpr std::size_t kWorkers = 2;

/// A server of Node on $TEST_PORT.
inline std::string script(std::string_view answer, std::string_view more = {}) {
  return "const server = require('http').createServer((request, response) => {\n"
         "  response.end('" +
         std::string{answer} + "\\n');\n});\n" + std::string{more} +
         "server.listen(Number(process.env.TEST_PORT));\n";
}

/// What a verb said.
struct Said {
  int code = -1;
  std::string out, err;

  std::string text() const { return std::to_string(code) + '\n' + out + err; }
};

/// Applications of the test run in `folder_`.
class Verbs : public testing::Test {
 protected:
  ProgramOptions surroundings() const {
    const std::string node = node26();
    return {.env = {{"PATH", node.substr(0, node.rfind('/')) + ':' + ::getenv("PATH")},
                    {"TEST_PORT", std::to_string(port)},
                    {"COHORT_RUNTIME_DIR", runtime_}},
            .cwd = folder_.path()};
  }
  std::unique_ptr<Program> run(std::vector<std::string> options,
                               const std::string& until = "all 2 workers listen") {
    options.insert(options.begin(), {command(), "run"});
    auto program = std::make_unique<Program>(options, surroundings());
    EXPECT_TRUE(program->wait_for_error(until)) << program->transcript();
    return program;
  }
  // One application, `server`.
  std::unique_ptr<Program> serve(std::string_view answer = "hello world",
                                 std::string_view more = {}) {
    folder_.write("server.js", script(answer, more));
    return run({"-w", std::to_string(kWorkers), "--prove", "0.2", "server.js"});
  }
  Said verb(std::vector<std::string> words) const {
    words.insert(words.begin(), command());
    Program program{words, surroundings()};
    const auto ended = program.wait_exit();
    return {ended ? ended->code.value_or(-1) : -1, program.output(), program.errors()};
  }
  // What a client of the socket gets for these bytes, until it is closed.
  std::string say(std::string_view bytes, bool and_no_more = false) const {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    (runtime_ + "/server.sock").copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::string answer;
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (and_no_more) ::shutdown(fd, SHUT_WR);
      char buffer[4096];
      for (ssize_t size = 0; (size = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
        answer.append(buffer, static_cast<std::size_t>(size));
    }
    ::close(fd);
    return answer;
  }

  const TempDir folder_;
  const std::string runtime_ = folder_.path() + "/run";
  const std::uint16_t port = free_port();
};

inline bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace harness
