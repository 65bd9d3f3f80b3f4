// What the tests of endings share: a program that serves on a port, alone or as the workers of
// `cohort run`, and a request that it is serving. workers/endings has the programs.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <future>
#include <memory>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "harness/client.h"
#include "harness/places.h"
#include "harness/program.h"
#include "interop/interop.h"

namespace harness {

using Words = std::vector<std::string>;

/// How `cohort run` starts the workers.
struct Start {
  int workers = 2;
  /// Nothing may wait for a part of this time: it is beyond every test's patience.
  std::string grace = "600";
  Words options{};
  Variables env{};
};

inline std::string ending_worker(const std::string& name) {
  return script("workers/endings/" + name);
}

/// A program that serves on a port of its own, $PORT, with `node` and npm's packages at hand.
class Service {
 public:
  explicit Service(const std::string& node_version) : node_{node_version} {}

  /// As `node` runs it, without cohort.
  Program& start_alone(Words words, const Variables& more = {}) {
    words.insert(words.begin(), node_.node());
    return start(words, more);
  }
  /// As the workers of `cohort run`, all of which listen.
  Program& start_workers(const Words& words, const Start& how = {}) {
    Words all{command(), "run", "-w", std::to_string(how.workers), "--grace", how.grace};
    all.insert(all.end(), how.options.begin(), how.options.end());
    all.insert(all.end(), words.begin(), words.end());
    start(all, how.env);
    EXPECT_TRUE(program_->wait_for_error(how.workers == 1 ? "listening on " : "workers listen$"));
    return *program_;
  }
  Program& program() { return *program_; }
  const NodeInPath& node() const { return node_; }

  /// All lines of stdout but those that several workers say alike, sorted: what came before what
  /// is not the same alone and with others.
  Words said(const std::string& but = "^$") const {
    Words lines = program_->lines();
    std::erase_if(
        lines, [&](const std::string& line) { return std::regex_search(line, std::regex{but}); });
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  const std::uint16_t port = free_port();

 private:
  Program& start(const Words& words, const Variables& more) {
    Variables variables{{"PORT", std::to_string(port)},
                        {"NODE_PATH", frameworks() + "/node_modules"},
                        {"NEXT_TELEMETRY_DISABLED", "1"},
                        {"PYTHONUNBUFFERED", "1"}};
    variables.insert(variables.end(), more.begin(), more.end());
    program_ = std::make_unique<Program>(words, node_.options(variables));
    EXPECT_TRUE(accepts(port)) << program_->transcript();
    return *program_;
  }

  const NodeInPath node_;
  std::unique_ptr<Program> program_;
};

/// A request that takes a second, and is being served.
class SlowRequest {
 public:
  explicit SlowRequest(Service& service, const std::string& path = "/slow") {
    answer_ = std::async(std::launch::async,
                         [port = service.port, path] { return http_get(port, path); });
    EXPECT_TRUE(service.program().wait_for_line("request"));
  }
  /// Its answer, or why there is none.
  std::string answer() {
    const HttpResponse response = answer_.get();
    return response.error.empty() ? response.body : response.error;
  }

 private:
  std::future<HttpResponse> answer_;
};

inline int count_errors(const Program& program, const std::string& pattern) {
  const auto lines = program.error_lines();
  return static_cast<int>(std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
    return std::regex_search(line, std::regex{pattern});
  }));
}

/// It stopped as it was asked to: nobody was killed, nothing is reported of any worker, and nothing
/// is left.
inline testing::AssertionResult stopped_well(Program& program) {
  const testing::AssertionResult ended = ends_well(program);
  if (!ended) return ended;
  if (count_errors(program, "killed|died|left|stack|Error") != 0)
    return testing::AssertionFailure() << "something went wrong\n" << program.transcript();
  return testing::AssertionSuccess();
}

}  // namespace harness
