// A load of HTTP requests that accounts for each of them: none is sent twice, none is forgotten.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "harness/client.h"
#include "harness/program.h"

namespace harness {

struct LoadOptions {
  std::uint16_t port = 0;
  int connections = 8;
  /// Stops after so many requests in total; 0: only `stop()` ends it.
  long requests = 0;
  /// `keep_alive` decides between one connection for many requests and one for each.
  HttpRequest request{.keep_alive = true};
  /// What every response must be.
  int status = 200;
  std::string body = "hello world\n";
  milliseconds deadline = kPatience;  ///< Of one request.
  milliseconds late{0};               ///< From a new connection to its first request.
  /// Before each request on a kept connection, whether it is closed, and then opens another one.
  bool looks = false;
  /// Between an answer and the next request of a connection: a load without it takes every CPU, and
  /// what a test is about, processes that start and end, waits for it. None under COHORT_CHAOS.
  milliseconds pause{5};
};

/// What became of the requests: sent == ok + failed.
struct LoadReport {
  long sent = 0;
  long ok = 0;
  long failed = 0;
  /// Of the failures; `kept: ...` on a connection that had answered before.
  std::map<std::string, long> reasons{};
  std::string first_failure{};  ///< When it came; empty: there was none.
  milliseconds slowest{0};

  std::string text() const;
};

/// Sends requests from as many threads as connections, until it is done or told to stop. A request
/// whose connection failed is counted, never sent again.
class LoadGenerator {
 public:
  explicit LoadGenerator(LoadOptions options);
  ~LoadGenerator();
  LoadGenerator(const LoadGenerator&) = delete;
  LoadGenerator& operator=(const LoadGenerator&) = delete;

  /// How many responses were good so far.
  long ok() const { return ok_; }
  /// Waits for the last request.
  LoadReport wait();
  /// Lets what is under way finish.
  LoadReport stop();

 private:
  void work(LoadReport& report);

  const LoadOptions options_;
  std::atomic<long> started_{0};
  std::atomic<long> ok_{0};
  std::atomic<bool> stopping_{false};
  std::vector<LoadReport> reports_;
  std::vector<std::thread> threads_;
};

}  // namespace harness
