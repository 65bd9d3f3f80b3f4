// A primary of the library whose workers are a shell's: wrapping [--drain MS] [--stdin inherit]
// [--term-before-run] --script SCRIPT
#include <cohort/cohort.h>

#include <chrono>
#include <csignal>
#include <iostream>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  cluster.on_exit([](cohort::Worker worker, const cohort::Exit& exit) {
    std::cout << "exit " << worker.id() << ": " << exit << std::endl;
  });
  cohort::Settings settings{.exec = "/bin/sh",
                            .args = std::vector<std::string>{"-c", flags.text("--script", "")}};
  if (flags.text("--stdin", "") == "inherit") settings.spawn.stdio = {cohort::Stdio::Inherit};
  cluster.setup_primary(settings);
  cluster.set_drain_timeout(std::chrono::milliseconds{flags.number("--drain", 25'000)});
  cluster.keep(1);
  if (flags.has("--term-before-run")) std::raise(SIGTERM);
  return cluster.run();
}
