// The worker of failing_primary: says `worker` five times, then fails.
//
//   failing_worker [--after SECONDS] [--with exception|SIGSEGV|SIGKILL|exit]
//
// It fails after 5 s, and speaks every fifth of that. The page has two timers, which are due at the
// same moment, so that chance decides whether a fifth line is printed; here one timer does both.
#include <cohort/cohort.h>

#include <csignal>
#include <stdexcept>
#include <string>

#include "flags.h"

void error_function(const cohort::Cluster& cluster, const std::string& how) {
  if (how == "SIGSEGV") std::raise(SIGSEGV);
  if (how == "SIGKILL") std::raise(SIGKILL);
  if (how == "exit") return cluster.worker().process().exit(0);
  throw std::runtime_error{"error_function failed"};
}

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  cluster.set_interval(flags.seconds("--after", 5) / 5, [&, said = 0]() mutable {
    cluster.worker().send("worker");
    if (++said == 5) error_function(cluster, flags.text("--with", "exception"));
  });
  return cluster.run();
}
