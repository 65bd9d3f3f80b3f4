// `cohort verify-reload`: finds what a careless server loses, and nothing where nothing is lost.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "harness/verbs.h"

namespace harness {
namespace {

class VerifyReload : public Verbs {
 protected:
  // What `cohort verify-reload` says; its exit code is in front.
  std::string verify(std::vector<std::string> words) const {
    words.insert(words.begin(), {command(), "verify-reload"});
    Program program{words, surroundings()};
    const auto ended = program.wait_exit();
    EXPECT_TRUE(program.leaves_no_process()) << program.transcript();
    return std::to_string(ended ? ended->code.value_or(-1) : -1) + ' ' + program.output() +
           program.errors();
  }
  std::string server(std::string_view handler = "response.end('hello world\\n')") const {
    return folder_.write("server.js",
                         "require('http').createServer((request, response) => {\n  " +
                             std::string{handler} +
                             ";\n}).listen(process.env.TEST_SOCKET ?? +process.env.TEST_PORT);\n");
  }
};

TEST_F(VerifyReload, FindsWhatACarelessServerLoses) {
  const std::string said = verify({"--reloads", "2", "--", "-w", "2", "--prove", "0.2",
                                   source("tests/integration/scripts/lossy.js")});
  EXPECT_EQ(said.substr(0, 4), "111 ") << said;
  EXPECT_TRUE(has(said, " after 0 bytes of the answer")) << said;
  EXPECT_TRUE(has(said, ", during reload ")) << said;
  EXPECT_TRUE(has(said, "\nlost ")) << said;
}

TEST_F(VerifyReload, LosesNothingOfAnUnmodifiedNodeServer) {
  const std::string said = verify({"--reloads", "3", "--", "-w", "2", "--prove", "0.2", server()});
  EXPECT_EQ(said.substr(0, 2), "0 ") << said;
  EXPECT_TRUE(has(said, "\nreached  3 ")) << said;
  EXPECT_TRUE(has(said, "\nnothing was lost: ") && has(said, " requests through 3 reloads\n"))
      << said;
  for (const char* kind :
       {"\nGET, a connection for each ", "\nGET, keep-alive ", "\nPOST in two parts, keep-alive ",
        "\nGET, read slowly ", "\nGET, long after connecting "})
    EXPECT_TRUE(has(said, kind)) << said;
}

TEST_F(VerifyReload, LosesNothingOfAProgramOfOurs) {
  const std::string said = verify(
      {"--reloads", "3", "--json", "--", "-w", "2", "--prove", "0.2", example("hello_cluster")});
  EXPECT_EQ(said.substr(0, 2), "0 ") << said;
  EXPECT_TRUE(has(said, R"("lost":0,"reloads_wanted":3,"reloads_reached":3,)")) << said;
}

TEST_F(VerifyReload, AsksAnApplicationThatRuns) {
  server();
  Program program{{command(), "run", "-w", "2", "--prove", "0.2", "server.js"}, surroundings()};
  ASSERT_TRUE(program.wait_for_error("all 2 workers listen")) << program.transcript();
  const std::string said = verify({"server", "--reloads", "1", "--connections", "5"});
  EXPECT_EQ(said.substr(0, 2), "0 ") << said;
  EXPECT_TRUE(has(said, "server at http://localhost:" + std::to_string(port) + "/, 5 connections"))
      << said;
  EXPECT_TRUE(has(verify({"shop"}), "100 cohort: no application is called `shop`"));
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(VerifyReload, LeavesOutWhatTheServerRefuses) {
  server("request.method === 'GET' ? response.end('x') : response.writeHead(404).end()");
  const std::vector<std::string> run{"--", "-w", "1", "--prove", "0.2", "server.js"};
  const auto with = [&](std::vector<std::string> options) {
    options.insert(options.end(), run.begin(), run.end());
    return verify(options);
  };
  const std::string said = with({"--reloads", "1"});
  EXPECT_EQ(said.substr(0, 2), "0 ") << said;
  EXPECT_TRUE(has(said, "\nLeft out: POST in two parts, keep-alive: answered 404.\n")) << said;
  const std::string other = with({"--expect", "204"});
  EXPECT_TRUE(has(other, "100 cohort: http://localhost:")) << other;
  EXPECT_TRUE(has(other, ": answered 200 (another --path, or --expect 200?)")) << other;
}

TEST_F(VerifyReload, AsksAServerOnAUnixSocket) {
  server();
  Program program{
      {"env", "TEST_SOCKET=web.sock", command(), "run", "-w", "2", "--prove", "0.2", "server.js"},
      surroundings()};
  ASSERT_TRUE(program.wait_for_error("all 2 workers listen")) << program.transcript();
  const std::string said = verify({"--reloads", "1"});
  EXPECT_EQ(said.substr(0, 2), "0 ") << said;
  EXPECT_TRUE(has(said, "server at unix:" + folder_.path() + "/web.sock /,")) << said;
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(VerifyReload, SaysWhatIsNoHttpServer) {
  folder_.write("echo.js",
                "require('net').createServer((socket) => socket.on('error', () => {}).pipe(socket))"
                ".listen(+process.env.TEST_PORT);\n");
  const std::string said = verify({"--", "-w", "1", "echo.js"});
  EXPECT_TRUE(has(said, "100 cohort: no HTTP server to ask: http://localhost:")) << said;
}

TEST_F(VerifyReload, SaysWhyTheProgramDoesNotServe) {
  folder_.write("bad.js", "throw new Error('no database');\n");
  const std::string said = verify({"--", "-w", "1", "bad.js"});
  EXPECT_EQ(said.substr(0, 4), "111 ") << said;
  EXPECT_TRUE(has(said, "no database")) << said;
  EXPECT_TRUE(has(verify({"--", "-w", "none", "bad.js"}), "100 cohort: -w takes a number"));
}

TEST_F(VerifyReload, IsOverWhenTheApplicationDies) {
  server();
  Program program{{command(), "run", "-w", "1", "--prove", "60", "server.js"}, surroundings()};
  ASSERT_TRUE(program.wait_for_error("listening on")) << program.transcript();
  Program verifying{{command(), "verify-reload"}, surroundings()};
  ASSERT_TRUE(program.wait_for_error("reloading: ")) << verifying.transcript();
  program.signal(SIGKILL);
  EXPECT_TRUE(verifying.exits_with(111)) << verifying.transcript();
  EXPECT_TRUE(has(verifying.output(), "; server has ended meanwhile")) << verifying.transcript();
}

TEST_F(VerifyReload, AnInterruptEndsItWithTheReportSoFar) {
  server();
  Program verifying{{command(), "verify-reload", "--", "-w", "1", "--prove", "60", "server.js"},
                    surroundings()};
  ASSERT_TRUE(eventually("load", [&] { return http_get(port).status == 200; }));
  ASSERT_TRUE(eventually("the first reload", [&] { return verifying.descendants().size() > 2; }))
      << verifying.transcript();
  verifying.signal(SIGINT);
  EXPECT_TRUE(verifying.exits_with(130)) << verifying.transcript();
  EXPECT_TRUE(has(verifying.output(), "\nnothing was lost: ")) << verifying.transcript();
  EXPECT_TRUE(has(verifying.output(), "; interrupted\n")) << verifying.transcript();
  EXPECT_TRUE(verifying.leaves_no_process());
}

TEST_F(VerifyReload, AnUndoneReloadIsAFailureThatLosesNothing) {
  server();
  Program program{{command(), "run", "-w", "2", "--prove", "0.2", "server.js"}, surroundings()};
  ASSERT_TRUE(program.wait_for_error("all 2 workers listen")) << program.transcript();
  folder_.write("server.js", "process.exit(3);\n");
  const std::string said = verify({"--reloads", "1"});
  EXPECT_EQ(said.substr(0, 4), "111 ") << said;
  EXPECT_TRUE(has(said, "\nrolled-back  1 ") && has(said, "exited with code 3")) << said;
  EXPECT_TRUE(has(said, "\nnothing was lost: ") && has(said, "; 1 reload failed\n")) << said;
  EXPECT_TRUE(program.ends_on_interrupt());
}

}  // namespace
}  // namespace harness
