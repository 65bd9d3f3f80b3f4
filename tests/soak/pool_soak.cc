// What a pool goes through in a long time, in a short one: `make soak` runs it for an hour.
//
//   pool_soak crashes COUNT                 a task in a hundred kills its worker
//   pool_soak random SECONDS SEED thread|process
//                                           tasks are given, cancelled, killed, and the pool
//                                           resized
//
// Each task is answered exactly once, with the right result or a reason that it may have; nobody is
// left in the end. Prints what it saw; the exit code is 1 if anything was wrong.
#include <cohort/pool.h>
#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using cohort::Errc;
using cohort::Future;
using cohort::Isolation;
using cohort::Pool;
using cohort::Result;
using cohort::Task;
using cohort::Value;

const Task one_in_a_hundred_dies{"one_in_a_hundred_dies", [](int n) {
                                   if (n % 100 == 42) kill(getpid(), SIGKILL);
                                   return n;
                                 }};
const Task quick{"quick", [](int n) { return n + 1; }};
const Task pid{"pid", [](int) { return static_cast<int>(getpid()); }};
const Task pauses{"pauses", [](int ms) {
                    std::this_thread::sleep_for(std::chrono::milliseconds{ms});
                    return ms + 1;
                  }};
const Task waits{"waits", [](int n) {
                   // Until somebody wants its end: a thread; a process is killed.
                   while (!cohort::ThisTask::stop_token().stop_requested())
                     std::this_thread::sleep_for(1ms);
                   return n + 1;
                 }};
const Task dies{"dies", [](int n) {
                  if (n % 3 == 0) std::abort();
                  if (n % 3 == 1) std::_Exit(3);
                  kill(getpid(), SIGKILL);
                  return n;
                }};
const Task large{"large", [](const Value& bytes) { return Value(bytes.bytes().size()); }};
const Task reports{"reports", [](int n) {
                     for (int i = 0; i < 3; ++i) cohort::ThisTask::progress(i);
                     return n + 1;
                   }};

int children() {
  int count = 0;
  DIR* const tasks = opendir("/proc/self/task");
  while (const dirent* const entry = readdir(tasks)) {
    std::ifstream file{std::string{"/proc/self/task/"} + entry->d_name + "/children"};
    for (int child = 0; file >> child;) ++count;
  }
  closedir(tasks);
  return count;
}

int crashes(int count) {
  std::vector<int> inputs(static_cast<std::size_t>(count));
  std::iota(inputs.begin(), inputs.end(), 0);
  std::vector<int> answers(inputs.size());
  std::map<std::string, int> reasons;
  int results = 0, wrong = 0;
  const auto start = Clock::now();
  {
    const Pool pool{{.isolation = Isolation::Process, .name = "soak"}};
    pool.map_as_completed(inputs, one_in_a_hundred_dies, [&](std::size_t i, Result<int> result) {
      ++answers[i];
      const bool shall_die = i % 100 == 42;
      if (result) {
        ++results;
        wrong += *result != inputs[i] || shall_die ? 1 : 0;
      } else {
        ++reasons[result.error().detail.substr(0, 17)];
        wrong += result.error().code != Errc::WorkerDied || !shall_die ? 1 : 0;
      }
    });
  }
  for (const int each : answers) wrong += each == 1 ? 0 : 1;
  wrong += children();
  std::printf("%d tasks in %.1f s: %d results", count,
              std::chrono::duration<double>(Clock::now() - start).count(), results);
  for (const auto& [reason, times] : reasons) std::printf(", %d \"%s\"", times, reason.c_str());
  std::printf("; wrong: %d\n", wrong);
  return wrong == 0 ? 0 : 1;
}

// One long run.
class Random {
 public:
  Random(int seconds, unsigned seed, Isolation isolation)
      : until_{Clock::now() + std::chrono::seconds{seconds}},
        random_{seed},
        isolation_{isolation} {}

  int run() {
    for (unsigned round = 0; Clock::now() < until_; ++round) {
      make_pool();
      const auto round_until =
          std::min(until_, Clock::now() + std::chrono::milliseconds{500 + below(4000)});
      while (Clock::now() < round_until) step();
      finish();
      ++pools_;
    }
    wrong_ += children();
    std::printf(
        "%d pools, %ld tasks: %ld results, %ld failed as they may; %ld killed; wrong: %ld\n",
        pools_, given_, results_, failed_, killed_, wrong_);
    for (const auto& [reason, times] : reasons_) std::printf("  %ld %s\n", times, reason.c_str());
    return wrong_ == 0 ? 0 : 1;
  }

 private:
  struct Waiting {
    Future<int> future;
    int expected;
    bool may_fail;
  };

  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  bool in_processes() const { return isolation_ == Isolation::Process; }

  void make_pool() {
    cohort::PoolOptions options{.isolation = isolation_, .name = "soak"};
    options.min_workers = below(3);
    options.max_workers = 1 + below(4);
    if (below(2) == 0) options.idle_timeout = std::chrono::milliseconds{1 + below(20)};
    options.queue_max = below(3) == 0 ? 50 : 100'000;
    options.when_full = static_cast<cohort::WhenFull>(below(3));
    options.depth = below(12);
    refuses_ = options.queue_max == 50 && options.when_full != cohort::WhenFull::Wait;
    pool_ = std::make_unique<Pool>(std::move(options));
  }

