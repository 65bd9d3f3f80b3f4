// Tasks in other languages: one pool of Node programs, one of Python programs.
//
//   pool_of_commands [--workers examples]     the folder of node/pool_worker.js,
//   python/pool_worker.py
#include <cohort/pool.h>

#include <iostream>

#include "flags.h"

int main(int argc, char** argv) {
  const std::string folder = Flags{argc, argv}.text("--workers", "examples");
  const cohort::Pool node{{
      .isolation = cohort::Isolation::Command,
      .max_workers = 1,
      .command = {"node", folder + "/node/pool_worker.js"},
  }};
  const cohort::Pool python{{
      .isolation = cohort::Isolation::Command,
      .max_workers = 1,
      .command = {"python3", folder + "/python/pool_worker.py"},
      .protocol = cohort::PoolOptions::Protocol::Lines,
  }};
  const auto print = [](const cohort::Future<cohort::Value>& task) {
    const cohort::Result<cohort::Value> result = task.get();
    result ? std::cout << *result << '\n' : std::cout << result.error() << '\n';
  };
  using cohort::Value;

  print(node.run_named("sha256", Value::array({"hello"})));
  print(python.run_named("count_words", Value::array({"the same work, many at a time"})));
  print(node.run_named("divide", Value::array({1, 0})));
  print(python.run_named("divide", Value::array({1, 0})));
  print(node.run_named("multiply", Value::array({2, 3})));
  const auto on_progress = [](const Value& step) { std::cout << "step " << step << '\n'; };
  print(python.with({.on_progress = on_progress}).run_named("slowly", Value::array({2})));
}
