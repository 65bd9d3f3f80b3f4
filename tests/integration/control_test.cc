// The verbs of the command: `cohort ls`, `status`, `reload`... ask the control socket of what
// `cohort run` runs. Each application of a test is in a runtime directory of the test's own.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/verbs.h"

namespace harness {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

TEST_F(Verbs, LsListsWhatRuns) {
  const Said nobody = verb({"ls"});
  EXPECT_EQ(nobody.code, 0) << nobody.text();
  EXPECT_EQ(nobody.out, "No application runs under cohort. Start one: cohort run server.js\n");
  auto first = serve();
  folder_.write("queue.sh", "#!/bin/sh\nexec sleep 1000\n");
  auto second = run({"-w", "1", "--name", "jobs", "./queue.sh"}, "1 worker of");
  const Said both = verb({"ls"});
  EXPECT_TRUE(has(both.out, "\njobs ") && has(both.out, "\nserver  ")) << both.text();
  EXPECT_TRUE(has(both.out, "2/2") && has(both.out, "*:" + std::to_string(port))) << both.text();
  const Said json = verb({"ls", "--json"});
  EXPECT_TRUE(has(json.out, R"("applications":[{"name":"jobs",)")) << json.text();
  EXPECT_TRUE(first->ends_on_interrupt());
  EXPECT_FALSE(has(verb({"ls"}).out, "server"));
  EXPECT_TRUE(second->ends_on_interrupt());
  EXPECT_TRUE(fs::is_empty(runtime_)) << "sockets and locks are gone";
}

TEST_F(Verbs, StatusShowsEveryWorker) {
  auto program = serve();
  const Said said = verb({"status"});
  EXPECT_EQ(said.code, 0);
  EXPECT_TRUE(has(said.out, "server: 2 of 2 workers listen, generation 1")) << said.text();
  for (const pid_t pid : children_of(program->pid()))
    EXPECT_TRUE(has(said.out, std::to_string(pid))) << said.text();
  const Said json = verb({"status", "server", "--json"});
  EXPECT_TRUE(has(json.out, R"("phase":"running")")) << json.text();
  const Said other = verb({"status", "shop"});
  EXPECT_EQ(other.code, 100);
  EXPECT_EQ(other.err, "cohort: no application is called `shop`; there are: server\n");
  EXPECT_TRUE(program->ends_on_interrupt());
  const Said nobody = verb({"status"});
  EXPECT_EQ(nobody.code, 100);
  EXPECT_TRUE(has(nobody.err, "no application runs under cohort")) << nobody.text();
}

TEST_F(Verbs, StatusSaysThatAPlaceFails) {
  auto program = serve("hello",
                       "if (process.env.COHORT_SLOT === '1' && require('fs').existsSync("
                       "'bad')) process.exit(3);\n");
  folder_.write("bad", "");
  const auto status = [this] { return verb({"status"}).out; };
  EXPECT_FALSE(has(status(), "degraded"));
  EXPECT_EQ(verb({"kill", "1", "--signal", "KILL"}).code, 0);
  EXPECT_TRUE(program->wait_until("the place to fail", [&] {
    const std::string text = status();
    return has(text, ", degraded\n") && has(text, "\nfailing  slot 1: ");
  })) << status();
  fs::remove(folder_.path() + "/bad");
  // When its worker has lived for 10 s, all is well.
  EXPECT_TRUE(program->wait_until("the place to be well", [&] {
    return !has(status(), "degraded");
  })) << status();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Verbs, OfSeveralApplicationsOneHasToBeNamed) {
  auto first = serve();
  fs::create_directory(folder_.path() + "/other");
  folder_.write("other/server.js", "setInterval(() => {}, 1000);\n");
  auto second = run({"-w", "2", "other/server.js"}, "2 workers of");
  const Said said = verb({"reload"});
  EXPECT_EQ(said.code, 100);
  EXPECT_EQ(said.err, "cohort: several run, so say which: server, server-2\n");
  EXPECT_EQ(verb({"status", "server-2"}).code, 0);
  EXPECT_TRUE(first->ends_on_interrupt());
  second->signal(SIGTERM);
  EXPECT_TRUE(second->leaves_no_process());
}

TEST_F(Verbs, ReloadWaitsForTheVerdict) {
  auto program = serve("one");
  folder_.write("server.js", script("two"));
  const Said good = verb({"reload"});
  EXPECT_EQ(good.code, 0) << good.text();
  EXPECT_EQ(good.out, "server is reloaded: generation 2: every worker is of it\n");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(http_get(port).body, "two\n");
  folder_.write("server.js", "process.exit(3);\n");
  const Said bad = verb({"reload"});
  EXPECT_EQ(bad.code, 111) << bad.text();
  EXPECT_TRUE(has(bad.err, "cohort: server is not reloaded: generation 3: worker ")) << bad.text();
  EXPECT_TRUE(has(bad.err, "exited with code 3")) << bad.text();
  const Said json = verb({"reload", "--json"});
  EXPECT_EQ(json.code, 111);
  EXPECT_TRUE(has(json.out, R"({"generation":4,"outcome":"rolled-back",)")) << json.text();
  EXPECT_EQ(http_get(port).body, "two\n");
  fs::remove(folder_.path() + "/server.js");
  const Said none = verb({"reload"});
  EXPECT_EQ(none.code, 111);
  EXPECT_TRUE(has(none.err, "server.js")) << none.text();
  EXPECT_TRUE(program->ends_on_interrupt());
}

// A reload, and the start of a third worker, go on for as long as the file `busy` is there.
class VerbsThatWait : public Verbs {
 protected:
  std::unique_ptr<Program> serve_until_told() {
    folder_.write("server.js", script("hello world",
                                      "const {existsSync} = require('fs');\n"
                                      "const nothing = new Int32Array(new SharedArrayBuffer(4));\n"
                                      "while (process.env.COHORT_SLOT > 1 && existsSync('busy'))\n"
                                      "  Atomics.wait(nothing, 0, 0, 20);\n"));
    auto program = run({"-w", "2", "--prove", "0.2", "--once",
                        "while test -e busy; do sleep 0.05; done", "server.js"});
    folder_.write("busy", "");
    return program;
  }
  void go_on() const { fs::remove(folder_.path() + "/busy"); }
  std::unique_ptr<Program> begin(std::vector<std::string> words, bool terminal = false) const {
    words.insert(words.begin(), command());
    ProgramOptions options = surroundings();
    options.terminal = terminal;
    return std::make_unique<Program>(words, options);
  }
};

TEST_F(VerbsThatWait, CtrlCEndsTheWaitingAndTheReloadIsCompleted) {
  auto program = serve_until_told();
  auto reload = begin({"reload"});
  EXPECT_TRUE(program->wait_for_error("reloading: generation 2")) << program->transcript();
  EXPECT_FALSE(reload->has_exited()) << reload->transcript();
  reload->signal_group(SIGINT);
  const auto ended = reload->wait_exit();
  ASSERT_TRUE(ended) << "it waits on: " << reload->transcript();
  EXPECT_EQ(ended->signal, SIGINT) << "so that a script ends, too: " << reload->transcript();
  EXPECT_EQ(reload->output() + reload->errors(), "");
  EXPECT_TRUE(has(verb({"status"}).out, "\nreload   generation 2: ")) << "it is under way";
  go_on();
  EXPECT_TRUE(program->wait_for_error("reloaded: generation 2 serves")) << program->transcript();
  EXPECT_EQ(http_get(port).body, "hello world\n");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(VerbsThatWait, CtrlCEndsTheWaitingAndTheScaleIsCompleted) {
  auto program = serve_until_told();
  auto scale = begin({"scale", "3"});
  EXPECT_TRUE(program->wait_for_error("from now on 3 workers")) << program->transcript();
  EXPECT_FALSE(scale->has_exited()) << scale->transcript();
  scale->signal_group(SIGINT);
  const auto ended = scale->wait_exit();
  ASSERT_TRUE(ended) << "it waits on: " << scale->transcript();
  EXPECT_EQ(ended->signal, SIGINT) << scale->transcript();
  go_on();
  EXPECT_TRUE(program->wait_until("three to serve", [&] {
    return has(verb({"status"}).out, "3 of 3 workers listen");
  })) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(VerbsThatWait, AtATerminalALineThatIsWrittenAnewSaysHowFarItIs) {
  constexpr const char* kAnew = "\r\x1b[K";
  auto program = serve_until_told();
  auto reload = begin({"reload"}, true);
  EXPECT_TRUE(reload->wait_for_match("server: generation 2: its --once command runs"))
      << reload->transcript();
  EXPECT_FALSE(has(reload->output(), "\n")) << "the line goes on: " << reload->transcript();
  go_on();
  EXPECT_TRUE(reload->exits_with(0)) << reload->transcript();
  // In its place the verdict is.
  EXPECT_TRUE(has(reload->output(), std::string{kAnew} + "server is reloaded: generation 2"))
      << reload->transcript();
  EXPECT_TRUE(has(reload->output(), std::string{kAnew} + "server: generation 2: its --once"))
      << reload->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(VerbsThatWait, InAPipeThereIsTheVerdictAlone) {
  auto program = serve_until_told();
  auto reload = begin({"reload"});
  EXPECT_TRUE(program->wait_for_error("reloading: generation 2")) << program->transcript();
  go_on();
  EXPECT_TRUE(reload->exits_with(0)) << reload->transcript();
  EXPECT_EQ(reload->output(), "server is reloaded: generation 2: every worker is of it\n");
  EXPECT_EQ(reload->errors(), "");
  EXPECT_TRUE(program->ends_on_interrupt());
}

// How many lived at once, at most, after the line that says that the reload has begun.
std::size_t most_at_once(const std::vector<std::string>& lines, std::size_t lived) {
  std::size_t most = 0;
  bool begun = false;
  for (const std::string& line : lines) {
    begun = begun || has(line, "reloading: ");
    if (begun && has(line, " in place of ")) most = std::max(most, ++lived);
    if (begun && has(line, " left: ")) --lived;
  }
  return most;
}

TEST_F(Verbs, ReloadReplacesNoMoreAtATimeThanThereIsRoomFor) {
  auto program = serve("one");
  ASSERT_EQ(verb({"scale", "4"}).code, 0);
  folder_.write("server.js", script("two"));
  const Said said = verb({"reload", "--canary", "50%", "--batch", "4", "--max-surge", "1"});
  EXPECT_EQ(said.code, 0) << said.text();
  EXPECT_EQ(most_at_once(program->error_lines(), 4), 5U) << program->transcript();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(http_get(port).body, "two\n");
  EXPECT_TRUE(program->ends_on_interrupt());
}

// The first one is good, and whom it replaced has made room when the second one fails.
TEST_F(Verbs, AReloadThatHadMadeRoomIsUndoneToo) {
  auto program = serve("one");
  folder_.write("server.js",
                "if (process.env.COHORT_SLOT === '1' && "
                "process.env.COHORT_GENERATION === '2') process.exit(3);\n" +
                    script("two"));
  const Said said = verb({"reload", "--max-surge", "1"});
  EXPECT_EQ(said.code, 111) << said.text();
  EXPECT_TRUE(has(said.err, "exited with code 3")) << said.text();
  const Said status = verb({"status"});
  EXPECT_TRUE(has(status.out, "server: 2 of 2 workers listen, generation 1")) << status.text();
  EXPECT_EQ(http_get(port).status, 200);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Verbs, ReloadTakesNumbersOfWorkersAndPartsOfThem) {
  auto program = serve();
  for (const char* option : {"--canary", "--batch", "--max-surge"})
    for (const char* value : {"0", "101%", "-1", "two"}) {
      const Said said = verb({"reload", option, value});
      EXPECT_EQ(said.code, 100) << option << ' ' << value << said.text();
    }
  const auto answer_to = [this](const std::string& body) {
    return say("POST /v1/reload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body);
  };
  for (const char* body : {R"({"canary":0})", R"({"batch":"0%"})", R"({"surge":1})", "[1]", "{"})
    EXPECT_TRUE(has(answer_to(body), "HTTP/1.1 400 ")) << body;
  EXPECT_TRUE(has(verb({"status"}).out, "generation 1")) << "nothing was reloaded";
  const std::string good = answer_to(R"({"canary":"100%","batch":2})");
  EXPECT_TRUE(has(good, R"("generation":2,"outcome":"reached")")) << good;
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Verbs, StatusSaysWhereTheWorkersRunByNow) {
  for (const char* release : {"1", "2"}) fs::create_directories(folder_.path() + "/" + release);
  folder_.write("1/server.js", script("one"));
  folder_.write("2/server.js", script("two"));
  const std::string current = folder_.path() + "/current";
  fs::create_directory_symlink("1", current);
  ProgramOptions there = surroundings();
  there.cwd = current;
  there.env.emplace_back("PWD", current);
  Program program{{command(), "run", "-w", "2", "--prove", "0.2", "server.js"}, there};
  EXPECT_TRUE(program.wait_for_error("all 2 workers listen")) << program.transcript();
  EXPECT_TRUE(has(verb({"status"}).out, "/1 (primary"));
  fs::remove(current);
  fs::create_directory_symlink("2", current);
  EXPECT_EQ(verb({"reload"}).code, 0);
  EXPECT_TRUE(has(verb({"status"}).out, "/2 (primary"));
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(Verbs, ScaleWaitsUntilSoManyServe) {
  auto program = serve();
  const auto there_are = [&] { return children_of(program->pid()).size(); };
  EXPECT_EQ(verb({"scale", "+2"}).out, "server has 4 workers\n");
  EXPECT_EQ(there_are(), 4U);
  EXPECT_EQ(verb({"scale", "server", "3"}).code, 0);
  EXPECT_EQ(there_are(), 3U);
  EXPECT_EQ(verb({"scale", "-2"}).out, "server has 1 worker\n");
  EXPECT_EQ(there_are(), 1U);
  const Said none = verb({"scale", "-1"});
  EXPECT_EQ(none.code, 100);
  EXPECT_EQ(none.err, "cohort: one worker has to stay; to end it: cohort stop\n");
  const Said many = verb({"scale", "1025"});
  EXPECT_EQ(many.code, 100) << many.text();
  EXPECT_EQ(many.err, "cohort: there can be 1 to 1024 workers\n");
  EXPECT_EQ(there_are(), 1U);
  EXPECT_TRUE(program->ends_on_interrupt());
}

// As if somebody had changed the limits of its container.
TEST_F(Verbs, AutoFollowsWhatTheProcessMayUse) {
  cpu_set_t all;
  ASSERT_EQ(::sched_getaffinity(0, sizeof all, &all), 0);
  if (CPU_COUNT(&all) < 2) GTEST_SKIP() << "there is one CPU";
  folder_.write("server.js", script("hello world"));
  auto program = run({"server.js"}, "listening on");
  const std::size_t many = children_of(program->pid()).size();
  const auto there_are = [&](std::size_t count) {
    return program->wait_until("so many",
                               [&] { return children_of(program->pid()).size() == count; });
  };
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
  ASSERT_EQ(::sched_setaffinity(program->pid(), sizeof one, &one), 0);
  EXPECT_TRUE(program->wait_for_error("workers now one for each CPU")) << program->transcript();
  EXPECT_TRUE(there_are(1)) << program->transcript();
  EXPECT_TRUE(has(verb({"status"}).out, "workers  1, one for each CPU\n"));
  EXPECT_EQ(verb({"scale", "3"}).out, "server has 3 workers\n");
  EXPECT_TRUE(has(verb({"status"}).out, "workers  3, as asked\n"));
  ASSERT_EQ(::sched_setaffinity(program->pid(), sizeof all, &all), 0);
  const Said said = verb({"scale", "auto"});
  EXPECT_EQ(said.code, 0) << said.text();
  EXPECT_TRUE(there_are(many)) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Verbs, ScaleOfAProgramThatSaysNothingEnds) {
  folder_.write("queue.sh", "#!/bin/sh\nexec sleep 1000\n");
  auto program = run({"-w", "1", "./queue.sh"}, "1 worker of");
  EXPECT_EQ(verb({"scale", "+1", "--json"}).out, "{\"workers\":2}\n");
  EXPECT_EQ(children_of(program->pid()).size(), 2U);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Verbs, ScaleOfAProgramThatDiesEnds) {
  auto program = serve("hello world", "if (process.env.COHORT_SLOT > 1) process.exit(3);\n");
  const Said said = verb({"scale", "3"});
  EXPECT_EQ(said.code, 111);
  EXPECT_EQ(said.err, "cohort: workers of server die; see: cohort why server\n");
  EXPECT_TRUE(program->ends_on_interrupt());
}

// With SO_REUSEPORT. Those that a scale ends are no sign that the last one is in their way.
TEST_F(Verbs, ScaleOfAProgramThatSharesItsPortByItselfLeavesItRunning) {
  folder_.write("server.py",
                "import http.server, os, socket\n"
                "class Server(http.server.ThreadingHTTPServer):\n"
                "    def server_bind(self):\n"
                "        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n"
                "        super().server_bind()\n"
                "        open('bound/%d' % os.getpid(), 'w').close()\n"
                "Server(('', int(os.environ['TEST_PORT'])),\n"
                "       http.server.SimpleHTTPRequestHandler).serve_forever()\n");
  std::filesystem::create_directory(folder_.path() + "/bound");  // a file of each that has
  auto program = run({"-w", "2", "--ready", "0.2", "server.py"}, "2 workers of ");
  const auto bound = [&] {
    return std::distance(std::filesystem::directory_iterator{folder_.path() + "/bound"}, {});
  };
  for (const auto& [count, sum] : {std::pair{"4", 4}, {"1", 4}, {"4", 7}, {"1", 7}}) {
    const Said said = verb({"scale", count});
    EXPECT_EQ(said.code, 0) << said.text() << program->transcript();
    EXPECT_TRUE(program->wait_until("all to have bound", [&] { return bound() >= sum; }));
  }
  EXPECT_EQ(http_get(port).status, 200) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt()) << program->transcript();
}

TEST_F(Verbs, StopWaitsForTheEnd) {
  auto program = serve();
  const Said said = verb({"stop"});
  EXPECT_EQ(said.code, 0) << said.text();
  EXPECT_EQ(said.out, "server has stopped\n");
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  EXPECT_TRUE(program->leaves_no_process());
}

TEST_F(Verbs, WhySaysHowAWorkerEnded) {
  auto program = serve("hello world",
                       "if (process.env.COHORT_SLOT === '1') setTimeout(() => {\n"
                       "  console.error('about to fail');\n"
                       "  throw new Error('of the test');\n}, 300);\n");
  EXPECT_TRUE(program->wait_for_error("worker 2 .*died")) << program->transcript();
  const Said why = verb({"why", "--slot", "1", "-n", "1"});
  EXPECT_EQ(why.code, 0);
  EXPECT_TRUE(has(why.out, "exited with code 1")) << why.text();
  EXPECT_TRUE(has(why.out, "slot 1, generation 1, after ")) << why.text();
  EXPECT_TRUE(has(why.out, "  about to fail\n") && has(why.out, "Error: of the test"))
      << why.text();
  EXPECT_EQ(verb({"why", "--slot", "0"}).out, "No worker has ended.\n");
  EXPECT_TRUE(has(verb({"why", "--json"}).out, R"("exit":{"code":1,)"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Verbs, EventsGoOnAsTheyHappen) {
  auto program = serve();
  Program events{{command(), "events", "-f", "-n", "100"}, surroundings()};
  EXPECT_TRUE(events.wait_for_match("all 2 workers listen")) << events.transcript();
  ::kill(children_of(program->pid()).front(), SIGKILL);
  EXPECT_TRUE(events.wait_for_match("died: killed by SIGKILL")) << events.transcript();
  const Said last = verb({"events", "-n", "1", "--json"});
  EXPECT_EQ(last.code, 0);
  EXPECT_TRUE(has(last.out, R"("event":")")) << last.text();
  EXPECT_TRUE(program->ends_on_interrupt());
  EXPECT_TRUE(events.exits_with(0)) << "with the application";
}

TEST_F(Verbs, AnswerWhileEveryWorkerHangs) {
  auto program = serve();
  const auto workers = children_of(program->pid());
  for (const pid_t pid : workers) ::kill(pid, SIGSTOP);
  EXPECT_TRUE(has(verb({"status"}).out, "2 of 2 workers listen"));
  EXPECT_TRUE(has(verb({"ls"}).out, "server"));
  for (const pid_t pid : workers) ::kill(pid, SIGCONT);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Verbs, APrimaryThatIsStoppedIsNotWaitedForForEver) {
  auto program = serve();
  program->signal(SIGSTOP);
  const Said said = verb({"ls"});
  EXPECT_EQ(said.code, 0);
  EXPECT_EQ(said.err, "cohort: server does not answer: its primary is stopped, or stuck\n");
  const Said named = verb({"status", "server"});
  EXPECT_EQ(named.code, 111) << "it is there";
  EXPECT_EQ(named.err, said.err);
  program->signal(SIGCONT);
  EXPECT_TRUE(has(verb({"ls"}).out, "server"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Verbs, ANameBelongsToOne) {
  folder_.write("server.js", script("hello world"));
  auto first = run({"-w", "2", "--name", "shop", "server.js"});
  Program second{{command(), "run", "--name", "shop", "server.js"}, surroundings()};
  EXPECT_TRUE(second.exits_with(100)) << second.transcript();
  EXPECT_EQ(second.errors(),
            "cohort: an application called shop runs already; see it: cohort status shop\n");
  EXPECT_TRUE(has(verb({"status"}).out, "shop: 2 of 2 workers listen"));
  first->signal(SIGKILL);
  EXPECT_TRUE(first->leaves_no_process());
  EXPECT_EQ(verb({"status", "shop"}).code, 100) << "its socket is still there";
  auto third = run({"-w", "2", "--name", "shop", "server.js"});
  EXPECT_TRUE(has(verb({"status"}).out, "shop: 2 of 2 workers listen"));
  EXPECT_TRUE(third->ends_on_interrupt());
}

TEST_F(Verbs, WithoutARuntimeDirectoryTheServiceRuns) {
  folder_.write("server.js", script("hello world"));
  ProgramOptions elsewhere = surroundings();
  for (auto& [name, value] : elsewhere.env)
    if (name == "COHORT_RUNTIME_DIR") value = "/proc/cohort";
  Program program{{command(), "run", "-w", "2", "server.js"}, elsewhere};
  EXPECT_TRUE(program.wait_for_error("all 2 workers listen")) << program.transcript();
  EXPECT_TRUE(program.wait_for_error("no control socket, so that .*/proc/cohort"));
  EXPECT_EQ(http_get(port).status, 200);
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- the socket itself

TEST_F(Verbs, TheSocketIsForItsUserOnly) {
  const mode_t before = ::umask(0);
  auto program = serve();
  ::umask(before);
  EXPECT_EQ(fs::status(runtime_).permissions(), fs::perms::owner_all);
  for (const char* file : {"/server.sock", "/server.lock"})
    EXPECT_EQ(fs::status(runtime_ + file).permissions(),
              fs::perms::owner_read | fs::perms::owner_write)
        << file;
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Verbs, TheSocketSpeaksHttp) {
  auto program = serve();
  const auto get = [&](const std::string& target, const std::string& method = "GET",
                       const std::string& body = {}) {
    return say(method + ' ' + target +
               " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body);
  };
  EXPECT_TRUE(has(get("/v1/status"), "200 OK"));
  EXPECT_TRUE(has(get("/v1/nothing"), "404 Not Found"));
  EXPECT_TRUE(has(get("/v1/../../etc/passwd"), "404 Not Found"));
  EXPECT_TRUE(has(get("/v1/reload"), "405 Method Not Allowed"));
  EXPECT_TRUE(has(get("/v1/reload"), "Allow: POST"));
  EXPECT_TRUE(has(get("/v1/events?follow=0&last=2"), "id: "));
  EXPECT_TRUE(has(get("/v1/events?last=x"), "400 Bad Request"));
  for (const char* body : {"", "{", "[]", "{\"workers\":0}", "{\"workers\":\"4\"}",
                           "{\"workers\":-1}", "{\"workers\":1e300}"})
    EXPECT_TRUE(has(get("/v1/scale", "POST", body), "400 Bad Request")) << body;
  EXPECT_TRUE(has(get("/v1/reload", "POST"), R"("outcome":"reached")"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Verbs, TwoThatScaleByOneAtTheSameMomentScaleByTwo) {
  auto program = serve();
  const std::vector<std::string> words{command(), "scale", "+1", "--no-wait"};
  Program one{words, surroundings()}, other{words, surroundings()};
  EXPECT_TRUE(one.exits_with(0) && other.exits_with(0));
  EXPECT_TRUE(has(one.output() + other.output(), "is to have 3 workers"));
  EXPECT_TRUE(has(one.output() + other.output(), "is to have 4 workers"));
  EXPECT_TRUE(has(say("POST /v1/scale HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                      "Content-Length: 14\r\n\r\n{\"change\":\"x\"}"),
                  "400 Bad Request"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

// What docs/control.openapi.json promises is there.
TEST_F(Verbs, EachPathOfTheDescriptionIsAnswered) {
  auto program = serve();
  std::ifstream file{source("docs/control.openapi.json")};
  int paths = 0;
  for (std::string line; std::getline(file, line);) {
    const auto begin = line.find("\"/v1/");
    if (begin == line.npos) continue;
    const std::string path = line.substr(begin + 1, line.rfind('"') - begin - 1);
    std::getline(file, line);
    // Each with the other method, so that nothing happens.
    const bool gets = line.find("\"get\"") != line.npos;
    const std::string answer =
        say((gets ? "POST " : "GET ") + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(has(answer, "405 Method Not Allowed")) << path << '\n' << answer;
    EXPECT_TRUE(has(answer, gets ? "Allow: GET" : "Allow: POST")) << path;
    ++paths;
  }
  EXPECT_EQ(paths, 11);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Verbs, HostileBytesDoNothing) {
  auto program = serve();
  const auto before = children_of(program->pid());
  for (const std::string& bytes :
       {std::string{}, std::string{"\0\0\0", 3}, std::string(100'000, 'A'),
        std::string{"GET / HTTP/1.1\r\n\r\n"}, std::string{"POST /v1/stop HTTP/9.9\r\n\r\n"},
        std::string{"POST /v1/stop HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n"},
        std::string{
            "POST /v1/stop HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}})
    say(bytes, true);
  EXPECT_TRUE(has(verb({"status"}).out, "2 of 2 workers listen"));
  EXPECT_EQ(children_of(program->pid()), before);
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