  void add(Future<int> future, int expected, bool may_fail) {
    ++given_;
    waiting_.push_back({std::move(future), expected, may_fail || refuses_});
  }

  void step() {
    cohort::TaskOptions options{.priority = static_cast<cohort::Priority>(below(3))};
    const int n = static_cast<int>(below(1000));
    // A worker may be killed at any time, and with it what it had begun.
    const bool may_die = in_processes();
    switch (below(20)) {
      case 0:
        add(pool_->with(std::move(options)).run(pauses, n % 5), n % 5 + 1, may_die);
        break;
      case 1:
        options.deadline = std::chrono::milliseconds{1 + below(30)};
        add(pool_->with(std::move(options)).run(waits, n), n + 1, true);
        break;
      case 2:
        add(pool_->with(std::move(options)).run(waits, n), n + 1, true);
        waiting_.back().future.cancel();
        break;
      case 3:
        if (!in_processes()) break;
        options.retries = below(3);
        add(pool_->with(std::move(options)).run(dies, n), -1, true);
        break;
      case 4:
        options.on_progress = [](const Value&) {};
        add(pool_->with(std::move(options)).run(reports, n), n + 1, may_die);
        break;
      case 5:
        pool_->resize(below(2), 1 + below(4));
        break;
      case 6:
        if (!waiting_.empty()) {
          Waiting& any = waiting_[below(static_cast<unsigned>(waiting_.size()))];
          any.may_fail = true;
          any.future.cancel();
        }
        break;
      case 7:
        if (in_processes()) kill_one();
        break;
      case 8: {
        const auto sent =
            pool_->run(large, Value::buffer(std::vector<std::byte>(below(300'000)))).get();
        ++given_;
        if (sent)
          ++results_;
        else
          fail(sent.error(), may_die || refuses_);
        break;
      }
      case 9:
        std::this_thread::sleep_for(std::chrono::microseconds{below(3000)});
        break;
      default:
        for (unsigned i = below(30); i > 0; --i) add(pool_->run(quick, n), n + 1, may_die);
    }
    while (!waiting_.empty() && (waiting_.size() > 2000 || waiting_.front().future.done())) take();
  }

  void kill_one() {
    const auto future = pool_->run(pid, 0);
    if (!future.wait_for(200ms)) return future.cancel();
    const auto victim = future.get();
    if (!victim) return;
    kill(*victim, below(4) == 0 ? SIGSEGV : SIGKILL);
    ++killed_;
  }

  void take() {
    Waiting first = std::move(waiting_.front());
    waiting_.pop_front();
    if (!first.future.wait_for(60s)) {
      std::printf("a task was not answered within a minute\n");
      ++wrong_;
      return;
    }
    const auto result = first.future.get();
    if (!result) return fail(result.error(), first.may_fail);
    ++results_;
    if (*result != first.expected) {
      std::printf("%d in the place of %d\n", *result, first.expected);
      ++wrong_;
    }
  }

  void fail(const cohort::Error& error, bool may_fail) {
    const bool is_known = error.code == Errc::WorkerDied || error.code == Errc::QueueFull ||
                          error.code.value() == ETIMEDOUT || error.code.value() == ECANCELED;
    ++reasons_[error.code.message()];
    if (may_fail && is_known) {
      ++failed_;
      return;
    }
    std::printf("%s\n", error.message().c_str());
    ++wrong_;
  }

  void finish() {
    // With tasks that wait, or without.
    if (below(2) == 0) {
      while (!waiting_.empty()) take();
      pool_.reset();
    } else {
      for (Waiting& each : waiting_) each.may_fail = true;
      for (Waiting& each : waiting_) each.future.cancel();
      pool_.reset();
      while (!waiting_.empty()) take();
    }
  }

  const Clock::time_point until_;
  std::mt19937 random_;
  const Isolation isolation_;
  std::unique_ptr<Pool> pool_;
  std::deque<Waiting> waiting_;
  bool refuses_ = false;
  int pools_ = 0;
  long given_ = 0, results_ = 0, failed_ = 0, killed_ = 0, wrong_ = 0;
  std::map<std::string, long> reasons_;
};

}  // namespace

int main(int argc, char** argv) {
  if (const auto code = cohort::run_as_pool_worker()) return *code;
  if (argc == 3 && std::strcmp(argv[1], "crashes") == 0) return crashes(std::atoi(argv[2]));
  if (argc == 5 && std::strcmp(argv[1], "random") == 0)
    return Random{std::atoi(argv[2]), static_cast<unsigned>(std::atoi(argv[3])),
                  std::strcmp(argv[4], "thread") == 0 ? Isolation::Thread : Isolation::Process}
        .run();
  std::fputs("pool_soak crashes COUNT | random SECONDS SEED thread|process\n", stderr);
  return 2;
}
