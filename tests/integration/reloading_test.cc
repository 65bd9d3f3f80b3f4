// `cohort run` while an operator deploys: HUP replaces every worker and loses no request, a version
// that is no good is undone by itself, and TTIN and TTOU change how many there are. The load never
// sends a request twice, and accounts for each. COHORT_CHAOS=1 (`make chaos`): more reloads.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "harness/client.h"
#include "harness/load.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkers = 3;

int in_chaos(int many, int few) { return std::getenv("COHORT_CHAOS") != nullptr ? many : few; }

// A server in JavaScript that answers with `answer`.
std::string script(std::string_view answer, std::string_view more = {}) {
  return "const server = require('http').createServer((request, response) => {\n"
         "  response.end('" +
         std::string{answer} + "\\n');\n});\n" + std::string{more} +
         "server.listen(Number(process.env.TEST_PORT));\n";
}

class Reloads : public testing::Test {
 protected:
  ProgramOptions surroundings(const std::string& node) const {
    const std::string path = node.substr(0, node.rfind('/')) + ':' + ::getenv("PATH");
    return {.env = {{"PATH", path},
                    {"TEST_PORT", std::to_string(port)},
                    {"PWD", folder_.path() + directory_}},
            .cwd = folder_.path() + directory_};
  }
  Program& start(const std::string& node, std::vector<std::string> options, std::string program) {
    std::vector<std::string> argv{command(), "run", "-w", std::to_string(kWorkers),
                                  "--prove", prove_};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(std::move(program));
    program_.emplace(argv, surroundings(node));
    EXPECT_TRUE(program_->wait_for_error("all 3 workers listen")) << program_->transcript();
    return *program_;
  }
  void reload(const std::string& until) {
    const auto before = program_->error_lines().size();
    program_->signal(SIGHUP);
    EXPECT_TRUE(program_->wait_until(until, [&] {
      const auto lines = program_->error_lines();
      for (std::size_t i = before; i < lines.size(); ++i)
        if (lines[i].find(until) != std::string::npos) return true;
      return false;
    })) << program_->transcript();
  }
  std::string answer() const { return http_get(port).body; }
  // A server of ours, or one for Node. Each answers GET and POST with hello world.
  Program& start_server(std::string_view server, const char* policy) {
    if (server == "cpp") return start(node26(), {"-b", policy}, helper("answers_by_path"));
    folder_.write("server.js",
                  "require('http').createServer(({url}, response) => {\n"
                  "  response.end(url === '/large' ? Buffer.alloc(6 << 20, 'x') :\n"
                  "               'hello world\\n');\n"
                  "}).listen(Number(process.env.TEST_PORT));\n");
    return start(server == "node20" ? node20() : node26(), {"-b", policy}, "server.js");
  }
  // One reload after the other; then nobody is left of those that were there before.
  void reload_often(int times) {
    std::set<pid_t> before;
    for (const pid_t pid : children_of(program_->pid())) before.insert(pid);
    for (int i = 0; i < times; ++i) reload("reloaded: generation " + std::to_string(i + 2));
    before_ = before;
  }
  void expect_others_than_before() {
    EXPECT_TRUE(eventually("the end of the workers before", [&] {
      return children_of(program_->pid()).size() == kWorkers;
    })) << program_->transcript();
    for (const pid_t pid : children_of(program_->pid())) EXPECT_FALSE(before_.contains(pid));
  }

  TempDir folder_;
  std::string prove_ = "0.3";
  std::set<pid_t> before_;
  std::string directory_;
  const std::uint16_t port = free_port();
  std::optional<Program> program_;
};

// --- under load

struct Case {
  const char* name;
  const char* policy;
  bool keep_alive;
};
class ReloadsUnderLoad : public Reloads,
                         public testing::WithParamInterface<std::tuple<const char*, Case>> {};
INSTANTIATE_TEST_SUITE_P(Of, ReloadsUnderLoad,
                         testing::Combine(testing::Values("node20", "node26", "cpp"),
                                          testing::Values(Case{"adaptive", "adaptive", false},
                                                          Case{"adaptive_kept", "adaptive", true},
                                                          Case{"hash", "hash", false},
                                                          Case{"sticky", "sticky", false},
                                                          Case{"sticky_kept", "sticky", true},
                                                          Case{"rr", "round-robin", false},
                                                          Case{"rr_kept", "round-robin", true})),
                         [](const auto& test) {
                           return std::string{std::get<0>(test.param)} + '_' +
                                  std::get<1>(test.param).name;
                         });

