// Starting a process and waiting for its end: ours against a bare posix_spawn loop, in this process
// as it is and with 1 GiB resident. The goal: at least 95 % of the bare rate.
#include <benchmark/benchmark.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstring>
#include <memory>

#include "cohort/child_process.h"

namespace {

constexpr std::size_t kGibibyte = std::size_t{1} << 30;

// So much memory, touched; a range of the bench in MiB.
std::unique_ptr<char[]> resident(std::int64_t mebibytes) {
  const std::size_t size = static_cast<std::size_t>(mebibytes) * (kGibibyte / 1024);
  std::unique_ptr<char[]> memory{new char[size + 1]};
  std::memset(memory.get(), 1, size);
  return memory;
}

void bare_posix_spawn(benchmark::State& state) {
  const auto memory = resident(state.range(0));
  char name[] = "/bin/true";
  char* const argv[] = {name, nullptr};
  for (auto _ : state) {
    pid_t pid = 0;
    if (::posix_spawn(&pid, name, nullptr, nullptr, argv, environ) != 0)
      return state.SkipWithError("posix_spawn");
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED);
  }
}
BENCHMARK(bare_posix_spawn)->Arg(0)->Arg(1024)->UseRealTime();

void cohort_spawn(benchmark::State& state) {
  const auto memory = resident(state.range(0));
  boost::asio::io_context io{1};
  for (auto _ : state) {
    const auto child = cohort::spawn(io, "/bin/true", {}, {.stdio = cohort::Stdio::Inherit});
    io.restart();
    io.run();
    if (!child.exit() || !child.exit()->success()) return state.SkipWithError("spawn");
  }
}
BENCHMARK(cohort_spawn)->Arg(0)->Arg(1024)->UseRealTime();

}  // namespace
