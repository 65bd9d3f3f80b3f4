// A stop of `cohort run`: whoever has a handler for the signal gets it, and ends as it would alone;
// whoever has none is not killed by it while it serves.
#include "interop/endings.h"

#include <future>
#include <ostream>
#include <string>
#include <thread>
#include <tuple>

namespace harness {
namespace {

using namespace std::chrono_literals;

// --- one request is being served

struct Handling {
  const char* how;  ///< An argument of handling.js.
  /// What the worker says until it ends, beside "request": sorted.
  Words said;
  /// Alone it says the same, and answers.
  bool alone = true;
};

void PrintTo(const Handling& handling, std::ostream* out) { *out << handling.how; }

const Handling kHandlings[] = {
    // Nobody is killed while it serves. What has nothing left to do then ends by itself; the rest
    // gets the signal.
    {"nothing", {"answered", "exit 0"}, false},
    {"interval", {"answered"}, false},
    {"threads", {"answered"}, false},
    {"removed", {"answered"}, false},
    {"all_removed", {"answered"}, false},
    {"int_only", {"SIGINT", "answered", "exit 0"}, false},
    {"disconnect", {"answered", "disconnect", "exit 0"}, false},
    {"disconnect_slow", {"answered", "cleaned up", "exit 0"}, false},
    {"worker_disconnect", {"answered", "disconnect", "exit 0"}, false},
    // The handler runs, once, when what is served has been finished.
    {"exits_at_once", {"SIGTERM", "answered", "exit 0"}, false},
    {"exit_143", {"SIGTERM", "answered", "exit 143"}, false},
    {"int_and_term", {"SIGTERM", "answered", "exit 0"}, false},
    {"once", {"SIGTERM", "answered", "exit 0"}, false},
    {"add_listener", {"SIGTERM", "answered", "exit 0"}, false},
    {"prepend_listener", {"SIGTERM", "answered", "exit 0"}, false},
    {"prepend_once_listener", {"SIGTERM", "answered", "exit 0"}, false},
    {"late", {"SIGTERM", "answered", "exit 0"}, false},
    {"one_removed", {"SIGTERM", "answered", "exit 0"}, false},
    {"threads_and_handler", {"SIGTERM", "answered", "exit 0", "terminated"}, false},
    {"flushes", {"SIGTERM", "answered", "exit 0", "flushed"}},
    {"close_only", {"SIGTERM", "answered", "closed", "exit 0"}},
    {"close_exit", {"SIGTERM", "answered", "exit 0"}},
    {"close_exit_error", {"SIGTERM", "answered", "exit 0"}},
    {"terminus", {"SIGTERM", "answered", "cleaned up"}},
    {"close_with_grace", {"SIGTERM", "answered", "exit 0"}},
};

class Handlings : public testing::TestWithParam<std::tuple<const char*, Handling>> {
 protected:
  const Handling& handling() const { return std::get<1>(GetParam()); }
  Words words() const { return {ending_worker("handling.js"), handling().how}; }
  // Stops it while a request is served. What it says meanwhile.
  Words stop_in_a_request(Service& service) {
    SlowRequest request{service};
    service.program().signal(SIGTERM);
    EXPECT_EQ(request.answer(), "hello world\n");
    EXPECT_TRUE(service.program().wait_exit());
    return service.said("^request$");
  }
};
INSTANTIATE_TEST_SUITE_P(Of, Handlings,
                         testing::Combine(testing::Values("node20", "node26"),
                                          testing::ValuesIn(kHandlings)),
                         [](const auto& test) {
                           return std::string{std::get<0>(test.param)} + '_' +
                                  std::get<1>(test.param).how;
                         });

TEST_P(Handlings, EndAsAloneWithTheRequestThatWasBeingServedFinished) {
  Service service{std::get<0>(GetParam())};
  service.start_workers(words(), {.workers = 1});
  EXPECT_EQ(stop_in_a_request(service), handling().said) << service.program().transcript();
  EXPECT_TRUE(stopped_well(service.program()));
  if (!handling().alone) return;
  Service alone{std::get<0>(GetParam())};
  alone.start_alone(words());
  EXPECT_EQ(stop_in_a_request(alone), handling().said) << alone.program().transcript();
}

class Endings : public testing::TestWithParam<const char*> {
 protected:
  // Of handling.js.
  Program& start(const std::string& how, const Start& options = {}) {
    return service.start_workers({ending_worker("handling.js"), how}, options);
  }