TEST_P(ReloadsUnderLoad, LoseNoRequest) {
  const auto& [server, load] = GetParam();
  Program& program = start_server(server, load.policy);
  const int connections = in_chaos(32, 4);
  LoadGenerator gets{
      {.port = port, .connections = connections, .request = {.keep_alive = load.keep_alive}}};
  LoadGenerator posts{
      {.port = port,
       .connections = connections,
       .request = {
           .method = "POST", .body = std::string(20'000, 'x'), .keep_alive = load.keep_alive}}};
  reload_often(in_chaos(100, 3));
  for (LoadGenerator* const generator : {&gets, &posts}) {
    const LoadReport report = generator->stop();
    EXPECT_EQ(report.failed, 0) << report.text() << '\n' << program.transcript();
    EXPECT_GT(report.ok, 50);
  }
  expect_others_than_before();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// Clients whose requests are under way for long: an old worker ends under them, not beside them.
class ReloadsAndSlowClients
    : public Reloads,
      public testing::WithParamInterface<std::tuple<const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(Of, ReloadsAndSlowClients,
                         testing::Combine(testing::Values("node26", "cpp"),
                                          testing::Values("adaptive", "hash", "rr")),
                         [](const auto& test) {
                           return std::string{std::get<0>(test.param)} + '_' +
                                  std::get<1>(test.param);
                         });

TEST_P(ReloadsAndSlowClients, LoseNoRequest) {
  const auto& [server, policy] = GetParam();
  Program& program = start_server(server, policy);
  const int connections = in_chaos(16, 3);
  const std::string large(6 << 20, 'x');
  LoadGenerator readers{{.port = port,
                         .connections = connections,
                         .request = {.path = "/large", .pause = 5ms},
                         .body = large}};
  // Of Node such a connection may be closed right behind the answer, under the next request: the
  // head was sent before it was known that the worker ends, and the system has the rest
  // (docs/signals.md).
  const bool keeps = server == std::string_view{"cpp"};
  LoadGenerator kept_readers{{.port = port,
                              .connections = connections,
                              .request = {.path = "/large", .keep_alive = keeps, .pause = 5ms},
                              .body = large,
                              .looks = keeps}};
  LoadGenerator late{{.port = port, .connections = connections, .request = {}, .late = 200ms}};
  LoadGenerator late_posts{
      {.port = port,
       .connections = connections,
       .request = {.method = "POST", .body = std::string(20'000, 'x'), .keep_alive = true},
       .late = 200ms}};
  reload_often(in_chaos(50, 3));
  for (LoadGenerator* const generator : {&readers, &kept_readers, &late, &late_posts}) {
    const LoadReport report = generator->stop();
    EXPECT_EQ(report.failed, 0) << report.text() << '\n' << program.transcript();
    EXPECT_GT(report.ok, 0);
  }
  expect_others_than_before();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- what is served

TEST_F(Reloads, ServeTheNewVersion) {
  folder_.write("server.js", script("one"));
  Program& program = start(node26(), {}, "server.js");
  EXPECT_EQ(answer(), "one\n");
  folder_.write("server.js", script("two"));
  reload("reloaded: generation 2 serves");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(answer(), "two\n");
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(Reloads, FollowTheLinkByWhichTheProgramWasStarted) {
  namespace fs = std::filesystem;
  for (const char* release : {"1", "2"}) {
    fs::create_directories(folder_.path() + "/" + release);
    folder_.write(std::string{release} + "/server.js", script(release));
  }
  fs::create_directory_symlink("1", folder_.path() + "/current");
  directory_ = "/current";
  Program& program = start(node26(), {}, "server.js");
  EXPECT_EQ(answer(), "1\n");
  fs::remove(folder_.path() + "/current");
  fs::create_directory_symlink("2", folder_.path() + "/current");
  reload("reloaded: generation 2 serves");
  EXPECT_EQ(answer(), "2\n");
  EXPECT_TRUE(program.wait_for_error("reloading: .*; directory .*/1 -> .*/2"));
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(Reloads, EachWorkerKnowsItsGenerationAndItsSlot) {
  folder_.write("server.js",
                script("' + process.env.COHORT_GENERATION + "
                       "(process.env.NODE_APP_INSTANCE === process.env.COHORT_SLOT) + '"));
  Program& program = start(node26(), {}, "server.js");
  EXPECT_EQ(answer(), "1true\n");
  reload("reloaded: generation 2 serves");
  EXPECT_EQ(answer(), "2true\n");
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- versions that are no good

struct Bad {
  const char* name;
  std::string script;
  const char* why;
};
class BadVersions : public Reloads, public testing::WithParamInterface<Bad> {};
INSTANTIATE_TEST_SUITE_P(
    Of, BadVersions,
    testing::Values(Bad{"a_syntax_error", "const = 1;\n", "exited with code 1"},
                    Bad{"exits_at_once", "process.exit(3);\n", "exited with code 3"},
                    Bad{"listens_and_dies",
                        script("bad",
                               "server.on('listening', () => setTimeout(() => {\n"
                               "  process.kill(process.pid, 'SIGKILL');\n}, 100));\n"),
                        "killed by SIGKILL"},
                    Bad{"hangs_before_it_listens", "for (;;);\n", "did not listen in time"},
                    Bad{"hangs_when_it_listens",
                        script("bad",
                               "server.on('listening', () => process.nextTick(() => {\n"
                               "  for (;;);\n}));\n"),
                        "was not ready in time: it listens, but its event loop does not turn"},
                    Bad{"never_listens", "setInterval(() => {}, 1000);\n",
                        "did not listen in time"}),
    [](const auto& test) { return std::string{test.param.name}; });

TEST_P(BadVersions, AreUndoneAndNobodyNotices) {
  folder_.write("server.js", script("hello world"));
  Program& program = start(node26(), {"--ready-within", "3", "--grace", "5"}, "server.js");
  const std::vector<pid_t> before = children_of(program.pid());
  // One that listens before it dies answers meanwhile: that is what it was let do.
  const bool answers = GetParam().name == std::string_view{"listens_and_dies"};
  std::optional<LoadGenerator> generator;
  if (!answers) generator.emplace(LoadOptions{.port = port, .connections = 4});
  folder_.write("server.js", GetParam().script);
  reload("not reloaded: ");
  EXPECT_TRUE(program.wait_for_error(GetParam().why));
  if (generator) {
    const LoadReport report = generator->stop();
    EXPECT_EQ(report.failed, 0) << report.text() << '\n' << program.transcript();
  }
  EXPECT_TRUE(eventually("the end of the new ones", [&] {
    return children_of(program.pid()) == before;
  })) << program.transcript();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(answer(), "hello world\n");
  // And the next good one is taken.
  folder_.write("server.js", script("mended"));
  reload("reloaded: generation 3 serves");
  EXPECT_EQ(answer(), "mended\n");
  EXPECT_TRUE(program.ends_on_interrupt());
}

// It hangs before its loop can take a connection: those that came to it are served by others.
TEST_F(Reloads, AVersionWhoseLoopHangsWhenItListensIsUndoneAndNobodyNotices) {
  prove_ = "50";
  folder_.write("server.js", script("hello world"));
  Program& program = start(node26(), {"--kill-hung", "1", "--grace", "2"}, "server.js");
  const std::vector<pid_t> before = children_of(program.pid());
  LoadGenerator gets{{.port = port, .connections = 4, .request = {}}};
  LoadGenerator kept{{.port = port, .connections = 4}};
  folder_.write("server.js", script("bad",
                                    "server.on('listening', () => process.nextTick(() => {\n"
                                    "  for (;;);\n}));\n"));
  reload("not reloaded: ");
  EXPECT_TRUE(program.wait_for_error("hangs: .* it computes .*; it is killed"));
  EXPECT_TRUE(program.wait_for_error("not reloaded: worker [0-9]+: .*killed by SIGKILL"))
      << program.transcript();
  EXPECT_TRUE(eventually("the end of the new ones", [&] {
    return children_of(program.pid()) == before;
  })) << program.transcript();
  for (LoadGenerator* const generator : {&gets, &kept}) {
    const LoadReport report = generator->stop();
    EXPECT_EQ(report.failed, 0) << report.text() << '\n' << program.transcript();
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(answer(), "hello world\n");
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- versions that listen elsewhere

class ReloadsToAnotherPort : public Reloads {
 protected:
  void move(const std::string& until) {
    folder_.write("server.js",
                  "require('http').createServer((request, response) => {\n"
                  "  response.end('moved\\n');\n}).listen(" +
                      std::to_string(other_) + ");\n");
    reload(until);
  }

  const std::uint16_t other_ = free_port();
};

TEST_F(ReloadsToAnotherPort, ServeTheOldOneUntilTheNewVersionIsProved) {
  prove_ = "300";
  folder_.write("server.js", script("hello world"));
  Program& program = start(node26(), {}, "server.js");
  LoadGenerator gets{{.port = port, .connections = 4, .request = {}}};
  LoadGenerator kept{{.port = port, .connections = 4}};
  move("listening on http://localhost:" + std::to_string(other_));
  EXPECT_TRUE(program.wait_until("every worker to have moved", [&] {
    return children_of(program.pid()).size() == 2 * kWorkers;
  })) << program.transcript();
  EXPECT_EQ(http_get(other_).body, "moved\n");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(answer(), "hello world\n");
  for (LoadGenerator* const generator : {&gets, &kept}) {
    const LoadReport report = generator->stop();
    EXPECT_EQ(report.failed, 0) << report.text() << '\n' << program.transcript();
    EXPECT_GT(report.ok, 0);
  }
  program.signal(SIGTERM);
  EXPECT_TRUE(program.exits_with(0)) << program.transcript();
}

TEST_F(ReloadsToAnotherPort, SayThatNobodyServesTheOldOne) {
  folder_.write("server.js", script("hello world"));
  Program& program = start(node26(), {}, "server.js");
  reload("reloaded: generation 2");
  const auto left = [](std::uint16_t which, int generation) {
    return "nobody serves http://localhost:" + std::to_string(which) + " any more: generation " +
           std::to_string(generation) + " does not listen there";
  };
  move(left(port, 3));
  EXPECT_EQ(program.errors().find(left(port, 2)), std::string::npos) << program.transcript();
  EXPECT_EQ(http_get(other_).body, "moved\n");
  folder_.write("server.js", script("back"));
  reload(left(other_, 4));
  EXPECT_EQ(answer(), "back\n");
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(Reloads, AProgramThatIsNotThereChangesNothing) {
  folder_.write("server.js", script("one"));
  Program& program = start(node26(), {}, "server.js");
  std::filesystem::remove(folder_.path() + "/server.js");
  reload("not reloaded, and nothing is changed: ");
  EXPECT_EQ(answer(), "one\n");
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- a terminal that is closed

// A shell at a terminal, which goes away with it.
class ReloadsAtATerminal : public Reloads {
 protected:
  void start_in_a_shell(const std::string& line) {
    folder_.write("server.js", script("hello world"));
    ProgramOptions at_a_terminal = surroundings(node26());
    at_a_terminal.terminal = true;
    program_.emplace(std::vector<std::string>{"sh", "-c", line + "; true", command()},
                     at_a_terminal);
    EXPECT_TRUE(eventually("it to serve", [&] { return http_get(port).status == 200; }))
        << program_->transcript();
  }
  void close_the_terminal() {
    program_->signal(SIGKILL);  // The session's leader: the kernel hangs the terminal up.
    EXPECT_TRUE(program_->wait_until("its end", [&] { return program_->has_exited(); }));
  }
};

TEST_F(ReloadsAtATerminal, IsTheEndOfTheService) {
  start_in_a_shell("\"$0\" run -w 2 server.js");
  close_the_terminal();
  EXPECT_TRUE(program_->leaves_no_process()) << program_->transcript();
}

TEST_F(ReloadsAtATerminal, IsNothingUnderNohup) {
  start_in_a_shell("nohup \"$0\" run -w 2 server.js");
  const std::vector<pid_t> before = program_->descendants();
  close_the_terminal();
  EXPECT_EQ(http_get(port).status, 200);
  EXPECT_EQ(program_->descendants(), before);
  for (const pid_t pid : before) ::kill(pid, SIGTERM);
  EXPECT_TRUE(program_->leaves_no_process()) << program_->transcript();
}

// --- one upon the other

TEST_F(Reloads, OfReloadsThatOverlapTheLastCounts) {
  folder_.write("server.js", script("hello world"));
  Program& program = start(node26(), {}, "server.js");
  LoadGenerator generator{{.port = port, .connections = 4}};
  for (int i = 0; i < 10; ++i) {
    program.signal(SIGHUP);
    std::this_thread::sleep_for(std::chrono::milliseconds{30 * (i % 4)});
  }
  reload("reloaded: ");
  const LoadReport report = generator.stop();
  EXPECT_EQ(report.failed, 0) << report.text() << '\n' << program.transcript();
  EXPECT_TRUE(eventually("the end of all the others", [&] {
    return children_of(program.pid()).size() == kWorkers;
  })) << program.transcript();
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(Reloads, AStopMeanwhileIsAStop) {
  folder_.write("server.js", script("one"));
  Program& program = start(node26(), {"--prove", "60"}, "server.js");
  program.signal(SIGHUP);
  EXPECT_TRUE(program.wait_for_error("reloading: "));
  program.signal(SIGTERM);
  EXPECT_TRUE(program.exits_with(0)) << program.transcript();
  EXPECT_TRUE(program.leaves_no_process());
}

TEST_F(Reloads, SignalsChangeHowManyThereAre) {
  folder_.write("server.js", script("hello world"));
  Program& program = start(node26(), {}, "server.js");
  LoadGenerator generator{{.port = port, .connections = 4}};
  program.signal(SIGTTIN);
  const auto there_are = [&](std::size_t count) {
    return eventually("so many", [&] { return children_of(program.pid()).size() == count; });
  };
  EXPECT_TRUE(there_are(kWorkers + 1));
  for (int i = 0; i < 3; ++i) {
    program.signal(SIGTTOU);
    EXPECT_TRUE(there_are(static_cast<std::size_t>(kWorkers - i)));
  }
  program.signal(SIGTTOU);
  EXPECT_TRUE(program.wait_for_error("one worker is left"));
  const LoadReport report = generator.stop();
  EXPECT_EQ(report.failed, 0) << report.text() << '\n' << program.transcript();
  EXPECT_TRUE(program.ends_on_interrupt());
}

}  // namespace
}  // namespace harness
