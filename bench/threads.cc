// Messages between two threads: what bench/parallel compares with bench/node/threads.js.
//
//   threads pingpong|asleep|idle COUNT [same-cpu]
//   threads bare_pingpong|bare_asleep COUNT [same-cpu]
//   threads oneway|typed COUNT
//   threads transfer COUNT BYTES
//
// pingpong: round trips, one after the other. asleep: the same, but both sides have gone to sleep
// in between. idle: pingpong, and then nothing, until it is killed. bare_: what that costs without
// anything of ours, by two eventfds and two epolls. oneway: small Values one way. typed: a struct
// of 16 bytes one way. transfer: buffers one way. Prints one line of JSON: nanoseconds for each
// message, and the median of all where each is measured.
#include <cohort/message_port.h>
#include <cohort/thread.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
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

// Longer than anybody looks before it sleeps.
constexpr std::chrono::microseconds kPause{200};

struct Asked {
  std::string what;
  int count = 0;
  std::string more;
  unsigned cpu_of_other() const { return more == "same-cpu" ? 0 : 1; }
  bool is(const char* name) const { return what == name; }
};

void stay_on(unsigned cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  ::pthread_setaffinity_np(::pthread_self(), sizeof cpus, &cpus);
}

double nanoseconds(Clock::duration time) {
  return std::chrono::duration<double, std::nano>(time).count();
}

void print(const Asked& asked, double each, double p50) {
  std::printf("{\"what\": \"%s\", \"count\": %d, \"each_ns\": %.1f, \"p50_ns\": %.1f}\n",
              asked.what.c_str(), asked.count, each, p50);
  std::fflush(stdout);
}

// One message is half of a round trip.
void print_round_trips(const Asked& asked, std::vector<Clock::duration>& times) {
  Clock::duration sum{};
  for (const auto each : times) sum += each;
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  print(asked, nanoseconds(sum) / asked.count / 2, nanoseconds(*middle) / 2);
}

void round_trips(const Asked& asked) {
  boost::asio::io_context io;
  const MessageChannel<std::uint64_t> channel;
  const Thread other{io,
                     [port = channel.port2](ThisThread& self) {
                       port.on_message(self,
                                       [port](std::uint64_t& ball) { port.post_message(ball); });
                     },
                     {.name = "pong", .cpus = {asked.cpu_of_other()}}};
  std::vector<Clock::duration> times;
  boost::asio::steady_timer timer{io};
  Clock::time_point sent;
  const auto send = [&] {
    sent = Clock::now();
    channel.port1.post_message(times.size());
  };
  channel.port1.on_message(io, [&](std::uint64_t&) {
    times.push_back(Clock::now() - sent);
    if (static_cast<int>(times.size()) == asked.count) {
      print_round_trips(asked, times);
      return asked.is("idle") ? void() : channel.port1.close();
    }
    if (!asked.is("asleep")) return send();
    timer.expires_after(kPause);
    timer.async_wait([&](auto) { send(); });
  });
  send();
  io.run();
}

class BareBell {
 public:
  BareBell() {
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event);
  }
  void ring() const {
    const std::uint64_t one = 1;
    if (::write(fd_, &one, sizeof one) != sizeof one) std::abort();
  }
  void wait() const {
    epoll_event event{};
    std::uint64_t rings = 0;
    while (::epoll_wait(epoll_, &event, 1, -1) != 1) continue;
    if (::read(fd_, &rings, sizeof rings) != sizeof rings) std::abort();
  }

 private:
  const int fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
};

void bare_round_trips(const Asked& asked) {
  const BareBell ping, pong;
  std::thread other{[&] {
    stay_on(asked.cpu_of_other());
    for (int i = 0; i < asked.count; ++i) {
      ping.wait();
      pong.ring();
    }
  }};
  std::vector<Clock::duration> times;
  for (int i = 0; i < asked.count; ++i) {
    if (asked.is("bare_asleep")) std::this_thread::sleep_for(kPause);
    const auto sent = Clock::now();
    ping.ring();
    pong.wait();
    times.push_back(Clock::now() - sent);
  }
  other.join();
  print_round_trips(asked, times);
}

// From the first that is posted to the last that is taken. `hear` calls what it is given for each.
template <class Channel, class Post, class Hear>
void one_way(const Asked& asked, const Channel& channel, const Post& post, const Hear& hear) {
  boost::asio::io_context io;
  const MessageChannel<int> ready;
  Clock::time_point end;
  const auto take = [&](ThisThread& self) {
    hear(self, channel.port2, [&, left = asked.count]() mutable {
      if (--left > 0) return;
      end = Clock::now();
      channel.port2.close();
    });
    ready.port2.post_message(1);
  };
  const Thread other{io, take, {.name = "taker", .cpus = {asked.cpu_of_other()}}};
  ready.port1.receive_for(std::chrono::minutes{1});
  const auto start = Clock::now();
  for (int i = 0; i < asked.count; ++i)
    while (!post(i)) std::this_thread::sleep_for(kPause);
  io.run();
  const double each = nanoseconds(end - start) / asked.count;
  print(asked, each, each);
}

struct Small {
  std::uint64_t id = 0;
  double value = 0;
};

void transfers(const Asked& asked) {
  // Made before, and kept by the taker: neither their making nor their end is measured.
  std::vector<cohort::Transfer> given(static_cast<std::size_t>(asked.count));
  for (auto& each : given)
    each.buffers.emplace_back(static_cast<std::size_t>(std::atol(asked.more.c_str())));
  const MessageChannel<> channel;
  std::vector<cohort::Transfer> kept;
  one_way(
      asked, channel,
      [&](int i) {
        return channel.port1.post_message(i, std::move(given[static_cast<std::size_t>(i)]));
      },
      [&](ThisThread& self, const auto& port, auto taken) {
        port.on_message(self, [&, taken](const cohort::Value&, cohort::Transfer& each) mutable {
          kept.push_back(std::move(each));
          taken();
        });
      });
}

void run(const Asked& asked) {
  stay_on(0);
  if (asked.is("pingpong") || asked.is("asleep") || asked.is("idle")) round_trips(asked);
  if (asked.is("bare_pingpong") || asked.is("bare_asleep")) bare_round_trips(asked);
  if (asked.is("transfer")) transfers(asked);
  if (asked.is("oneway")) {
    const MessageChannel<> channel;
    one_way(
        asked, channel, [&](int i) { return channel.port1.post_message({{"n", i}}); },
        [](ThisThread& self, const auto& port, auto taken) {
          port.on_message(self, [taken](const cohort::Value&) mutable { taken(); });
        });
  }
  if (asked.is("typed")) {
    const MessageChannel<Small> channel;
    one_way(
        asked, channel,
        [&](int i) { return channel.port1.post_message({static_cast<std::uint64_t>(i), 0.5}); },
        [](ThisThread& self, const auto& port, auto taken) {
          port.on_message(self, [taken](Small&) mutable { taken(); });
        });
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: threads WHAT COUNT [same-cpu|BYTES]\n", stderr);
    return 100;
  }
  run({argv[1], std::atoi(argv[2]), argc > 3 ? argv[3] : ""});
  return 0;
}
