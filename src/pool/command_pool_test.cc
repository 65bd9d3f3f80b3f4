// A pool of commands: real programs of Node and Python.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <stop_token>
#include <string>
#include <vector>

#include "cohort/pool.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;
using Protocol = PoolOptions::Protocol;

// Tasks of the workers below, for `map`; here they are only names.
const Task command_square{"square", [](double x) { return x; }};
const Task command_odd_dies{"odd_dies", [](double x) { return x; }};

// The rest of a Node worker, in which `methods` are given.
constexpr const char* kNodeLoop = R"(
process.on('message', async ({ jsonrpc, id, method, params }) => {
  const progress = (value) => process.send({ jsonrpc, method: '$/progress', params: { token: id, value } });
  try {
    process.send({ jsonrpc, id, result: await methods[method](...params, progress) });
  } catch (error) {
    process.send({ jsonrpc, id, error: { code: -32000, message: error.message } });
  }
});
)";
constexpr const char* kNodeMethods = R"('use strict';
const methods = {
  square: (x) => x * x,
  odd_dies: (x) => (x % 2 ? process.exit(7) : x),
  echo: (value) => value,
  nothing: () => undefined,
  fails: () => { throw new Error('on purpose'); },
  dies: (how) => {
    if (how === 'exit') process.exit(3);
    if (how === 'abort') process.abort();
    if (how === 'kill') process.kill(process.pid, 'SIGKILL');
    if (how === 'throw') setImmediate(() => { throw new Error('of nobody'); });
    if (how === 'disconnect') { process.disconnect(); setInterval(() => {}, 1000); }
    return new Promise(() => {});
  },
  loops: () => { for (;;); },
  never: () => new Promise(() => {}),
  pid: () => process.pid,
  steps: (count, progress) => { for (let i = 1; i <= count; ++i) progress(i); return count; },
  is_bytes: (value) => value instanceof Uint8Array,
  length: (value) => value.length,
  big: (size) => 'x'.repeat(size),
  chatty: () => { process.send('ready'); process.send({ jsonrpc: '2.0', method: 'log' }); return 1; },
  wrong: () => process.send({ jsonrpc: '2.0', id: 4711, result: 1 }),
  wait: (ms) => new Promise((resolve) => setTimeout(() => resolve(ms), ms)),
};
)";

constexpr const char* kPythonWorker = R"(
import json, os, signal, sys, time
def say(message): print(json.dumps(message), flush=True)
def dies(how):
    if how == 'exit': os._exit(3)
    if how == 'abort': os.abort()
    if how == 'kill': os.kill(os.getpid(), signal.SIGKILL)
    if how == 'stdout': os.close(1); time.sleep(600)
    if how == 'stdin': os.close(0); time.sleep(600)
    if how == 'child':
        if os.fork() == 0: hold_stdout()
        os._exit(4)
def hold_stdout():
    try:
        while True:
            os.write(1, b' ')
            time.sleep(0.02)
    except BrokenPipeError:
        os._exit(0)
def loops():
    while True: pass
def steps(count):
    for i in range(1, count + 1): say({'id': id, 'progress': i})
    return count
def odd_dies(x):
    if x % 2: os._exit(7)
    return x
methods = dict(
    square=lambda x: x * x, odd_dies=odd_dies, echo=lambda value: value, nothing=lambda: None, dies=dies, loops=loops,
    steps=steps, pid=os.getpid, length=len, big=lambda size: 'x' * size, never=lambda: time.sleep(600),
    garbage=lambda: print('Hello, world', flush=True), wrong=lambda: say({'id': 4711, 'result': 1}),
    unfinished=lambda: (os.write(1, b'{"id":'), os._exit(5)))
for line in sys.stdin:
    task = json.loads(line)
    id = task['id']
    try:
        say({'id': id, 'result': methods[task['method']](*task['params'])})
    except Exception as error:
        say({'id': id, 'error': {'message': f'{type(error).__name__}: {error}'}})
)";