  Service service{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Of, Endings, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

// --- nothing is served

TEST_P(Endings, EveryWorkerThatIsAtRestRunsItsHandler) {
  Program& program = start("close_exit");
  program.signal(SIGTERM);
  EXPECT_TRUE(stopped_well(program));
  EXPECT_EQ(service.said(), (Words{"SIGTERM", "SIGTERM", "exit 0", "exit 0"}));
}

TEST_P(Endings, ATimerDoesNotKeepAWorkerWithoutAHandlerAlive) {
  Program& program = start("interval");
  program.signal(SIGTERM);
  EXPECT_TRUE(stopped_well(program));
  EXPECT_EQ(service.said(), Words{});
}

TEST_P(Endings, CtrlCRunsTheHandlerForTermOnce) {
  Program& program = start("close_exit");
  program.signal_group(SIGINT);
  EXPECT_TRUE(stopped_well(program));
  EXPECT_EQ(service.said(), (Words{"SIGTERM", "SIGTERM", "exit 0", "exit 0"}));
}

// --- the time that they have

TEST_P(Endings, AHandlerThatNeverEndsIsKilledAfterTheGraceTimeAndThisIsSaid) {
  Program& program = start("flushes_for_ever", {.grace = "2"});
  program.signal(SIGTERM);
  EXPECT_TRUE(program.wait_exit());
  EXPECT_EQ(service.said(), (Words{"SIGTERM", "SIGTERM"}));
  EXPECT_EQ(count_errors(program, "worker [12] \\(pid [0-9]+\\) was killed"), 2)
      << program.transcript();
  EXPECT_TRUE(program.leaves_no_process());
}

TEST_P(Endings, ASecondTermStopsAtOnceWhateverTheHandlersDo) {
  Program& program = start("flushes_for_ever");
  program.signal(SIGTERM);
  ASSERT_TRUE(program.wait_for_line("SIGTERM", 2));
  std::this_thread::sleep_for(200ms);  // what comes sooner is the same wish
  program.signal(SIGTERM);
  EXPECT_TRUE(program.exits_with(128 + SIGTERM));
  EXPECT_TRUE(program.leaves_no_process());
}

// --- options

TEST_P(Endings, TheStopSignalMayBeInt) {
  Program& program = start("int_and_term", {.options = {"--stop-signal", "INT"}});
  program.signal(SIGTERM);
  EXPECT_TRUE(stopped_well(program));
  EXPECT_EQ(service.said(), (Words{"SIGINT", "SIGINT", "exit 0", "exit 0"}));
}

TEST_P(Endings, AStopSignalThatNothingHandlesIsNotSentWhereTheOtherOneIsHandled) {
  Program& program = start("close_exit", {.options = {"--stop-signal", "INT"}});
  program.signal(SIGTERM);
  EXPECT_TRUE(stopped_well(program));
  EXPECT_EQ(service.said(), (Words{"SIGTERM", "SIGTERM", "exit 0", "exit 0"}));
}

TEST_P(Endings, WithoutThePreloadTheSignalComesWhenNoConnectionIsLeft) {
  Program& program = start("late", {.workers = 1, .options = {"--no-preload"}});
  SlowRequest request{service};
  program.signal(SIGTERM);
  EXPECT_EQ(request.answer(), "hello world\n");
  EXPECT_TRUE(stopped_well(program));
  EXPECT_EQ(service.said(), (Words{"SIGTERM", "answered", "exit 0", "request"}));
}

TEST_P(Endings, WithoutThePreloadATimerDoesNotKeepAWorkerAlive) {
  Program& program = start("interval", {.options = {"--no-preload"}});
  program.signal(SIGTERM);
  EXPECT_TRUE(stopped_well(program));
}

// --- Next.js

TEST_P(Endings, OfNextAreAsAloneWithTheRequestFinished) {
  const std::string next = frameworks() + "/node_modules/next/dist/bin/next";
  const Words words{next, "start", frameworks() + "/next_app", "-p", std::to_string(service.port)};
  Program& program = service.start_workers(words);
  TcpClient client;
  ASSERT_EQ(client.connect(service.port), "");
  auto answer = std::async(std::launch::async, [&] {
    return exchange(client, {.path = "/slow?ms=1500", .keep_alive = true}).body;
  });
  for (int i = 0; i < 4; ++i) EXPECT_EQ(http_get(service.port, "/slow?ms=1").body, "hello world\n");
  program.signal(SIGTERM);
  EXPECT_EQ(answer.get(), "hello world\n");
  EXPECT_TRUE(stopped_well(program));
}

}  // namespace
}  // namespace harness
