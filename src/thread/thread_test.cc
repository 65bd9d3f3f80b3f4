#include "cohort/thread.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace cohort {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

TEST(Thread, TalksToItsMakerAndEndsWhenItHasNothingToDo) {
  asio::io_context io;
  std::vector<std::string> seen;
  const Thread thread{io,
                      [](ThisThread& self) {
                        self.post_message({{"data", self.worker_data()}, {"id", self.id()}});
                        self.on_message([&self](const Value& message) {
                          self.post_message(message.number_or(0) * 2);
                          if (message == Value(3)) self.close();
                        });
                      },
                      {.name = "doubler", .worker_data = {{"factor", 2}}}};
  thread.on_online([&] { seen.push_back("online"); });
  thread.on_message([&](const Value& message) {
    if (message.is_object())
      EXPECT_EQ(message, (Value{{"data", {{"factor", 2}}}, {"id", thread.id()}}));
    else
      seen.push_back(std::to_string(message.int64_or(-1)));
  });
  thread.on_error([](const Error& error) { FAIL() << error; });
  thread.on_exit([&](int code) { seen.push_back("exit " + std::to_string(code)); });
  for (const int number : {1, 2, 3}) EXPECT_TRUE(thread.post_message(number));
  EXPECT_TRUE(thread.running());
  io.run();
  EXPECT_EQ(seen, (std::vector<std::string>{"online", "2", "4", "6", "exit 0"}));
  EXPECT_FALSE(thread.running());
  EXPECT_EQ(thread.exit_code(), 0);
  EXPECT_EQ(thread.post_message(4).error()->code, Errc::ChannelClosed);
}

TEST(Thread, AnExceptionIsItsErrorAndTheProcessGoesOn) {
  asio::io_context io;
  std::vector<std::string> seen;
  const auto watch = [&](const Thread& thread) {
    thread.on_error([&](const Error& error) { seen.push_back(error.message()); });
    thread.on_exit([&](int code) { seen.push_back(std::to_string(code)); });
  };
  watch(Thread{io, [](ThisThread&) { throw std::runtime_error{"no luck"}; }, {.name = "a"}});
  io.run();
  io.restart();
  watch(Thread{
      io, [](ThisThread& self) { asio::post(self.io_context(), [] { throw 7; }); }, {.name = "b"}});
  io.run();
  EXPECT_EQ(seen,
            (std::vector<std::string>{
                "in thread a: the method failed (no luck)", "1",
                "in thread b: the method failed (an exception that is no std::exception)", "1"}));
}

TEST(Thread, ExitGivesItsCode) {
  asio::io_context io;
  const Thread thread{io, [](ThisThread& self) {
                        self.on_message([](const Value&) {});
                        self.exit(42);
                      }};
  io.run();
  EXPECT_EQ(thread.exit_code(), 42);
}

TEST(Thread, TerminateEndsItsLoop) {
  asio::io_context io;
  const Thread thread{io, [](ThisThread& self) {
                        self.on_message([](const Value&) {});
                        self.post_message("ready");
                      }};
  int done = -1;
  thread.on_message([&](const Value&) { thread.terminate([&](int code) { done = code; }); });
  io.run();
  EXPECT_EQ(done, 1);
  int again = -1;
  thread.terminate([&](int code) { again = code; });
  io.restart();
  io.run();
  EXPECT_EQ(again, 1);
}

TEST(Thread, WorkThatTakesLongSeesThatItShallEnd) {
  asio::io_context io;
  const Thread thread{io, [](ThisThread& self) {
                        self.post_message("begun");
                        while (!self.stop_token().stop_requested()) std::this_thread::yield();
                      }};
  thread.on_message([&](const Value&) { thread.terminate(); });
  io.run();
  EXPECT_EQ(thread.exit_code(), 1);
}

TEST(Thread, OneThatDoesNotEndIsSaidToRunStill) {
  asio::io_context io;
  std::atomic<bool> release = false;
  const Thread thread{io,
                      [&](ThisThread& self) {
                        self.post_message("begun");
                        while (!release) std::this_thread::yield();
                      },
                      {.name = "deaf", .patience = 20ms}};
  thread.on_message([&](const Value&) { thread.terminate(); });
  std::vector<std::string> errors;
  thread.on_error([&](const Error& error) {
    EXPECT_TRUE(thread.running());
    errors.push_back(error.message());
    release = true;
  });
  io.run();
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].substr(0, 26), "end thread deaf: timed out");
}

TEST(Thread, IsToldToEndAndWaitedForWhenItsIoContextEnds) {
  std::atomic<bool> ended = false;
  {
    asio::io_context io;
    const Thread thread{io, [&](ThisThread& self) {
                          struct AtEnd {
                            std::atomic<bool>& ended;
                            ~AtEnd() { ended = true; }
                          } at_end{ended};
                          while (!self.stop_token().stop_requested()) std::this_thread::yield();
                        }};
    io.poll();
  }
  EXPECT_TRUE(ended);
}

TEST(Thread, UnrefedItKeepsNothingRunning) {
  asio::io_context io;
  const Thread thread{io, [](ThisThread& self) { self.on_message([](const Value&) {}); }};
  thread.unref();
  io.run();
  EXPECT_TRUE(thread.running());
}