class CommandPool : public testing::Test {
 protected:
  CommandPool() {
    std::string pattern = std::filesystem::temp_directory_path() / "cohort-test-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~CommandPool() override { std::filesystem::remove_all(path_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream{path_ / name} << text;
    return path_ / name;
  }
  PoolOptions node(unsigned workers = 1) const {
    return {.isolation = Isolation::Command,
            .name = "js",
            .max_workers = workers,
            .command = {COHORT_NODE20, write("worker.js", std::string{kNodeMethods} + kNodeLoop)}};
  }
  PoolOptions python(unsigned workers = 1) const {
    return {.isolation = Isolation::Command,
            .name = "py",
            .max_workers = workers,
            .command = {"python3", write("worker.py", kPythonWorker)},
            .protocol = Protocol::Lines};
  }
  std::vector<PoolOptions> both(unsigned workers = 1) const {
    return {node(workers), python(workers)};
  }

 private:
  std::filesystem::path path_;
};

Result<Value> run(const Pool& pool, const std::string& name, const Value& arguments,
                  TaskOptions options = {}) {
  return pool.with(std::move(options)).run_named(name, arguments).get();
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

TEST_F(CommandPool, RunsATaskInAnotherProgram) {
  for (const PoolOptions& options : both()) {
    const Pool pool{options};
    EXPECT_EQ(run(pool, "square", Value::array({7})).value(), 49) << options.name;
    const Value value = {{"a", {1, 2.5, "\n\u00e9", nullptr, true}}};
    EXPECT_EQ(run(pool, "echo", Value::array({value})).value(), value) << options.name;
    EXPECT_TRUE(run(pool, "nothing", Value::array()).has_value()) << options.name;
  }
}

TEST_F(CommandPool, ATypedTaskIsTheSame) {
  for (const PoolOptions& options : both()) {
    const Pool pool{options};
    EXPECT_EQ(pool.run(command_square, 12).get().value(), 144) << options.name;
  }
}

TEST_F(CommandPool, AScriptOfNodeNeedsNoInterpreterInTheCommand) {
  PoolOptions options = node();
  // As the first of PATH: whatever the system's own is.
  const std::string path = std::string{COHORT_NODE20};
  options.command = {options.command[1]};
  options.spawn.exec_path = path;
  EXPECT_EQ(run(Pool{options}, "square", Value::array({3})).value(), 9);
}

TEST_F(CommandPool, WhatATaskThrowsIsItsError) {
  const auto js = run(Pool{node()}, "fails", Value::array());
  EXPECT_EQ(js.error().code, Errc::CallFailed);
  EXPECT_EQ(js.error().detail, "on purpose");
  EXPECT_EQ(js.error().op, "run a task fails");
  const auto py = run(Pool{python()}, "square", Value::array({"a"}));
  EXPECT_EQ(py.error().code, Errc::CallFailed);
  EXPECT_TRUE(has(py.error().detail, "TypeError: ")) << py.error();
}

TEST_F(CommandPool, ACrashFailsOnlyTheTaskThatHadBegunAndSaysHow) {
  for (const PoolOptions& options : both()) {
    const Pool pool{options};
    for (const auto& [how, record] : std::vector<std::pair<std::string, std::string>>{
             {"exit", "exited with code 3"}, {"abort", "SIGABRT"}, {"kill", "SIGKILL"}}) {
      auto before = pool.run_named("square", Value::array({2}));
      auto crash = pool.run_named("dies", Value::array({how}));
      auto after = pool.run_named("square", Value::array({3}));
      EXPECT_EQ(before.get().value(), 4);
      const auto crashed = crash.get();
      EXPECT_EQ(crashed.error().code, Errc::WorkerDied);
      EXPECT_TRUE(has(crashed.error().detail, record)) << crashed.error();
      EXPECT_EQ(after.get().value(), 9);
    }
    EXPECT_EQ(pool.statistics().crashes, 3U);
  }
}

TEST_F(CommandPool, AnExceptionOfNobodyEndsTheWorkerWithWhatItSaid) {
  PoolOptions options = node();
  options.spawn.stderr_lines = 20;
  const Pool pool{options};
  const auto crashed = run(pool, "dies", Value::array({"throw"}));
  EXPECT_TRUE(has(crashed.error().detail, "exited with code 1")) << crashed.error();
  EXPECT_TRUE(has(crashed.error().detail, "Error: of nobody")) << crashed.error();
}

TEST_F(CommandPool, AWorkerThatLeavesAProcessBehindIsReplacedAllTheSame) {
  const Pool pool{python()};
  const auto crashed = run(pool, "dies", Value::array({"child"}));
  EXPECT_TRUE(has(crashed.error().detail, "exited with code 4")) << crashed.error();
  EXPECT_EQ(run(pool, "square", Value::array({3})).value(), 9);
}

TEST_F(CommandPool, ATaskIsTriedAgainWhereItsWorkerDied) {
  const Pool pool{node()};
  const auto crashed = run(pool, "dies", Value::array({"exit"}), {.retries = 5});
  EXPECT_EQ(crashed.error().code, Errc::WorkerDied);
  const auto statistics = pool.statistics();
  EXPECT_EQ(statistics.retried, 2U);  // poison after three deaths
  EXPECT_EQ(statistics.poison, std::vector<std::string>{"dies"});
}

TEST_F(CommandPool, ADeadlineKillsWhatNeverEnds) {
  for (const PoolOptions& options : both()) {
    const Pool pool{options};
    for (const char* name : {"loops", "never"}) {
      const auto late = run(pool, name, Value::array(), {.deadline = 500ms});
      EXPECT_EQ(late.error().code.value(), ETIMEDOUT) << options.name;
      EXPECT_EQ(run(pool, "square", Value::array({3})).value(), 9) << options.name;
    }
  }
}

TEST_F(CommandPool, ATaskIsCancelledWithItsWorker) {
  const Pool pool{python()};
  std::stop_source stop;
  auto loops = pool.with({.cancel = stop.get_token()}).run_named("loops", Value::array());
  auto waits = pool.with({.cancel = stop.get_token()}).run_named("square", Value::array({2}));
  stop.request_stop();
  EXPECT_EQ(loops.get().error().code.value(), ECANCELED);
  EXPECT_EQ(waits.get().error().code.value(), ECANCELED);
  EXPECT_EQ(run(pool, "square", Value::array({3})).value(), 9);
}

TEST_F(CommandPool, SaysItsProgress) {
  for (PoolOptions options : both()) {
    const Pool pool{options};
    std::atomic<int> sum = 0;
    const auto add = [&sum](const Value& step) { sum += static_cast<int>(step.int64_or(0)); };
    EXPECT_EQ(run(pool, "steps", Value::array({4}), {.on_progress = add}).value(), 4);
    EXPECT_EQ(sum, 10) << options.name;
  }
}

TEST_F(CommandPool, AWorkerThatWritesGarbageIsKilledAndNamed) {
  const Pool pool{python()};
  const auto garbage = run(pool, "garbage", Value::array());
  EXPECT_EQ(garbage.error().code, Errc::WorkerDied);
  EXPECT_TRUE(garbage.error().detail.starts_with(
      "it wrote a line that is not JSON: \"Hello, world\"; killed by SIGKILL"))
      << garbage.error();
  EXPECT_EQ(run(pool, "square", Value::array({3})).value(), 9);
}

TEST_F(CommandPool, AnAnswerToWhatNobodyAskedKillsTheWorker) {
  for (const PoolOptions& options : both()) {
    const Pool pool{options};
    const auto wrong = run(pool, "wrong", Value::array());
    EXPECT_EQ(wrong.error().code, Errc::WorkerDied);
    EXPECT_TRUE(has(wrong.error().detail, "it answered what it was not asked")) << wrong.error();
    EXPECT_EQ(run(pool, "square", Value::array({3})).value(), 9);
  }
}

TEST_F(CommandPool, HalfALineIsNoAnswer) {
  const Pool pool{python()};
  const auto half = run(pool, "unfinished", Value::array());
  EXPECT_TRUE(half.error().detail.starts_with("exited with code 5")) << half.error();
}

TEST_F(CommandPool, OtherMessagesOnAChannelAreLeftAlone) {
  EXPECT_EQ(run(Pool{node()}, "chatty", Value::array()).value(), 1);
}

TEST_F(CommandPool, OneThatCanBeSpokenToNoMoreIsReplaced) {
  const Pool py{python()};
  EXPECT_TRUE(has(run(py, "dies", Value::array({"stdout"})).error().detail,
                  "it closed its stdout and went on; killed by SIGKILL"));
  EXPECT_EQ(run(py, "square", Value::array({3})).value(), 9);
  const Pool js{node()};
  EXPECT_TRUE(has(run(js, "dies", Value::array({"disconnect"})).error().detail,
                  "it closed its channel and went on; killed by SIGKILL"));
  EXPECT_EQ(run(js, "square", Value::array({3})).value(), 9);
}

TEST_F(CommandPool, LargeArgumentsAndResultsArrive) {
  constexpr std::size_t kSize = 8 << 20;
  const std::string text(kSize, 'y');
  for (const PoolOptions& options : both()) {
    const Pool pool{options};
    EXPECT_EQ(run(pool, "length", Value::array({text})).value(), kSize) << options.name;
    const auto big = run(pool, "big", Value::array({kSize}));
    EXPECT_EQ(big.value().string_or("").size(), kSize) << options.name;
  }
}

TEST_F(CommandPool, BytesArriveAsBytesWithTheStructuredClone) {
  PoolOptions options = node();
  options.spawn.serialization = Serialization::Advanced;
  const Pool pool{options};
  const Value bytes = Value::buffer(std::vector<std::byte>(8 << 20, std::byte{7}));
  EXPECT_EQ(run(pool, "is_bytes", Value::array({bytes})).value(), true);
  EXPECT_EQ(run(pool, "echo", Value::array({bytes})).value().bytes().size(), bytes.bytes().size());
}

TEST_F(CommandPool, WhatCannotBeSentFailsAndItsWorkerLivesOn) {
  for (const PoolOptions& options : both()) {
    const Pool pool{options};
    const auto before = run(pool, "pid", Value::array()).value();
    EXPECT_FALSE(run(pool, "square", Value::array({Value::bigint(7)}))) << options.name;
    EXPECT_EQ(run(pool, "pid", Value::array()).value(), before) << options.name;
  }
}

TEST_F(CommandPool, MapsInOrderInSeveralWorkers) {
  std::vector<double> inputs(500);
  for (std::size_t i = 0; i < inputs.size(); ++i) inputs[i] = static_cast<double>(i);
  for (const unsigned depth : {0U, 4U})
    for (PoolOptions options : both(2)) {
      options.depth = depth;
      const auto results = Pool{options}.map(inputs, command_square);
      ASSERT_EQ(results.size(), inputs.size());
      for (std::size_t i = 0; i < inputs.size(); ++i)
        ASSERT_EQ(results[i].value(), inputs[i] * inputs[i]) << options.name;
    }
}

TEST_F(CommandPool, ACrashWithinAMapFailsThatInputOnly) {
  const std::vector<double> inputs = {0, 2, 3, 4, 6, 7, 8, 10};
  for (PoolOptions options : both(2)) {
    const auto results = Pool{options}.map(inputs, command_odd_dies);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const bool dies = static_cast<int>(inputs[i]) % 2 == 1;
      ASSERT_EQ(results[i].has_value(), !dies) << options.name << i;
      if (dies) {
        EXPECT_TRUE(has(results[i].error().detail, "exited with code 7"));
      }
    }
  }
}

