// What the interop tests share: a Node of the tested version as `node`, and where things are.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "harness/client.h"
#include "harness/places.h"
#include "harness/program.h"

namespace harness {

/// tests/interop/NAME
inline std::string script(const std::string& name) { return source("tests/interop/" + name); }
/// programs/NAME.cc, as the build made it.
inline std::string interop_program(const std::string& name) {
  return std::string{COHORT_INTEROP_DIR} + '/' + name;
}

using Variables = std::vector<std::pair<std::string, std::string>>;

/// One version of Node, first in PATH, so that it is the `node` of everything that is started.
class NodeInPath {
 public:
  explicit NodeInPath(const std::string& version)
      : node_{version == "node20" ? node20() : node26()} {
    EXPECT_TRUE(std::filesystem::exists(node_)) << "scripts/setup test fetches " << node_;
    std::filesystem::create_symlink(node_, folder_.path() + "/node");
  }

  const std::string& node() const { return node_; }
  ProgramOptions options(Variables variables) const {
    variables.emplace_back("PATH", folder_.path() + ':' + std::getenv("PATH"));
    return {.env = std::move(variables)};
  }

 private:
  const TempDir folder_;
  const std::string node_;
};

/// The pid in the line `fork ID PID` of a primary.
inline pid_t pid_of_worker(const Program& primary, int id) {
  const std::string start = "fork " + std::to_string(id) + ' ';
  for (const std::string& line : primary.lines())
    if (line.starts_with(start)) return std::stoi(line.substr(start.size()));
  ADD_FAILURE() << "no line `" << start << "`\n" << primary.transcript();
  return -1;
}

/// A port that another program listens on, until the object is gone.
class BusyPort {
 public:
  explicit BusyPort(std::uint16_t port)
      : fd_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)}, port_{port} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
  }
  ~BusyPort() { close(fd_); }
  BusyPort(const BusyPort&) = delete;
  BusyPort& operator=(const BusyPort&) = delete;

  std::uint16_t port() const { return port_; }

 private:
  const int fd_;
  const std::uint16_t port_;
};

/// The lines that are printed, in this order, whatever is between them.
inline testing::AssertionResult prints_in_order(const Program& program,
                                                const std::vector<std::string>& expected) {
  const std::vector<std::string> lines = program.lines();
  auto at = lines.begin();
  for (const std::string& line : expected) {
    at = std::find(at, lines.end(), line);
    if (at == lines.end())
      return testing::AssertionFailure() << '`' << line << "` is missing or too early\n"
                                         << program.transcript();
    ++at;
  }
  return testing::AssertionSuccess();
}

/// Exits with 0 and leaves no process.
inline testing::AssertionResult ends_well(Program& program) {
  const testing::AssertionResult exited = program.exits_with(0);
  return exited ? program.leaves_no_process() : exited;
}

}  // namespace harness
