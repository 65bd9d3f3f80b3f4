// Workers that are forks of a process which has loaded what they share.
#include "cohort/preload.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cohort/pool.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;

[[noreturn]] void ever() {
  for (;;) pause();
}

std::vector<int> table;
int loader = 0;
std::thread left_running;

const Preload load_table{"table", [] {
                           table.assign(1 << 20, 7);
                           loader = getpid();
                         }};
int times_loaded = 0;
const Preload load_counted{"counted", [] { ++times_loaded; }};
const Preload load_huge{"huge table", [] { table.assign(4 << 20, 7); }, {.huge_pages = true}};
const Preload load_throws{"throws", [] { throw std::runtime_error{"no such file: big.bin"}; }};
const Preload load_refuses{"refuses",
                           []() -> Result<void> { return system_error(ENOENT, "open big.bin"); }};
const Preload load_dies{"dies", [] {
                          signal(SIGSEGV, SIG_DFL);
                          raise(SIGSEGV);
                        }};
const Preload load_starts_thread{"starts a thread", [] {
                                   std::atomic<bool> named = false;
                                   left_running = std::thread{[&named] {
                                     pthread_setname_np(pthread_self(), "db-client");
                                     named.store(true);
                                     named.notify_one();
                                     ever();
                                   }};
                                   named.wait(false);
                                 }};
const Preload load_for_ever{"for ever", ever};
const Preload load_prints{"prints", [] { std::printf("loaded"); }};

const Task table_sum{"table_sum", [](int) {
                       std::int64_t sum = 0;
                       for (const int each : table) sum += each;
                       return sum;
                     }};
const Task who{"who", [](int) {
                 return std::vector<int>{getpid(), getppid(), loader, static_cast<int>(::gettid())};
               }};
const Task writes{"writes", [](int value) {
                    table[0] = value;
                    return table[0];
                  }};
const Task ends{"ends", [](int code) -> int { std::_Exit(code); }};
const Task exits{"exits", [](int code) -> int { std::exit(code); }};
const Task variable{"variable", [](const std::string& name) {
                      const char* const value = std::getenv(name.c_str());
                      return std::string{value == nullptr ? "none" : value};
                    }};
// What the C library keeps of the thread has to be the new process's.
const Task signals_itself{
    "signals_itself", [](int) {
      static volatile sig_atomic_t came = 0;
      struct sigaction counts{};
      counts.sa_handler = [](int) { came = came + 1; };
      sigaction(SIGUSR1, &counts, nullptr);
      std::thread{[main = pthread_self()] { pthread_kill(main, SIGUSR1); }}.join();
      raise(SIGUSR1);
      return static_cast<int>(came);
    }};
const Task locks_twice{"locks_twice", [](int) {
                         pthread_mutexattr_t kind;
                         pthread_mutexattr_init(&kind);
                         pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
                         pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT);
                         pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
                         pthread_mutex_t mutex;
                         pthread_mutex_init(&mutex, &kind);
                         const int first = pthread_mutex_lock(&mutex);
                         const int second = pthread_mutex_lock(&mutex);
                         pthread_mutex_unlock(&mutex);
                         pthread_mutex_destroy(&mutex);
                         return std::vector<int>{first, second};
                       }};
const Task open_descriptors{"open_descriptors", [](int) {
                              std::vector<int> open;
                              for (int fd = 0; fd < 64; ++fd)
                                if (fcntl(fd, F_GETFD) != -1) open.push_back(fd);
                              return open;
                            }};

class Preloaded : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "ThreadSanitizer has a thread of its own, and whoever has one cannot be forked";
#endif
  }
  static PoolOptions with(const Preload& preload, unsigned workers = 2) {
    return {.isolation = Isolation::Process,
            .max_workers = workers,
            .preload = preload.name(),
            .depth = 1};
  }
};

TEST_F(Preloaded, WorkersHaveWhatWasLoadedOnceAndAreChildrenOfThisProcess) {
  const Pool pool{with(load_table)};
  EXPECT_EQ(pool.run(table_sum, 0).get().value(), 7 << 20);
  std::set<int> workers, loaders;
  std::vector<Future<std::vector<int>>> all;
  for (int i = 0; i < 32; ++i) all.push_back(pool.run(who, i));
  for (const auto& each : all) {
    const auto ids = each.get().value();
    workers.insert(ids[0]);
    EXPECT_EQ(ids[1], getpid());
    loaders.insert(ids[2]);
    EXPECT_EQ(ids[3], ids[0]);
  }
  EXPECT_EQ(loaders.size(), 1U);
  EXPECT_FALSE(workers.contains(*loaders.begin()));
}

TEST_F(Preloaded, WhatAWorkerWritesIsItsOwn) {
  const Pool pool{with(load_table, 1)};
  EXPECT_EQ(pool.run(writes, 8).get().value(), 8);
  EXPECT_EQ(pool.run(table_sum, 0).get().value(), (7 << 20) + 1);
  EXPECT_EQ(pool.run(ends, 3).get().error().code, Errc::WorkerDied);
  EXPECT_EQ(pool.run(table_sum, 0).get().value(), 7 << 20);
}

TEST_F(Preloaded, AWorkerThatDiesIsSaidToHaveDiedAsAnyOther) {
  const Pool pool{with(load_table, 1)};
  const auto died = pool.run(ends, 42).get();
  ASSERT_FALSE(died);
  EXPECT_NE(died.error().message().find("exited with code 42"), std::string::npos)
      << died.error().message();
  EXPECT_EQ(pool.run(who, 0).get().value()[1], getpid());
}

