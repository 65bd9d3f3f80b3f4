// A stop of `cohort run` and workers that are no Node: Python that knows nothing of cohort, C++
// that uses it.
#include <string>
#include <vector>

#include "harness/load.h"
#include "interop/endings.h"

namespace harness {
namespace {

const std::string kPython = "/usr/bin/python3";  // Debian's, which has gunicorn

class EndingsOfPython : public testing::Test {
 protected:
  // With the port that it listens on; its folder is where it looks for its modules.
  Program& start(const Words& words, int workers = 2, const Words& more = {}) {
    Words options{"--listen", "127.0.0.1:" + std::to_string(service.port)};
    options.insert(options.end(), more.begin(), more.end());
    return service.start_workers(
        words,
        {.workers = workers, .options = options, .env = {{"PYTHONPATH", ending_worker("")}}});
  }
  // `workers` lines of stderr match the pattern.
  static testing::AssertionResult says(Program& program, const std::string& pattern, int workers) {
    return program.wait_until(pattern, [&] { return count_errors(program, pattern) >= workers; });
  }
  void stop_in_a_request() {
    SlowRequest request{service};
    service.program().signal(SIGTERM);
    EXPECT_EQ(request.answer(), "hello world\n");
    EXPECT_TRUE(ends_well(service.program()));
    EXPECT_EQ(count_errors(service.program(), "^cohort: .*(killed|died|left)"), 0)
        << service.program().transcript();
  }

  Service service{"node20"};
};

TEST_F(EndingsOfPython, WithAHandlerRunItWhenTheRequestIsFinished) {
  start({kPython, ending_worker("plain.py"), "handler"}, 1);
  stop_in_a_request();
  EXPECT_EQ(service.said(), (Words{"SIGTERM", "ends", "ready", "request"}));
}

// Python itself catches INT: that is no handler of the program, which TERM ends when it may.
TEST_F(EndingsOfPython, WithoutAHandlerComeWhenTheRequestIsFinished) {
  start({kPython, ending_worker("plain.py")}, 1);
  stop_in_a_request();
  EXPECT_EQ(service.said(), (Words{"ready", "request"}));
}

TEST_F(EndingsOfPython, MayBeByItsExceptionForInt) {
  start({kPython, ending_worker("plain.py")}, 1, {"--stop-signal", "INT"});
  stop_in_a_request();
  EXPECT_EQ(service.said(), (Words{"KeyboardInterrupt", "ready", "request"}));
}

TEST_F(EndingsOfPython, OfManyAtRestAreSoon) {
  for (const char* how : {"handler", "nothing"}) {
    Service many{"node20"};
    many.start_workers(
        {kPython, ending_worker("plain.py"), how},
        {.workers = 4, .options = {"--listen", "127.0.0.1:" + std::to_string(many.port)}});
    ASSERT_TRUE(many.program().wait_for_line("ready", 4));
    many.program().signal(SIGTERM);
    EXPECT_TRUE(stopped_well(many.program())) << how;
  }
}

// Gunicorn finds the sockets by LISTEN_FDS.
TEST_F(EndingsOfPython, OfGunicornFinishTheRequest) {
  Program& program = start({"/usr/bin/gunicorn", "wsgi:app"});
  ASSERT_TRUE(says(program, "Booting worker", 2));
  stop_in_a_request();
  EXPECT_EQ(count_errors(program, "Handling signal: term"), 2) << program.transcript();
}

TEST_F(EndingsOfPython, OfUvicornFinishTheRequestAndTellTheProgram) {
  Program& program = start({"/usr/bin/uvicorn", "--fd", "3", "asgi:app"});
  ASSERT_TRUE(says(program, "Uvicorn running", 2));
  stop_in_a_request();
  EXPECT_EQ(program.count("shutdown"), 2) << program.transcript();
}

// --- C++

TEST(EndingsOfCpp, LoseNoRequestOfTwelveBusyKeepAliveClients) {
  Service service{"node20"};
  service.start_workers({helper("steered"), "--port", std::to_string(service.port)});
  LoadGenerator load{{.port = service.port, .connections = 12}};
  EXPECT_TRUE(eventually("requests are served", [&] { return load.ok() > 500; }));
  service.program().signal(SIGTERM);
  EXPECT_TRUE(stopped_well(service.program()));
  const LoadReport report = load.stop();
  for (const auto& [reason, times] : report.reasons)
    EXPECT_TRUE(reason.starts_with("connect: ")) << report.text();
}

TEST(EndingsOfCpp, RunTheHandlerOfTheProgramAndFinishTheRequest) {
  Service service{"node20"};
  Program& program = service.start_workers(
      {interop_program("own_handler"), "--port", std::to_string(service.port)}, {.workers = 1});
  SlowRequest request{service};
  program.signal(SIGTERM);
  EXPECT_EQ(request.answer(), "hello world\n");
  EXPECT_TRUE(stopped_well(program));
  EXPECT_EQ(service.said(), (Words{"SIGTERM", "request"}));
}

}  // namespace
}  // namespace harness
