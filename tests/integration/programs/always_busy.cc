// A pool that always has more tasks than workers, and says how many it may run at once.
#include <cohort/pool.h>

#include <iostream>
#include <string>
#include <vector>

const cohort::Task spin{"spin", [](int rounds) {
                          unsigned value = 1;
                          for (int i = 0; i < rounds; ++i) value = value * 1664525 + 1013904223;
                          return static_cast<int>(value);
                        }};

int main(int argc, char** argv) {
  if (const auto code = cohort::run_as_pool_worker()) return *code;
  const bool threads = argc > 1 && std::string{argv[1]} == "thread";
  const cohort::Pool pool{
      {.isolation = threads ? cohort::Isolation::Thread : cohort::Isolation::Process}};
  constexpr int kRounds = 200'000;
  const int expected = pool.run(spin, kRounds).get().value();
  for (unsigned said = 0;;) {
    std::vector<cohort::Future<int>> tasks;
    for (int i = 0; i < 64; ++i) tasks.push_back(pool.run(spin, kRounds));
    for (const auto& task : tasks)
      if (task.get().value() != expected) return 1;
    const unsigned width = pool.statistics().width;
    if (width != said) std::cout << "width " << width << std::endl;
    said = width;
  }
}
