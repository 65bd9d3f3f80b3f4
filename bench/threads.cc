// Messages between two threads: what bench/run compares with bench/node/threads.js.
//
//   threads pingpong|asleep|oneway|typed|transfer COUNT [same-cpu]
//   threads eventfd COUNT [same-cpu]
//
// pingpong: round trips, one after the other. asleep: the same, but both sides sleep in between.
// oneway: small Values one way. typed: a struct of 16 bytes one way. transfer: 1 MiB each. eventfd:
// what a round trip costs without anything of ours, two eventfds and two epolls. Prints one line of
// JSON: nanoseconds for each, p50 where that is measured.
#include <cohort/cohort.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using cohort::MessageChannel;
using cohort::ThisThread;
using cohort::Thread;
using cohort::ThreadOptions;
using cohort::Value;

void stay_on(unsigned cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
}

struct Asked {
  std::string what;
  int count = 0;
  bool same_cpu = false;
  unsigned cpu_of_other() const { return same_cpu ? 0 : 1; }
};

double nanoseconds(Clock::duration time) {
  return std::chrono::duration<double, std::nano>(time).count();
}

void print(const Asked& asked, double each, double p50 = 0) {
  std::printf("{\"what\": \"%s\", \"count\": %d, \"each_ns\": %.1f, \"p50_ns\": %.1f}\n",
              asked.what.c_str(), asked.count, each, p50);
}

double median(std::vector<double>& times) {
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
                   times.end());
  return times[times.size() / 2];
}

// Of a round trip, half: one message.
void round_trips(const Asked& asked, std::chrono::microseconds pause) {
  boost::asio::io_context io;
  const MessageChannel<std::uint64_t> channel;
  const Thread other{io,
                     [port = channel.port2](ThisThread& self) {
                       port.on_message(self,
                                       [port](std::uint64_t& ball) { port.post_message(ball); });
                     },
                     {.name = "pong", .cpus = {asked.cpu_of_other()}}};
  std::vector<double> times;
  times.reserve(static_cast<std::size_t>(asked.count));
  boost::asio::steady_timer timer{io};
  Clock::time_point sent;
  const auto send = [&] {
    sent = Clock::now();
    channel.port1.post_message(times.size());
  };
  channel.port1.on_message(io, [&](std::uint64_t&) {
    times.push_back(nanoseconds(Clock::now() - sent) / 2);
    if (static_cast<int>(times.size()) == asked.count) return channel.port1.close();
    if (pause.count() == 0) return send();
    timer.expires_after(pause);
    timer.async_wait([&](auto) { send(); });
  });
  const auto start = Clock::now();
  send();
  io.run();
  const double each = nanoseconds(Clock::now() - start) / asked.count / 2;
  print(asked, each, median(times));
}

template <class Channel, class Make>
void one_way(const Asked& asked, const Channel& channel, const Make& make) {
  boost::asio::io_context io;
  const Thread other{io,
                     [port = channel.port2, count = asked.count](ThisThread& self) {
                       port.on_message(self, [port, left = count](const auto&) mutable {
                         if (--left == 0) port.close();
                       });
                     },
                     {.name = "taker", .cpus = {asked.cpu_of_other()}}};
  const auto start = Clock::now();
  for (int i = 0; i < asked.count; ++i)
    while (!make(i)) std::this_thread::yield();
  io.run();
  print(asked, nanoseconds(Clock::now() - start) / asked.count);
}

struct Small {
  std::uint64_t id = 0;
  double value = 0;
};

void transfers(const Asked& asked) {
  const MessageChannel<> channel;
  one_way(asked, channel, [&](int) {
    cohort::Transfer given;
    given.buffers.emplace_back();
    // A buffer that was there before: its making is not what is measured.
    static std::vector<std::vector<std::byte>> made = [&] {
      std::vector<std::vector<std::byte>> all(static_cast<std::size_t>(asked.count));
      for (auto& each : all) each.resize(1 << 20);
      return all;
    }();
    given.buffers[0] = std::move(made.back());
    made.pop_back();
    return channel.port1.post_message(1, std::move(given));
  });
}

// Two eventfds, two epolls, nothing else.
void bare(const Asked& asked) {
  const int to = eventfd(0, EFD_NONBLOCK), from = eventfd(0, EFD_NONBLOCK);
  const auto wait = [](int epoll, int fd) {
    epoll_event event{};
    std::uint64_t value = 0;
    while (epoll_wait(epoll, &event, 1, -1) != 1) continue;
    if (read(fd, &value, sizeof value) != sizeof value) std::abort();
  };
  const auto watch = [](int fd) {
    const int epoll = epoll_create1(0);
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    return epoll;
  };
  const auto post = [](int fd) {
    const std::uint64_t one = 1;
    if (write(fd, &one, sizeof one) != sizeof one) std::abort();
  };
  std::thread other{[&] {
    stay_on(asked.cpu_of_other());
    const int epoll = watch(to);
    for (int i = 0; i < asked.count; ++i) {
      wait(epoll, to);
      post(from);
    }
  }};
  const int epoll = watch(from);
  std::vector<double> times;
  for (int i = 0; i < asked.count; ++i) {
    const auto sent = Clock::now();
    post(to);
    wait(epoll, from);
    times.push_back(nanoseconds(Clock::now() - sent) / 2);
  }
  other.join();
  double sum = 0;
  for (const double each : times) sum += each;
  print(asked, sum / asked.count, median(times));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("threads pingpong|asleep|oneway|typed|transfer|eventfd COUNT [same-cpu]\n", stderr);
    return 2;
  }
  const Asked asked{argv[1], std::atoi(argv[2]), argc > 3};
  stay_on(0);
  if (asked.what == "pingpong") round_trips(asked, {});
  if (asked.what == "asleep") round_trips(asked, std::chrono::microseconds{200});
  if (asked.what == "eventfd") bare(asked);
  if (asked.what == "transfer") transfers(asked);
  if (asked.what == "oneway") {
    const MessageChannel<> channel;
    one_way(asked, channel, [&](int i) { return channel.port1.post_message({{"n", i}}); });
  }
  if (asked.what == "typed") {
    const MessageChannel<Small> channel;
    one_way(asked, channel, [&](int i) {
      return channel.port1.post_message({static_cast<std::uint64_t>(i), 0.5});
    });
  }
  return 0;
}
