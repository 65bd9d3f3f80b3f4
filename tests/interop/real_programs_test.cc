// Programs that were not written for cohort, under what an operator does to them: reloads, more and
// fewer workers, and a worker that is killed. The clients never send a request twice.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "harness/load.h"
#include "harness/verbs.h"

namespace harness {
namespace {

using Words = std::vector<std::string>;

constexpr int kClients = 8;

struct RealProgram {
  const char* name;
  bool keep_alive;  // its clients keep their connections
  Words options{};  // of cohort
  Words words{};    // of the program; `{port}` is the port
  std::string path = "/";

  friend std::ostream& operator<<(std::ostream& out, const RealProgram& program) {
    return out << program.name;
  }
};

std::string of_endings(const char* file) {
  return source(std::string{"tests/interop/workers/endings/"} + file);
}

// The Node ones listen on $PORT, the others on descriptor 3.
std::vector<RealProgram> real_programs() {
  const Words listen{"--listen", "127.0.0.1:{port}"};
  const std::string node_servers = of_endings("frameworks.js");
  std::vector<RealProgram> all;
  for (const char* name : {"http", "express", "fastify", "koa", "hono"})
    all.push_back({name, true, {}, {node_servers, name}});
  all.push_back({"http", false, {}, {node_servers, "http"}});
  all.push_back({"hono_module", true, {}, {of_endings("hono.mjs")}});
  // Next.js' production server. The page of its root is more than `hello world`.
  const std::string next = frameworks() + "/node_modules/next/dist/bin/next";
  all.push_back({"next",
                 true,
                 {},
                 {next, "start", frameworks() + "/next_app", "-p", "{port}"},
                 "/slow?ms=0"});
  for (const bool keep_alive : {true, false})
    all.push_back({"disconnecting", keep_alive, {}, {of_endings("disconnecting.js")}});
  // A shell that becomes the server, and one that waits for it: the worker is the shell then.
  for (const char* how : {"exec", "child"})
    all.push_back({how == std::string{"exec"} ? "shell" : "shell_and_child",
                   how == std::string{"exec"},
                   {},
                   {"sh", of_endings("wrapper.sh"), how, "node", node_servers, "http"}});
  // Only `make bench` fetches it.
  if (const std::string bun = source(".peers/bun/bin/bun"); std::filesystem::exists(bun))
    all.push_back({"bun", false, listen, {bun, of_endings("bun_listen.ts")}});
  all.push_back({"gunicorn", false, listen, {"/usr/bin/gunicorn", "wsgi:app"}});
  all.push_back({"uvicorn", false, listen, {"/usr/bin/uvicorn", "--fd", "3", "asgi:app"}});
  all.push_back({"python", false, listen, {of_endings("plain.py"), "handler"}});
  all.push_back({"cpp", true, {}, {example("hello_cluster"), "--port", "{port}"}});
  all.push_back({"cpp", false, {}, {example("hello_cluster"), "--port", "{port}"}});
  return all;
}

class RealPrograms : public Verbs, public testing::WithParamInterface<RealProgram> {
 protected:
  Words with_port(Words words) const {
    for (std::string& word : words)
      if (const auto at = word.find("{port}"); at != word.npos)
        word.replace(at, 6, std::to_string(port));
    return words;
  }
  std::unique_ptr<Program> start() const {
    ProgramOptions options = surroundings();
    for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
             {"PORT", std::to_string(port)},
             {"NODE_PATH", frameworks() + "/node_modules"},
             {"PYTHONPATH", source("tests/interop/workers/endings")},
             {"NEXT_TELEMETRY_DISABLED", "1"},
             {"QUIET", "1"}})
      options.env.emplace_back(name, value);
    Words words{command(), "run", "-w", "2", "--prove", "0.2", "--name", "server"};
    for (const Words& part : {with_port(GetParam().options), with_port(GetParam().words)})
      words.insert(words.end(), part.begin(), part.end());
    auto program = std::make_unique<Program>(words, options);
    EXPECT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
    return program;
  }
  LoadOptions load() const {
    LoadOptions options{.port = port, .connections = kClients};
    options.request.keep_alive = GetParam().keep_alive;
    options.request.path = GetParam().path;
    return options;
  }
  void expect(const Words& verb_of_cohort) const {
    const Said said = verb(verb_of_cohort);
    EXPECT_EQ(said.code, 0) << said.text();
  }
};

TEST_P(RealPrograms, LoseNothingWhenTheyAreReloadedAndScaled) {
  const auto program = start();
  LoadGenerator generator{load()};
  expect({"reload"});
  for (const char* count : {"3", "1", "2"}) expect({"scale", count});
  expect({"reload"});
  const LoadReport report = generator.stop();
  EXPECT_EQ(report.failed, 0) << report.text() << '\n' << program->transcript();
  EXPECT_GT(report.ok, 100);
  EXPECT_TRUE(program->ends_on_interrupt()) << program->transcript();
}

// What a worker had under way is lost with it, and nothing else.
TEST_P(RealPrograms, LoseOnlyWhatAKilledWorkerHad) {
  const auto program = start();
  LoadGenerator generator{load()};
  EXPECT_TRUE(eventually("a load", [&] { return generator.ok() > 50; }));
  const auto before = children_of(program->pid());
  ASSERT_FALSE(before.empty());
  ::kill(-before.front(), SIGKILL);
  ::kill(before.front(), SIGKILL);
  EXPECT_TRUE(program->wait_for_error("in place of worker")) << program->transcript();
  const long then = generator.ok();
  EXPECT_TRUE(eventually("it to go on", [&] { return generator.ok() > then + 100; }));
  const LoadReport report = generator.stop();
  EXPECT_LE(report.failed, kClients) << report.text() << '\n' << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt()) << program->transcript();
}

INSTANTIATE_TEST_SUITE_P(Of, RealPrograms, testing::ValuesIn(real_programs()),
                         [](const auto& program) {
                           return std::string{program.param.name} +
                                  (program.param.keep_alive ? "_kept" : "");
                         });

// Workers that serve nobody: each is told to end, and does.
using ShellWorkers = Verbs;

TEST_F(ShellWorkers, AreReplacedAndEndAsTheyAreTold) {
  const auto program = run(
      {"-w", "2", "--ready", "0.2", "--prove", "0.2", "--name", "server", of_endings("loop.sh")},
      "2 workers of ");
  EXPECT_TRUE(program->wait_for_line("begin", 2));
  const auto expect = [&](const Words& words, int begun, int ended) {
    const Said said = verb(words);
    EXPECT_EQ(said.code, 0) << said.text();
    EXPECT_TRUE(program->wait_for_line("begin", begun));
    EXPECT_TRUE(program->wait_for_line("end", ended));
  };
  expect({"reload"}, 4, 2);
  expect({"scale", "3"}, 5, 2);
  expect({"scale", "1"}, 5, 4);
  expect({"scale", "2"}, 6, 4);
  const auto before = children_of(program->pid());
  ASSERT_EQ(before.size(), 2U) << program->transcript();
  ::kill(before.front(), SIGKILL);
  EXPECT_TRUE(program->wait_for_line("begin", 7));
  EXPECT_TRUE(program->ends_on_interrupt()) << program->transcript();
  EXPECT_EQ(program->count("end"), 6) << program->transcript();
}

}  // namespace
}  // namespace harness
