// `cohort start`, `run` of cohort.toml, `restart`, `recycle` and `kill`: applications that no
// terminal holds.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "harness/load.h"
#include "harness/verbs.h"

namespace harness {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class Started : public Verbs {
 protected:
  // `cohort start`: what it said. What it left running ends with the test.
  Said start(std::vector<std::string> words) {
    words.insert(words.begin(), {"start"});
    words.insert(words.begin(), command());
    auto options = surroundings();
    options.env.emplace_back("XDG_STATE_HOME", folder_.path() + "/state");
    Program& program = *starts_.emplace_back(std::make_unique<Program>(words, options));
    const auto ended = program.wait_exit();
    return {ended ? ended->code.value_or(-1) : -1, program.output(), program.errors()};
  }
  std::string log_of(const std::string& name) const {
    return folder_.path() + "/state/cohort/" + name + ".log";
  }
  pid_t pid_of(const std::string& name) const {
    const std::string status = verb({"status", name, "--json"}).out;
    const auto at = status.find("\"pid\":");
    return at == std::string::npos ? 0 : std::stoi(status.substr(at + 6));
  }
  // The workers that are kept, by slot.
  std::vector<pid_t> workers_of(const std::string& name) const {
    std::vector<pid_t> pids;
    for (const pid_t child : children_of(pid_of(name)))
      if (command_of(child).find("server.js") != std::string::npos) pids.push_back(child);
    return pids;
  }
  void write_config(std::string_view more = {}) const {
    folder_.write("server.js", script("' + process.env.GREETING + '"));
    folder_.write("cohort.toml",
                  "[shop]\nprogram = 'server.js'\nworkers = 2\nprove = 0.2\n"
                  "env = {GREETING = 'one'}\n" +
                      std::string{more});
  }

