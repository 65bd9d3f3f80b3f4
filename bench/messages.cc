// messages json|advanced|made SIZE COUNT: a worker sends COUNT messages of about SIZE bytes to its
// primary. Prints the seconds from the first to the last, and the CPU seconds of both processes
// meanwhile. bench/node/messages.js is the same in Node. `made`: advanced, and each message's bytes
// are written anew, into memory of `make_buffer`; the others send one message again and again.
#include <cohort/cohort.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "usage.h"

using cohort::Value;

namespace {

// As many as a sender has under way.
constexpr int kSmallWindow = 1000;
constexpr int kLargeWindow = 4;

Value make_message(bool advanced, std::size_t size) {
  if (size < 100) return {{"cmd", "notify"}, {"n", 12345}, {"text", "some words"}, {"ok", true}};
  if (advanced) return Value::buffer(std::string(size, 'x'));
  return {{"data", std::string(size, 'x')}};
}

int be_primary(cohort::Cluster& cluster, bool advanced, int count) {
  using Clock = std::chrono::steady_clock;
  cluster.setup_primary({.spawn = {.serialization = advanced ? cohort::Serialization::Advanced
                                                             : cohort::Serialization::Json}});
  cohort::Worker worker = cluster.fork();
  int received = 0;
  Clock::time_point start, end;
  double own_cpu = 0;
  worker.on_message([&](const Value& message) {
    if (message == "ready") {
      start = Clock::now();
      own_cpu = cpu_seconds();
      worker.send("go");
    } else if (message["cpu"].is_number()) {
      std::printf("%f %f\n", std::chrono::duration<double>(end - start).count(),
                  own_cpu + message["cpu"].number_or(0));
      worker.disconnect();
    } else if (++received == count) {
      end = Clock::now();
      own_cpu = cpu_seconds() - own_cpu;
    }
  });
  return cluster.run();
}

int be_worker(cohort::Cluster& cluster, bool advanced, bool made, std::size_t size, int count) {
  const cohort::Worker self = cluster.worker();
  const Value message = make_message(advanced, size);
  const auto make = [&](int number) {
    auto memory = self.make_buffer(size);
    std::memset(memory.bytes().data(), number, size);
    return Value::buffer(std::move(memory));
  };
  const int window = size < 100'000 ? kSmallWindow : kLargeWindow;
  int sent = 0, written = 0;
  double cpu = 0;
  std::function<void()> send_more = [&] {
    for (; sent < count && sent - written < window; ++sent)
      self.send(made ? make(sent) : message, [&](const auto&) {
        if (++written == count)
          self.send({{"cpu", cpu_seconds() - cpu}});
        else if (sent - written < window / 2)
          send_more();
      });
  };
  self.on_message([&](const Value&) {
    cpu = cpu_seconds();
    send_more();
  });
  self.send("ready");
  return cluster.run();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: messages json|advanced|made SIZE COUNT\n", stderr);
    return 100;
  }
  const bool made = std::string{argv[1]} == "made";
  const bool advanced = made || std::string{argv[1]} == "advanced";
  const auto size = static_cast<std::size_t>(std::atol(argv[2]));
  const int count = std::atoi(argv[3]);
  cohort::Cluster cluster;
  return cluster.is_primary() ? be_primary(cluster, advanced, count)
                              : be_worker(cluster, advanced, made, size, count);
}