TEST_F(CommandPool, SeveralAtOnceMayBeAnsweredInAnyOrder) {
  PoolOptions options = node();
  options.depth = 3;
  const Pool pool{options};
  std::vector<Future<Value>> all;
  for (const int ms : {300, 200, 100}) all.push_back(pool.run_named("wait", Value::array({ms})));
  EXPECT_EQ(all[2].get().value(), 100);
  EXPECT_EQ(all[1].get().value(), 200);
  EXPECT_EQ(all[0].get().value(), 300);
}

TEST_F(CommandPool, OneThatIsCancelledBehindAnotherCostsThatNothing) {
  PoolOptions options = node();
  options.depth = 2;
  const Pool pool{options};
  auto first = pool.run_named("wait", Value::array({300}));
  auto second = pool.with({.deadline = 100ms}).run_named("never", Value::array());
  EXPECT_EQ(second.get().error().code.value(), ETIMEDOUT);
  EXPECT_EQ(first.get().value(), 300);
  // It is the only one that the worker has now: that is replaced.
  EXPECT_EQ(run(pool, "square", Value::array({3})).value(), 9);
}

TEST_F(CommandPool, AProgramThatCannotBeStartedIsTheError) {
  for (const Protocol protocol : {Protocol::Channel, Protocol::Lines}) {
    PoolOptions options = python();
    options.protocol = protocol;
    options.command = {"/no/such/program"};
    const Pool pool{options};
    const auto failed = run(pool, "square", Value::array({3}));
    EXPECT_EQ(failed.error().code.value(), ENOENT) << failed.error();
    EXPECT_TRUE(has(failed.error().message(), "/no/such/program")) << failed.error();
  }
  PoolOptions options = python();
  options.command = {};
  const auto none = run(Pool{options}, "square", Value::array({3}));
  EXPECT_EQ(none.error().code, Errc::InvalidArgument) << none.error();
}

