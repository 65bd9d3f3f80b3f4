// spawns ROUNDS COUNT MEBIBYTES: starts /bin/true and waits for its end, COUNT times in each round,
// by cohort::spawn and by a bare posix_spawn and waitpid in turn, from a process that holds so much
// memory. Prints a line for each: the name, the seconds, and the CPU seconds of parent and
// children.
#include <cohort/cohort.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "usage.h"

namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

void spawn_bare(int count) {
  char name[] = "/bin/true";
  char* const argv[] = {name, nullptr};
  for (int i = 0; i < count; ++i) {
    pid_t pid = 0;
    errno = ::posix_spawn(&pid, name, nullptr, nullptr, argv, environ);
    if (errno != 0) fail("posix_spawn");
    if (::waitpid(pid, nullptr, 0) != pid) fail("waitpid");
  }
}

void spawn_ours(int count) {
  boost::asio::io_context io{1};
  for (int i = 0; i < count; ++i) {
    const auto child = cohort::spawn(io, "/bin/true", {}, {.stdio = cohort::Stdio::Inherit});
    io.restart();
    io.run();
    if (!child.exit() || !child.exit()->success()) fail("cohort::spawn");
  }
}

void measure(const char* name, void (*spawn)(int), int count) {
  using Clock = std::chrono::steady_clock;
  const auto cpu = [] { return cpu_seconds(RUSAGE_SELF) + cpu_seconds(RUSAGE_CHILDREN); };
  const double cpu_before = cpu();
  const auto begin = Clock::now();
  spawn(count);
  const std::chrono::duration<double> wall = Clock::now() - begin;
  std::printf("%s %f %f\n", name, wall.count(), cpu() - cpu_before);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: spawns ROUNDS COUNT MEBIBYTES\n", stderr);
    return 100;
  }
  const int rounds = std::atoi(argv[1]);
  const int count = std::atoi(argv[2]);
  const std::size_t size = static_cast<std::size_t>(std::atol(argv[3])) * kMebibyte;
  const std::unique_ptr<char[]> resident{new char[size]};
  std::memset(resident.get(), 1, size);
  for (int i = 0; i < rounds; ++i) {
    // The order alternates, so that neither always comes second.
    if (i % 2 == 0) measure("cohort", spawn_ours, count);
    measure("posix_spawn", spawn_bare, count);
    if (i % 2 != 0) measure("cohort", spawn_ours, count);
  }
  return 0;
}
