// One message of --size bytes to the worker, which sends it back. --max: the channel's largest
// message.
#include <cohort/cohort.h>

#include <iostream>
#include <string>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_worker()) {
    cohort::Worker self = cluster.worker();
    self.on_message([self](const cohort::Value& msg) {
      self.send(msg, [self](auto) { self.process().exit(0); });
    });
    return cluster.run();
  }
  std::string text(flags.number("--size", 64 << 20), 'x');
  for (std::size_t i = 0; i < text.size(); i += 4099) text[i] = static_cast<char>('a' + i % 26);
  cluster.setup_primary({.spawn = {.message_size_max = flags.number("--max", 256 << 20)}});
  cohort::Worker worker = cluster.fork();
  worker.on_message([&](const cohort::Value& msg) {
    std::cout << (msg == text ? "the same came back" : "something else came back") << '\n';
  });
  const cohort::SendResult result = worker.send(text);
  if (result.error()) {
    std::cout << *result.error() << '\n';
    worker.kill();
  }
  return cluster.run();
}