TEST_F(CommandPool, AProgramThatEndsAtOnceIsTheErrorOfEachTask) {
  PoolOptions options = python();
  options.command = {"python3", "-c", "import sys; sys.exit('no licence')"};
  options.spawn.stderr_lines = 5;
  const Pool pool{options};
  for (int i = 0; i < 5; ++i) {
    const auto failed = run(pool, "square", Value::array({3}));
    EXPECT_EQ(failed.error().code, Errc::WorkerDied);
    EXPECT_TRUE(has(failed.error().detail, "exited with code 1")) << failed.error();
    EXPECT_TRUE(has(failed.error().detail, "no licence")) << failed.error();
  }
}

TEST_F(CommandPool, AnIdleWorkerEndsByItself) {
  for (PoolOptions options : both()) {
    options.idle_timeout = 100ms;
    const Pool pool{options};
    const auto pid = static_cast<pid_t>(run(pool, "pid", Value::array()).value().int64_or(0));
    const auto until = std::chrono::steady_clock::now() + 30s;
    while (kill(pid, 0) == 0 && std::chrono::steady_clock::now() < until)
      std::ignore = pool.statistics();
    EXPECT_NE(kill(pid, 0), 0) << options.name;
    EXPECT_EQ(pool.statistics().crashes, 0U) << options.name;
    EXPECT_EQ(run(pool, "square", Value::array({3})).value(), 9);
  }
}

TEST_F(CommandPool, NothingIsLeftWhenThePoolIsGone) {
  for (const PoolOptions& options : both()) {
    pid_t pid = 0;
    {
      const Pool pool{options};
      pid = static_cast<pid_t>(run(pool, "pid", Value::array()).value().int64_or(0));
      std::ignore = pool.run_named("loops", Value::array());
    }
    EXPECT_NE(kill(pid, 0), 0) << options.name;
  }
}

}  // namespace
}  // namespace cohort
