// stream chunks|whole MEGABYTES: a worker sends so many MB to its primary, which hashes all of it:
// in chunks of 1 MiB, waiting for `drain`, or as one message. Prints the seconds from the request
// to the last byte hashed, and the MB that the primary holds beyond what it held before.
// stream small COUNT: COUNT messages of 50 bytes. Prints the seconds, and the MB by which the
// primary grew between the first tenth and the end.
#include <cohort/cohort.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>

using cohort::Value;

namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

double resident_megabytes() {
  std::ifstream status{"/proc/self/statm"};
  double total = 0, resident = 0;
  status >> total >> resident;
  return resident * 4096 / 1e6;
}

// Reads every byte: what a consumer does at least.
std::uint64_t hash(std::span<const std::byte> bytes, std::uint64_t state) {
  constexpr std::uint64_t kPrime = 0x9E3779B185EBCA87;
  std::uint64_t lanes[4] = {state, state + kPrime, state ^ kPrime, ~state};
  std::size_t i = 0;
  for (; i + sizeof lanes <= bytes.size(); i += sizeof lanes) {
    std::uint64_t words[4];
    std::memcpy(words, bytes.data() + i, sizeof words);
    for (int lane = 0; lane < 4; ++lane) lanes[lane] = (lanes[lane] ^ words[lane]) * kPrime;
  }
  for (; i < bytes.size(); ++i) state = (state ^ static_cast<std::uint64_t>(bytes[i])) * kPrime;
  return state ^ lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3];
}

int be_primary(cohort::Cluster& cluster, std::size_t total, bool small) {
  using Clock = std::chrono::steady_clock;
  cluster.setup_primary({.spawn = {.serialization = cohort::Serialization::Advanced,
                                   .message_size_max = std::size_t{2000} << 20}});
  const cohort::Worker worker = cluster.fork();
  std::size_t received = 0;
  std::uint64_t state = 0;
  Clock::time_point begin;
  double before = 0;
  worker.on_message([&](const Value& message) {
    if (message == "ready") {
      begin = Clock::now();
      before = resident_megabytes();
      worker.send("go");
      return;
    }
    received += small ? 1 : message.size();
    if (small && received == total / 10) before = resident_megabytes();
    state = hash(message.bytes(), state);
    if (received < total) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    std::printf("%f %.1f\n", seconds, resident_megabytes() - before);
    std::fprintf(stderr, "%016llx\n", static_cast<unsigned long long>(state));
    worker.disconnect();
  });
  return cluster.run();
}

int be_worker(cohort::Cluster& cluster, const Value& chunk, std::size_t count) {
  const cohort::Worker self = cluster.worker();
  std::size_t sent = 0;
  const std::function<void()> send_more = [&] {
    while (sent < count) {
      ++sent;
      if (!self.send(chunk)) return;  // `drain` comes
    }
  };
  self.on_drain(send_more);
  self.on_message([&](const Value&) { send_more(); });
  self.send("ready");
  return cluster.run();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc == 3 ? argv[1] : "";
  if (mode != "chunks" && mode != "whole" && mode != "small") {
    std::fputs("usage: stream chunks|whole MEGABYTES, or: stream small COUNT\n", stderr);
    return 100;
  }
  const auto count = static_cast<std::size_t>(std::atol(argv[2]));
  cohort::Cluster cluster;
  if (cluster.is_primary())
    return be_primary(cluster, mode == "small" ? count : count * kMebibyte, mode == "small");
  if (mode == "whole")
    return be_worker(cluster, Value::buffer(std::string(count * kMebibyte, 'x')), 1);
  if (mode == "chunks")
    return be_worker(cluster, Value::buffer(std::string(kMebibyte, 'x')), count);
  return be_worker(cluster, {{"cmd", "notify"}, {"n", 12345}, {"text", "some words"}}, count);
}