 private:
  std::vector<std::unique_ptr<Program>> starts_;
};

TEST_F(Started, ADryRunSaysWhatWouldRunAndStartsNothing) {
  write_config("[mail]\nprogram = 'server.js'\n");
  const Said one = start({"--dry-run", "shop"});
  EXPECT_EQ(one.code, 0) << one.text();
  EXPECT_TRUE(has(one.out, "shop\n  from         ")) << one.text();
  EXPECT_TRUE(has(one.out, "  log          " + log_of("shop"))) << one.text();
  EXPECT_FALSE(has(one.out, "mail\n"));
  const Said all = start({"--dry-run", "--json"});
  EXPECT_TRUE(has(all.out, R"("name":"shop")") && has(all.out, R"("name":"mail")")) << all.text();
  EXPECT_TRUE(has(verb({"status"}).text(), "no application")) << "nothing runs";
}

TEST_F(Started, AProgramServesWhenItReturnsAndGoesOnWithoutIt) {
  folder_.write("server.js", script("hello world"));
  const Said said = start({"-w", "2", "server.js"});
  EXPECT_EQ(said.code, 0) << said.text();
  EXPECT_TRUE(said.out.starts_with("server serves: 2 workers, *:" + std::to_string(port)))
      << said.text();
  EXPECT_TRUE(has(said.out, "log: " + log_of("server"))) << said.text();
  EXPECT_EQ(http_get(port).body, "hello world\n");
  const pid_t primary = pid_of("server");
  EXPECT_EQ(::getsid(primary), primary) << "no terminal ends it";
  EXPECT_EQ(verb({"stop"}).code, 0);
  EXPECT_TRUE(is_closed(port));
  EXPECT_FALSE(is_alive(primary));
}

TEST_F(Started, OneThatFailsIsToldWithItsReasonAndNothingIsLeft) {
  folder_.write("bad.js", "require('nothing-like-this');\n");
  const Said bad = start({"-w", "1", "bad.js"});
  EXPECT_EQ(bad.code, 111) << bad.text();
  EXPECT_TRUE(bad.err.starts_with("cohort: bad did not start:\n")) << bad.text();
  EXPECT_TRUE(has(bad.err, "Cannot find module 'nothing-like-this'")) << bad.text();
  EXPECT_TRUE(has(bad.err, "no worker was ever ready after 5 tries")) << bad.text();
  const Said missing = start({"nothere.js"});
  EXPECT_EQ(missing.code, 100) << missing.text();
  EXPECT_TRUE(has(missing.err, "nothere.js: no such file")) << missing.text();
  EXPECT_TRUE(fs::is_empty(runtime_));
}

TEST_F(Started, OneThatDoesNotServeInTimeIsStopped) {
  folder_.write("late.js", "setTimeout(() => {\n" + script("late") + "}, 1e6);\n");
  const Said said = start({"-w", "1", "--ready-within", "0.3", "late.js"});
  EXPECT_EQ(said.code, 111) << said.text();
  EXPECT_TRUE(has(said.err, "late did not serve within")) << said.text();
  EXPECT_TRUE(fs::is_empty(runtime_)) << "it is gone, its socket too";
}

TEST_F(Started, OfTwoThatAreStartedAtTheSameMomentOneRuns) {
  folder_.write("server.js", script("hello world"));
  auto options = surroundings();
  options.env.emplace_back("XDG_STATE_HOME", folder_.path() + "/state");
  const std::vector<std::string> words{command(), "start", "-w", "1", "server.js"};
  Program one{words, options}, other{words, options};
  std::vector<int> codes;
  for (Program* each : {&one, &other}) codes.push_back(each->wait_exit()->code.value_or(-1));
  std::sort(codes.begin(), codes.end());
  EXPECT_EQ(codes, (std::vector{0, 100})) << one.transcript() << other.transcript();
  EXPECT_TRUE(has(one.errors() + other.errors(), "an application called server runs already"));
  EXPECT_EQ(verb({"stop", "server"}).code, 0);
}

TEST_F(Started, WithoutAProgramThoseOfCohortToml) {
  const std::string other = std::to_string(free_port());
  write_config(
      "[api]\nprogram = 'server.js'\nworkers = 1\n"
      "env = {GREETING = 'api', TEST_PORT = " +
      other + "}\n");
  const Said both = start({});
  EXPECT_EQ(both.code, 0) << both.text();
  EXPECT_TRUE(both.out.starts_with("shop serves: 2 workers") && has(both.out, "\napi serves: 1"))
      << both.text();
  EXPECT_EQ(http_get(port).body, "one\n");
  EXPECT_EQ(http_get(static_cast<std::uint16_t>(std::stoi(other))).body, "api\n");
  EXPECT_EQ(verb({"stop", "api"}).code, 0);
  EXPECT_EQ(start({"api"}).code, 0) << "one of them, by its name";
  const Said again = start({"shop"});
  EXPECT_EQ(again.code, 100) << again.text();
  EXPECT_EQ(verb({"stop", "api"}).code, 0);
  EXPECT_EQ(verb({"stop", "shop"}).code, 0);
}

TEST_F(Started, AReloadReadsCohortTomlAgain) {
  write_config();
  ASSERT_EQ(start({}).code, 0);
  folder_.write("cohort.toml",
                "[shop]\nprogram = 'server.js'\nworkers = 3\nprove = 0.2\n"
                "env = {GREETING = 'two'}\n");
  const auto before = workers_of("shop");
  const Said looked = verb({"reload", "--dry-run"});
  EXPECT_EQ(looked.code, 0) << looked.text();
  EXPECT_TRUE(has(looked.out, "shop: workers 2 -> 3; env GREETING has changed")) << looked.text();
  EXPECT_EQ(workers_of("shop"), before) << "nothing was done";
  const Said reloaded = verb({"reload"});
  EXPECT_EQ(reloaded.code, 0) << reloaded.text();
  EXPECT_EQ(http_get(port).body, "two\n");
  const std::string events = verb({"events"}).out;
  EXPECT_TRUE(has(events, "; workers 2 -> 3; env GREETING has changed")) << events;
  EXPECT_FALSE(has(events, "two")) << "a value may be a secret";
  EXPECT_TRUE(eventually("three workers", [&] { return workers_of("shop").size() == 3; }));
  EXPECT_EQ(verb({"reload", "--dry-run"}).out,
            "shop: no option has changed; the program's files are read anew\n");
  folder_.write("cohort.toml", "[shop]\nprogram = 'server.js'\nworker = 3\n");
  EXPECT_EQ(verb({"reload", "--dry-run"}).code, 111);
  const Said refused = verb({"reload"});
  EXPECT_EQ(refused.code, 111) << refused.text();
  EXPECT_TRUE(has(refused.err, "cohort.toml:3: [shop] has no `worker`")) << refused.text();
  EXPECT_EQ(http_get(port).body, "two\n");
  EXPECT_EQ(verb({"stop"}).code, 0);
}

TEST_F(Started, ARestartIsThatOfTheSameProcessWithAllThatIsNew) {
  write_config();
  ASSERT_EQ(start({}).code, 0);
  const pid_t primary = pid_of("shop");
  const auto before = workers_of("shop");
  write_config("listen = []\nbalance = 'round-robin'\n");
  const Said said = verb({"restart"});
  EXPECT_EQ(said.code, 0) << said.text();
  EXPECT_EQ(said.out, "shop has restarted\n");
  EXPECT_EQ(pid_of("shop"), primary);
  for (const pid_t each : workers_of("shop"))
    EXPECT_EQ(std::count(before.begin(), before.end(), each), 0);
  EXPECT_TRUE(has(verb({"status"}).out, "round-robin"));
  EXPECT_EQ(http_get(port).body, "one\n");
  folder_.write("cohort.toml", "[shop\n");
  const Said refused = verb({"restart"});
  EXPECT_EQ(refused.code, 111) << refused.text();
  EXPECT_TRUE(has(refused.err, "cohort.toml:1: ")) << refused.text();
  EXPECT_EQ(http_get(port).body, "one\n") << "it would not have come back";
  ::kill(primary, SIGTERM);
  EXPECT_TRUE(eventually("its end by TERM", [&] { return !is_alive(primary); }));
}

TEST_F(Started, AStopDuringARestartIsAStop) {
  folder_.write("server.js", script("late").replace(0, 0, "process.on('SIGTERM', () => {});\n"));
  ASSERT_EQ(start({"-w", "1", "--grace", "2", "server.js"}).code, 0);
  const pid_t primary = pid_of("server");
  EXPECT_EQ(verb({"restart", "--no-wait"}).code, 0);
  EXPECT_EQ(verb({"stop"}).code, 0) << "it does not come back";
  EXPECT_FALSE(is_alive(primary));
}

TEST_F(Started, ALinkThatPointsElsewhereIsFollowedToItsCohortToml) {
  for (const char* release : {"1", "2"}) {
    fs::create_directory(folder_.path() + '/' + release);
    folder_.write(std::string{release} + "/server.js", script(release));
    folder_.write(std::string{release} + "/cohort.toml",
                  "[shop]\nprogram = 'server.js'\nworkers = 1\nprove = 0.2\n");
  }
  fs::create_directory_symlink("1", folder_.path() + "/current");
  ASSERT_EQ(start({"--config", folder_.path() + "/current/cohort.toml"}).code, 0);
  EXPECT_EQ(http_get(port).body, "1\n");
  fs::remove(folder_.path() + "/current");
  fs::create_directory_symlink("2", folder_.path() + "/current");
  EXPECT_EQ(verb({"reload"}).code, 0);
  EXPECT_EQ(http_get(port).body, "2\n");
  EXPECT_EQ(verb({"stop"}).code, 0);
}

TEST_F(Started, WhatItCannotDoIsSaidAndNothingIsStarted) {
  write_config();
  const Said options = start({"-w", "8", "shop"});
  EXPECT_EQ(options.code, 100) << options.text();
  EXPECT_TRUE(has(options.err, "have their options there")) << options.text();
  folder_.write("cohort.toml", "[cat]\nprogram = 'server.js'\nworker = 1\n");
  const Said broken = start({"cat"});
  EXPECT_EQ(broken.code, 100) << broken.text();
  EXPECT_TRUE(has(broken.err, "cohort.toml:3: [cat] has no `worker`")) << broken.text();
  const Said unknown = start({"--config", "nowhere.toml", "cat"});
  EXPECT_EQ(unknown.code, 100) << unknown.text();
  EXPECT_TRUE(has(unknown.err, "nowhere.toml: No such file")) << unknown.text();
  EXPECT_TRUE(!fs::exists(runtime_) || fs::is_empty(runtime_));
}

TEST_F(Started, OneWorkerIsRecycledAndNoRequestIsLost) {
  folder_.write("server.js", script("hello world"));
  ASSERT_EQ(start({"-w", "2", "server.js"}).code, 0);
  const auto before = workers_of("server");
  LoadGenerator generator{{.port = port, .connections = 4, .request = {.keep_alive = false}}};
  const Said said = verb({"recycle", "1"});
  const LoadReport report = generator.stop();
  EXPECT_EQ(said.code, 0) << said.text();
  EXPECT_EQ(said.out, "slot 1 of server has a new worker\n");
  EXPECT_EQ(report.failed, 0) << report.text();
  const auto after = workers_of("server");
  ASSERT_EQ(after.size(), 2U);
  EXPECT_EQ(
      std::count_if(after.begin(), after.end(),
                    [&](pid_t pid) { return std::count(before.begin(), before.end(), pid) > 0; }),
      1);
  const Said nobody = verb({"recycle", "server", "7"});
  EXPECT_EQ(nobody.code, 111);
  EXPECT_EQ(nobody.err, "cohort: no worker serves in slot 7\n");
  EXPECT_EQ(verb({"stop"}).code, 0);
}

TEST_F(Started, AWorkerThatGrowsTooLargeIsReplacedAndNoRequestIsLost) {
  folder_.write("server.js",
                "if (process.env.COHORT_SLOT === '1') {\n"
                "  const hoard = [];\n"
                "  setTimeout(() => hoard.push(Buffer.alloc(300 << 20, 1)), 1000);\n"
                "}\n" +
                    script("hello world"));
  ASSERT_EQ(start({"-w", "2", "--max-memory", "250M", "server.js"}).code, 0);
  LoadGenerator generator{{.port = port, .connections = 4, .request = {.keep_alive = false}}};
  EXPECT_TRUE(eventually("the successor",
                         [&] { return has(verb({"events"}).out, "in place of worker 2"); }));
  const LoadReport report = generator.stop();
  EXPECT_EQ(report.failed, 0) << report.text();
  const std::string events = verb({"events"}).out;
  EXPECT_TRUE(has(events, "worker 2 is to be replaced: it has ") && has(events, " MB, of 250 MB"))
      << events;
  EXPECT_FALSE(has(events, "worker 1 is to be replaced")) << events;
  EXPECT_EQ(verb({"stop"}).code, 0);
}

TEST_F(Started, AWorkerThatGrowsFarTooLargeIsKilledAndReplaced) {
  folder_.write("server.js",
                "if (process.env.COHORT_SLOT === '1')\n"
                "  setTimeout(() => { globalThis.hoard = Buffer.alloc(400 << 20, 1); }, 1000);\n" +
                    script("hello world"));
  ASSERT_EQ(start({"-w", "2", "--max-memory", "250M,350M", "server.js"}).code, 0);
  // Of any that is in that slot: each successor grows, too.
  EXPECT_TRUE(eventually("the end of a worker", [&] {
    const std::string events = verb({"events"}).out;
    return has(events, " is killed: it has ") && has(events, ", of 350 MB (--max-memory)") &&
           has(events, "died: killed by SIGKILL");
  })) << verb({"events"}).out;
  EXPECT_EQ(http_get(port).body, "hello world\n");
  EXPECT_EQ(verb({"stop"}).code, 0);
}

// It is larger again soon, and has its minute of rest for that.
TEST_F(Started, AVersionThatLeaksIsReplacedNowAndThenAndNoRequestIsLost) {
  folder_.write("server.js", script("hello world"));
  const auto begin = Clock::now();
  ASSERT_EQ(start({"-w", "2", "--prove", "0.2", "--max-memory", "150M", "server.js"}).code, 0);
  LoadGenerator generator{{.port = port, .connections = 4, .request = {.keep_alive = false}}};
  folder_.write("server.js",
                "const leak = [];\n"
                "setInterval(() => {\n"
                "  if (leak.length < 20) leak.push(Buffer.alloc(10 << 20, 1));\n"
                "}, 10);\n" +
                    script("hello world"));
  const Said said = verb({"reload"});
  EXPECT_EQ(said.code, 0) << "it serves: " << said.text();
  const auto replaced = [&] {
    const std::string events = verb({"events", "-n", "1000"}).out;
    const std::regex line{"worker [0-9]+ is to be replaced: it has [0-9]+ MB, of 150 MB"};
    return std::distance(std::sregex_iterator{events.begin(), events.end(), line}, {});
  };
  const auto lived_for_ten_seconds = [&] {
    const std::string status = verb({"status", "--json"}).out;
    const std::regex uptime{R"("uptime":([0-9]+)[0-9.e+-]*,"addresses")"};
    std::ptrdiff_t count = 0;
    for (std::sregex_iterator found{status.begin(), status.end(), uptime}, end; found != end;
         ++found)
      count += std::stoi((*found)[1]) >= 10 ? 1 : 0;
    return count == 2;
  };
  EXPECT_TRUE(eventually("both to be replaced", [&] { return replaced() >= 2; }));
  EXPECT_TRUE(eventually("their successors to rest", lived_for_ten_seconds))
      << verb({"events"}).out << verb({"status", "--json"}).out;
  const auto minutes =
      std::chrono::duration_cast<std::chrono::minutes>(Clock::now() - begin).count();
  EXPECT_LE(replaced(), 2 * (minutes + 1)) << verb({"events", "-n", "1000"}).out;
  const LoadReport report = generator.stop();
  EXPECT_EQ(report.failed, 0) << report.text();
  EXPECT_EQ(verb({"stop"}).code, 0);
}

TEST_F(Started, AFileThatChangesIsAReloadAndABadOneChangesNothing) {
  folder_.write("server.js", script("one"));
  auto program = run({"-w", "1", "--prove", "0.2", "--watch", "server.js"}, "listening on");
  folder_.write("server.js", script("two"));
  EXPECT_TRUE(program->wait_for_error("server.js has changed"));
  EXPECT_TRUE(program->wait_for_error("reloaded: generation 2"));
  EXPECT_EQ(http_get(port).body, "two\n");
  folder_.write("server.js", "this is no program");
  EXPECT_TRUE(program->wait_for_error("generation 3 .*given up|not reloaded.*|3 is undone"));
  EXPECT_EQ(http_get(port).body, "two\n");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Started, AWorkerThatIsTooOldIsReplaced) {
  folder_.write("server.js", script("hello world"));
  ASSERT_EQ(start({"-w", "1", "--max-age", "1", "server.js"}).code, 0);
  EXPECT_TRUE(eventually("the successor",
                         [&] { return has(verb({"events"}).out, "in place of worker 1"); }));
  EXPECT_TRUE(has(verb({"events"}).out, "worker 1 is to be replaced: it is "));
  EXPECT_EQ(http_get(port).body, "hello world\n");
  EXPECT_EQ(verb({"stop"}).code, 0);
}

TEST_F(Started, AWorkerGetsASignalAndIsReplacedIfItEndsOfThat) {
  folder_.write("server.js", script("hello world"));
  ASSERT_EQ(start({"-w", "2", "server.js"}).code, 0);
  const Said said = verb({"kill", "0", "--signal", "KILL"});
  EXPECT_EQ(said.code, 0) << said.text();
  EXPECT_EQ(said.out, "KILL is sent to slot 0 of server\n");
  EXPECT_TRUE(eventually("the successor",
                         [&] { return has(verb({"events"}).out, "in place of worker 1"); }));
  const std::string why = verb({"why"}).out;
  EXPECT_TRUE(has(why, "killed by SIGKILL") && has(why, "slot 0")) << why;
  EXPECT_FALSE(has(why, "cohort: ")) << "these are our own lines in the log: " << why;
  const Said unknown = verb({"kill", "0", "--signal", "WAT"});
  EXPECT_EQ(unknown.code, 111);
  EXPECT_EQ(unknown.err, "cohort: `WAT` is no signal, as TERM is\n");
  EXPECT_EQ(verb({"kill"}).code, 100);
  EXPECT_EQ(verb({"stop"}).code, 0);
}

class RunAll : public Started {
 protected:
  std::unique_ptr<Program> run_all(bool terminal = false) {
    other_ = std::to_string(free_port());
    write_config(
        "[api]\nprogram = 'server.js'\nworkers = 1\n"
        "env = {GREETING = 'api', TEST_PORT = " +
        other_ + "}\n");
    auto options = surroundings();
    options.terminal = terminal;
    auto program = std::make_unique<Program>(std::vector{command(), std::string{"run"}}, options);
    EXPECT_TRUE(program->wait_until("both to serve", [&] {
      const std::string said = program->output() + program->errors();
      return has(said, "all 2 workers listen") && has(said, ":" + other_);
    })) << program->transcript();
    return program;
  }