TEST_F(Preloaded, AWorkerIsAProcessAsTheCLibraryKnowsThem) {
  const Pool pool{with(load_table, 1)};
  EXPECT_EQ(pool.run(signals_itself, 0).get().value(), 2);
  EXPECT_EQ(pool.run(locks_twice, 0).get().value(), (std::vector<int>{0, EDEADLK}));
}

TEST_F(Preloaded, AWorkerHasItsOwnEnvironmentAndNothingOfTheLoadersDescriptors) {
  PoolOptions options = with(load_table, 1);
  options.spawn.add_env = {{"COLOUR", "blue"}};
  const Pool pool{options};
  EXPECT_EQ(pool.run(variable, "COLOUR").get().value(), "blue");
  EXPECT_EQ(pool.run(variable, "COHORT_ZYGOTE").get().value(), "none");
  EXPECT_EQ(pool.run(variable, "COHORT_POOL_WORKER").get().value(), "none");
  const Pool plain{{.isolation = Isolation::Process, .max_workers = 1}};
  EXPECT_EQ(pool.run(open_descriptors, 0).get().value(),
            plain.run(open_descriptors, 0).get().value());
}

TEST_F(Preloaded, InAPoolOfThreadsThisProcessLoadsOnce) {
  const auto loads = [] {
    const Pool pool{{.max_workers = 1, .preload = load_counted.name()}};
    return pool.run([] { return times_loaded; }).get().value();
  };
  EXPECT_EQ(loads(), 1);
  EXPECT_EQ(loads(), 1);
  const PoolOptions without{.max_workers = 1, .preload = load_throws.name()};
  try {
    const Pool pool{without};
    ADD_FAILURE() << "a pool without its table";
  } catch (const Exception& exception) {
    EXPECT_EQ(exception.error().message(),
              "preload throws: loading failed (no such file: big.bin)");
  }
}

TEST_F(Preloaded, APoolOfCommandsHasNone) {
  const PoolOptions wrong{
      .isolation = Isolation::Command, .preload = load_table.name(), .command = {"cat"}};
  EXPECT_THROW(Pool{wrong}, Exception);
}

TEST_F(Preloaded, HugePagesChangeNothing) {
  const Pool pool{with(load_huge, 1)};
  EXPECT_EQ(pool.run(table_sum, 0).get().value(), 7 << 22);
}

TEST_F(Preloaded, ALoaderThatFailsIsTheErrorOfTheTasks) {
  const auto why = [](const Preload& preload) {
    const Pool pool{with(preload)};
    const auto result = pool.run(who, 0).get();
    return result ? std::string{"no error"} : result.error().message();
  };
  EXPECT_NE(why(load_throws).find("preload throws: "), std::string::npos) << why(load_throws);
  EXPECT_NE(why(load_throws).find("no such file: big.bin"), std::string::npos);
  EXPECT_NE(why(load_refuses).find("open big.bin: no such file"), std::string::npos)
      << why(load_refuses);
  EXPECT_NE(why(load_dies).find("killed by SIGSEGV"), std::string::npos) << why(load_dies);
}

TEST_F(Preloaded, AThreadThatTheLoaderLeftIsNamed) {
  const Pool pool{with(load_starts_thread)};
  const auto result = pool.run(who, 0).get();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message().find("db-client"), std::string::npos)
      << result.error().message();
  EXPECT_NE(result.error().message().find("start them in the worker"), std::string::npos);
}

TEST_F(Preloaded, ANameThatNobodyHasIsAnErrorThatTellsThoseThatThereAre) {
  PoolOptions options = with(load_table);
  options.preload = "tabel";
  const Pool pool{options};
  const auto result = pool.run(who, 0).get();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message().find("it has counted, dies, for ever, huge table, "),
            std::string::npos)
      << result.error().message();
}

TEST_F(Preloaded, AfterAKilledLoaderAnotherLoadsForTheNextWorker) {
  const Pool pool{with(load_table, 1)};
  const int first = pool.run(who, 0).get().value()[2];
  ASSERT_EQ(kill(first, SIGKILL), 0);
  EXPECT_EQ(pool.run(who, 0).get().value()[2], first) << "its worker lives on";
  ASSERT_FALSE(pool.run(ends, 1).get());
  const int second = pool.run(who, 0).get().value()[2];
  EXPECT_NE(second, first);
  EXPECT_EQ(pool.run(table_sum, 0).get().value(), 7 << 20);
}

TEST_F(Preloaded, NobodyIsLeftWhenThePoolIsGone) {
  int loader_then = 0, worker = 0;
  {
    const Pool pool{with(load_table, 1)};
    const auto ids = pool.run(who, 0).get().value();
    worker = ids[0];
    loader_then = ids[2];
  }
  EXPECT_EQ(kill(worker, 0), -1);
  EXPECT_EQ(kill(loader_then, 0), -1);
}

TEST_F(Preloaded, APoolThatEndsWhileItLoadsDoesNotWait) {
  const auto given = [] {
    const Pool pool{with(load_for_ever)};
    return pool.run(who, 0);
  }();
  const auto result = given.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code.value(), ECANCELED) << result.error().message();
}

TEST_F(Preloaded, OutputThatTheLoaderLeftUnwrittenIsNoWorkers) {
  std::FILE* const file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    PoolOptions options = with(load_prints, 2);
    options.spawn.stdio = StdioList{Stdio::Ignore, fileno(file), Stdio::Inherit};
    const Pool pool{options};
    for (int i = 0; i < 4; ++i) std::ignore = pool.run(exits, i).get();
  }
  std::rewind(file);
  std::array<char, 100> text{};
  const auto size = std::fread(text.data(), 1, text.size(), file);
  std::fclose(file);
  EXPECT_EQ(std::string(text.data(), size), "");
}

}  // namespace
}  // namespace cohort
