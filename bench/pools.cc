// Pools of threads and of processes: what bench/parallel compares with bench/pools_peers.cc,
// piscina and Python.
//
//   pools WHAT COUNT
//
// Empty tasks in threads: post (by one thread from outside), post_all (by as many as there are
// CPUs), post_inside (by a task), run (with a result that is waited for), for_each. In processes:
// process_run (all given one by one, then waited for), process_map, process_large (8 MB there and
// back). Work for a CPU: one_cpu, two_cpus; bare_one, bare_two with plain threads. Until the first
// result: start, process_start (COUNT times). idle: works, and then does nothing until it is
// killed. Prints one line of JSON: seconds for all, and tasks a second.
#include <cohort/parallelism.h>
#include <cohort/pool.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tasks_done.h"

namespace {

using Clock = std::chrono::steady_clock;
using cohort::Isolation;
using cohort::Pool;
using Bytes = std::vector<std::uint8_t>;

const cohort::Task same{"same", [](int number) { return number; }};
const cohort::Task same_bytes{"same_bytes", [](cohort::Value bytes) { return bytes; }};

constexpr std::size_t kLarge = 8 << 20;

TasksDone done;

[[noreturn]] void fail(std::string_view what) {
  std::fprintf(stderr, "pools: %.*s\n", static_cast<int>(what.size()), what.data());
  std::_Exit(1);
}

template <class T>
T must(cohort::Result<T> result) {
  if (!result) fail(result.error().message());
  return *std::move(result);
}

void post_empty(const Pool& pool, int count) {
  for (int i = 0; i < count; ++i)
    while (!pool.post([] { done.one(); }))
      std::this_thread::sleep_for(std::chrono::microseconds{50});
}

double post(int count) {
  const Pool pool;
  const auto start = Clock::now();
  post_empty(pool, count);
  done.wait_for(static_cast<std::uint64_t>(count));
  return seconds_since(start);
}

double post_all(int count) {
  const Pool pool;
  const int givers = static_cast<int>(cohort::available_parallelism());
  const auto start = Clock::now();
  std::vector<std::jthread> threads;
  for (int i = 0; i < givers; ++i) threads.emplace_back([&] { post_empty(pool, count / givers); });
  done.wait_for(static_cast<std::uint64_t>(count / givers * givers));
  return seconds_since(start);
}

double post_inside(int count) {
  const Pool pool;
  const auto start = Clock::now();
  must(pool.post([&] { post_empty(pool, count); }));
  done.wait_for(static_cast<std::uint64_t>(count));
  return seconds_since(start);
}

double run(int count) {
  const Pool pool;
  const auto start = Clock::now();
  std::vector<cohort::Future<int>> futures;
  futures.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) futures.push_back(pool.run([i] { return i; }));
  for (int i = 0; i < count; ++i)
    if (must(futures[static_cast<std::size_t>(i)].get()) != i) fail("another result");
  return seconds_since(start);
}

double for_each(int count) {
  const Pool pool;
  const auto start = Clock::now();
  must(pool.for_each(static_cast<std::size_t>(count),
                     [](std::size_t i) { asm volatile("" ::"r"(i)); }));
  return seconds_since(start);
}

// With both of its workers up: their start is another row.
class ProcessPool {
 public:
  ProcessPool() {
    for (const auto& each : pool.map(std::vector<int>(1000), same)) must(each);
  }
  const Pool pool{{.isolation = Isolation::Process, .name = "bench"}};
};

double process_run(int count) {
  const ProcessPool processes;
  const auto start = Clock::now();
  std::vector<cohort::Future<int>> futures;
  for (int i = 0; i < count; ++i) futures.push_back(processes.pool.run(same, i));
  for (int i = 0; i < count; ++i)
    if (must(futures[static_cast<std::size_t>(i)].get()) != i) fail("another result");
  return seconds_since(start);
}

double process_map(int count) {
  const ProcessPool processes;
  std::vector<int> inputs(static_cast<std::size_t>(count));
  std::iota(inputs.begin(), inputs.end(), 0);
  const auto start = Clock::now();
  const auto results = processes.pool.map(inputs, same);
  const double seconds = seconds_since(start);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (must(results[i]) != inputs[i]) fail("another result");
  return seconds;
}

double process_large(int count) {
  const ProcessPool processes;
  const auto bytes = cohort::Value::buffer(Bytes(kLarge, 7));
  const auto start = Clock::now();
  for (int i = 0; i < count; ++i)
    if (must(processes.pool.run(same_bytes, bytes).get()).bytes().size() != kLarge)
      fail("other bytes");
  return seconds_since(start);
}

double on_cpus(int count, unsigned cpus) {
  const Pool pool{{.max_workers = cpus}};
  const auto start = Clock::now();
  std::vector<cohort::Future<std::uint64_t>> futures;
  for (int i = 0; i < count; ++i) futures.push_back(pool.run(compute));
  for (const auto& future : futures) must(future.get());
  return seconds_since(start);
}

double on_bare_threads(int count, int cpus) {
  const auto start = Clock::now();
  std::atomic<int> left = count;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < cpus; ++i)
      threads.emplace_back([&] {
        while (left.fetch_sub(1) > 0) {
          const volatile std::uint64_t result = compute();
          static_cast<void>(result);
        }
      });
  }
  return seconds_since(start);
}

double starts(int count, Isolation isolation) {
  double sum = 0;
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    const Pool pool{{.isolation = isolation}};
    must(pool.run(same, i).get());
    sum += seconds_since(start);
  }
  return sum;
}

double idle(int count) {
  const Pool threads;
  const ProcessPool processes;
  must(threads.for_each(static_cast<std::size_t>(count), [](std::size_t) { compute(); }));
  for (int i = 0; i < count; ++i) must(processes.pool.run(same, i).get());
  std::puts("idle");
  std::fflush(stdout);
  ::pause();
  return 0;
}

const std::map<std::string_view, std::function<double(int)>> kRows{
    {"post", post},
    {"post_all", post_all},
    {"post_inside", post_inside},
    {"run", run},
    {"for_each", for_each},
    {"process_run", process_run},
    {"process_map", process_map},
    {"process_large", process_large},
    {"one_cpu", [](int count) { return on_cpus(count, 1); }},
    {"two_cpus", [](int count) { return on_cpus(count, 2); }},
    {"bare_one", [](int count) { return on_bare_threads(count, 1); }},
    {"bare_two", [](int count) { return on_bare_threads(count, 2); }},
    {"start", [](int count) { return starts(count, Isolation::Thread); }},
    {"process_start", [](int count) { return starts(count, Isolation::Process); }},
    {"idle", idle},
};

}  // namespace

int main(int argc, char** argv) {
  if (const auto code = cohort::run_as_pool_worker()) return *code;
  const auto row = argc == 3 ? kRows.find(argv[1]) : kRows.end();
  if (row == kRows.end()) {
    std::fputs("usage: pools WHAT COUNT\n", stderr);
    return 100;
  }
  const int count = std::atoi(argv[2]);
  const double seconds = row->second(count);
  std::printf("{\"what\": \"%s\", \"count\": %d, \"seconds\": %.6f, \"per_second\": %.0f}\n",
              argv[1], count, seconds, count / seconds);
  return 0;
}
