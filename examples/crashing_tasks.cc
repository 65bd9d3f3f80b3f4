// A pool of processes: a task that crashes, or never ends, costs its worker and nothing else.
#include <cohort/pool.h>

#include <csignal>
#include <iostream>

using namespace std::chrono_literals;

const cohort::Task square{"square", [](int x) { return x * x; }};
const cohort::Task crash{"crash", [](int x) { return std::raise(SIGSEGV) + x; }};
const cohort::Task loop_for_ever{"loop_for_ever", [](int x) {
                                   for (volatile bool on = true; on;) continue;
                                   return x;
                                 }};

void print(const cohort::Result<int>& result) {
  result ? std::cout << *result << '\n' : std::cout << result.error() << '\n';
}

int main() {
  if (const auto code = cohort::run_as_pool_worker()) return *code;  // a worker ends here
  const cohort::Pool pool{{.isolation = cohort::Isolation::Process, .max_workers = 2}};

  const auto crashed = pool.run(crash, 1);
  const auto squared = pool.run(square, 12);  // in the same pool, at the same time
  print(crashed.get());
  print(squared.get());
  print(pool.with({.deadline = 200ms}).run(loop_for_ever, 1).get());
  // Three workers die of it: then it is poison, and tried no more.
  print(pool.with({.retries = 10}).run(crash, 1).get());

  const cohort::PoolStatistics all = pool.statistics();
  std::cout << all.crashes << " crashes, " << all.retried << " tried again, poison:";
  for (const std::string& name : all.poison) std::cout << ' ' << name;
  std::cout << '\n';
}