 private:
  std::string other_;
};

TEST_F(RunAll, HasTheNameOfEachBeforeItsLines) {
  auto program = run_all();
  EXPECT_TRUE(has(program->errors(), "shop | cohort: 2 workers of server.js"));
  EXPECT_TRUE(has(program->errors(), "api  | cohort: 1 worker of server.js"));
  EXPECT_TRUE(has(verb({"ls"}).out, "\nshop ")) << "each has its control socket";
  program->signal(SIGHUP);
  EXPECT_TRUE(program->wait_for_error("shop \\| cohort: reloaded: generation 2"));
  EXPECT_TRUE(program->ends_on_interrupt()) << program->transcript();
}

TEST_F(RunAll, CtrlCAtATerminalIsOneStopAndNotTwo) {
  auto program = run_all(true);
  program->signal_group(SIGINT);
  EXPECT_TRUE(program->exits_with(0));
  EXPECT_FALSE(has(program->output(), "at once: requests")) << program->transcript();
  EXPECT_TRUE(program->leaves_no_process());
}

TEST_F(RunAll, EndsWithTheFirstCodeThatIsNotZero) {
  folder_.write("bad.js", "process.exit(3);\n");
  write_config("[bad]\nprogram = 'bad.js'\nworkers = 1\n");
  Program program{{command(), "run"}, surroundings()};
  EXPECT_TRUE(program.wait_for_error("bad  \\| cohort: no worker was ever ready"));
  EXPECT_FALSE(program.has_exited()) << "shop goes on";
  program.signal(SIGTERM);
  EXPECT_TRUE(program.exits_with(111));
}

TEST_F(RunAll, IgnoresAHangupUnderNohup) {
  write_config("[api]\nprogram = 'server.js'\nworkers = 1\nenv = {TEST_PORT = " +
               std::to_string(free_port()) + "}\n");
  Program program{{"sh", "-c", "trap '' HUP; exec " + command() + " run"}, surroundings()};
  EXPECT_TRUE(program.wait_for_error("shop . cohort: all 2 workers listen"));
  EXPECT_TRUE(program.wait_for_error("api  . cohort: http"));
  program.signal(SIGHUP);
  EXPECT_TRUE(program.wait_for_error("shop . cohort: reloaded: generation 2"))
      << "no terminal went";
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(RunAll, OneThatIsKilledLeavesNothing) {
  auto program = run_all();
  program->signal(SIGKILL);
  EXPECT_TRUE(program->leaves_no_process());
}

TEST_F(RunAll, WithoutAnythingToRunSaysSo) {
  Program program{{command(), "run"}, surroundings()};
  EXPECT_TRUE(program.exits_with(100));
  EXPECT_EQ(program.errors(),
            "cohort: no program to run, and there is no cohort.toml here\n"
            "Say which: cohort run server.js\n");
}

}  // namespace
}  // namespace harness
