// A worker that sends --count numbered messages at once and leaves --by exit, return, throw or
// disconnect. The primary checks the order and says how many came before the `exit` event. --exec:
// another worker.
#include <cohort/cohort.h>

#include <iostream>
#include <stdexcept>
#include <string>

#include "flags.h"

namespace {

void send_all(const cohort::Worker& self, unsigned count) {
  for (unsigned i = 0; i < count; ++i) self.send({{"n", i}, {"text", "some words of a message"}});
}

int run_primary(cohort::Cluster& cluster, const Flags& flags) {
  unsigned received = 0;
  bool in_order = true;
  cluster.setup_primary({.exec = flags.text("--exec", "")});
  cohort::Worker worker = cluster.fork();
  worker.on_message([&](const cohort::Value& msg) { in_order &= msg["n"] == received++; });
  worker.on_exit([&](const cohort::Exit& exit) {
    std::cout << received << (in_order ? " in order" : " out of order") << ", code " << exit.code()
              << '\n';
  });
  return cluster.run();
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_primary()) return run_primary(cluster, flags);

  const unsigned count = flags.number("--count", 10'000);
  const std::string by = flags.text("--by", "exit");
  if (by == "return") {
    send_all(cluster.worker(), count);
    return 0;
  }
  cluster.set_timeout(std::chrono::milliseconds{0}, [&] {
    send_all(cluster.worker(), count);
    if (by == "throw") throw std::runtime_error{"the end"};
    if (by == "disconnect") return cluster.worker().disconnect();
    cluster.worker().process().exit(0);
  });
  return cluster.run();
}