TEST(Thread, HasItsNameItsCpuAndItsStack) {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  ASSERT_EQ(sched_getaffinity(0, sizeof mine, &mine), 0);
  unsigned cpu = 0;
  while (!CPU_ISSET(cpu, &mine)) ++cpu;
  asio::io_context io;
  std::string name;
  int cpus = 0;
  bool is_there = false;
  std::size_t stack = 0;
  const Thread thread{io,
                      [&](ThisThread&) {
                        char text[16];
                        pthread_getname_np(pthread_self(), text, sizeof text);
                        name = text;
                        cpu_set_t set;
                        CPU_ZERO(&set);
                        sched_getaffinity(0, sizeof set, &set);
                        cpus = CPU_COUNT(&set);
                        is_there = CPU_ISSET(cpu, &set);
                        pthread_attr_t attributes;
                        pthread_getattr_np(pthread_self(), &attributes);
                        pthread_attr_getstacksize(&attributes, &stack);
                        pthread_attr_destroy(&attributes);
                      },
                      {.name = "a name of more than 15", .stack_size = 1 << 20, .cpus = {cpu}}};
  io.run();
  EXPECT_EQ(name, "a name of more ");
  EXPECT_EQ(cpus, 1);
  EXPECT_TRUE(is_there);
  EXPECT_GE(stack, std::size_t{1} << 20);
  EXPECT_LT(stack, std::size_t{2} << 20);
}

TEST(Thread, OneThatCannotBeStartedSaysWhy) {
  asio::io_context io;
  const Thread thread{io, [](ThisThread&) { FAIL(); }, {.name = "nowhere", .cpus = {1023}}};
  std::vector<std::string> seen;
  thread.on_error([&](const Error& error) { seen.push_back(error.message()); });
  thread.on_exit([&](int code) { seen.push_back(std::to_string(code)); });
  EXPECT_TRUE(seen.empty()) << "before the loop has turned";
  io.run();
  EXPECT_EQ(seen, (std::vector<std::string>{"start thread nowhere: invalid argument (no such CPU, "
                                            "or no such size of a stack)",
                                            "1"}));
}

TEST(Thread, TakesNoSignals) {
  asio::io_context io;
  sigset_t blocked;
  const Thread thread{io, [&](ThisThread&) { pthread_sigmask(SIG_SETMASK, nullptr, &blocked); }};
  io.run();
  EXPECT_EQ(sigismember(&blocked, SIGTERM), 1);
  EXPECT_EQ(sigismember(&blocked, SIGSEGV), 0);
  sigset_t here;
  pthread_sigmask(SIG_SETMASK, nullptr, &here);
  EXPECT_EQ(sigismember(&here, SIGTERM), 0);
}

TEST(Thread, MemoryBeyondItsLimitIsItsErrorWithTheNumber) {
  asio::io_context io;
  const Thread thread{io,
                      [](ThisThread& self) {
                        std::pmr::vector<int> fits{1'000, &self.memory()};
                        std::pmr::vector<int> too_large{1'000'000, &self.memory()};
                      },
                      {.name = "hungry", .memory_max = 1 << 20}};
  std::string said;
  thread.on_error([&](const Error& error) { said = error.message(); });
  io.run();
  EXPECT_EQ(said,
            "in thread hungry: the method failed (it has reached its memory_max, 1048576 bytes, "
            "and used 0)");
  EXPECT_EQ(thread.exit_code(), 1);
}

TEST(Thread, EnvironmentDataIsAsItWasWhenItStarted) {
  asio::io_context io;
  set_environment_data("where", {{"city", "Seoul"}});
  set_environment_data("gone", 1);
  set_environment_data("gone", Value());
  const Thread thread{io, [](ThisThread& self) {
                        EXPECT_FALSE(is_main_thread());
                        self.post_message(Value::array(
                            {get_environment_data("where"), get_environment_data("gone")}));
                        set_environment_data("where", "elsewhere");
                      }};
  set_environment_data("where", "Busan");
  Value got;
  thread.on_message([&](const Value& message) { got = message; });
  io.run();
  EXPECT_TRUE(is_main_thread());
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0], (Value{{"city", "Seoul"}}));
  EXPECT_TRUE(got[1].is_undefined());
  EXPECT_EQ(get_environment_data("where"), Value("Busan"));
  set_environment_data("where", Value());
}

TEST(Thread, AThreadStartsThreadsOfItsOwn) {
  asio::io_context io;
  const Thread outer{
      io, [](ThisThread& self) {
        const Thread inner{self, [](ThisThread& deep) { deep.post_message("deep"); }};
        inner.on_message([&self](const Value& message) { self.post_message(message); });
      }};
  Value got;
  outer.on_message([&](const Value& message) { got = message; });
  io.run();
  EXPECT_EQ(got, Value("deep"));
}

TEST(Thread, ATypedPortTalksFromThreadToThread) {
  asio::io_context io;
  const MessageChannel<std::vector<int>> channel;
  const Thread maker{io, [port = channel.port1](ThisThread&) {
                       port.post_message(std::vector<int>{1, 2, 3});
                       port.close();
                     }};
  std::vector<int> got;
  const Thread taker{io, [&got, port = channel.port2](ThisThread& self) {
                       port.on_message(self, [&got](std::vector<int>& numbers) { got = numbers; });
                     }};
  io.run();
  EXPECT_EQ(got, (std::vector<int>{1, 2, 3}));
}

TEST(Thread, OthersPostToItWhileItEnds) {
  for (int round = 0; round < 50; ++round) {
    asio::io_context io;
    const Thread thread{io, [](ThisThread& self) {
                          self.on_message([&self](const Value& n) {
                            if (n == Value(100)) self.exit();
                          });
                        }};
    std::vector<std::thread> posters;
    for (int i = 0; i < 3; ++i)
      posters.emplace_back([thread] {
        for (int n = 0; !thread.post_message(n).error(); ++n) continue;
      });
    io.run();
    for (std::thread& each : posters) each.join();
  }
  SUCCEED();
}

}  // namespace
}  // namespace cohort
