// The time of day is set back, and forward, while an application runs: for its workers, its primary
// and the verbs alike, by a library that is loaded before all others. Nothing happens but that the
// lines have that time: what is measured is measured by the steady clock.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "harness/load.h"
#include "harness/verbs.h"

namespace harness {
namespace {

constexpr std::int64_t kHour = 3600;

class MovedClock : public Verbs {
 protected:
  void SetUp() override {
    if (std::getenv("COHORT_SANITIZED") != nullptr)
      GTEST_SKIP() << "the sanitizer has to be loaded first";
    std::ofstream{file_, std::ios::binary}.write("\0\0\0\0\0\0\0\0", sizeof(std::int64_t));
  }
  // From now on, and at once.
  void move(std::int64_t seconds) const {
    std::fstream file{file_, std::ios::binary | std::ios::in | std::ios::out};
    file.write(reinterpret_cast<const char*>(&seconds), sizeof seconds);
  }
  ProgramOptions moved() const {
    ProgramOptions options = surroundings();
    options.env.emplace_back("LD_PRELOAD", helper("libclock_moved.so"));
    options.env.emplace_back("COHORT_TEST_CLOCK", file_);
    return options;
  }
  Said ask(std::vector<std::string> words) const {
    words.insert(words.begin(), command());
    Program program{words, moved()};
    const auto ended = program.wait_exit();
    return {ended ? ended->code.value_or(-1) : -1, program.output(), program.errors()};
  }
  // Of the last event, to the second: `2026-11-29T22:14:03`.
  std::string time_of_last_event() const {
    const std::string events = ask({"events", "-n", "1", "--json"}).out;
    const auto at = events.find("\"time\":\"");
    return at == std::string::npos ? events : events.substr(at + 8, 19);
  }
  void expect_up_for_less_than_an_hour() const {
    const std::string text = ask({"status"}).out;
    const auto at = text.find(", up ");
    ASSERT_NE(at, std::string::npos) << text;
    const std::string up = text.substr(at + 5, text.find('\n', at) - at - 5);
    EXPECT_FALSE(has(up, "h") || has(up, "-") || has(up, "d")) << text;
  }

  const std::string file_ = folder_.path() + "/clock";
};

TEST_F(MovedClock, EndsNobodyAndLosesNothing) {
  folder_.write("server.js", script("hello world"));
  Program program{{command(), "run", "-w", "2", "--prove", "0.2", "--max-age", "1800",
                   "--kill-hung", "1800", "--ready-within", "1800", "server.js"},
                  moved()};
  ASSERT_TRUE(program.wait_for_error("all 2 workers listen")) << program.transcript();
  LoadGenerator load{{.port = port, .connections = 4, .request = {.keep_alive = false}}};
  const auto first = children_of(program.pid());
  const std::string before = time_of_last_event();

  move(-kHour);
  expect_up_for_less_than_an_hour();
  Said said = ask({"reload"});
  EXPECT_EQ(said.code, 0) << said.text() << program.transcript();
  EXPECT_TRUE(program.wait_for_error("reloaded: generation 2")) << program.transcript();
  EXPECT_LT(time_of_last_event(), before) << "the clock was moved";
  said = ask({"scale", "+1"});
  EXPECT_EQ(said.code, 0) << said.text() << program.transcript();

  EXPECT_TRUE(eventually("those before to be gone", [&] {
    return children_of(program.pid()).size() == 3;
  })) << program.transcript();
  const auto second = children_of(program.pid());
  move(24 * kHour);
  expect_up_for_less_than_an_hour();
  // Ages are looked at every 2 s, in which these clients send no more than so many requests.
  const long served = load.ok();
  EXPECT_TRUE(eventually("more requests", [&] { return load.ok() > served + 2000; }));
  EXPECT_EQ(children_of(program.pid()), second) << "nobody is too old: " << program.transcript();
  EXPECT_FALSE(has(program.errors(), "died")) << program.transcript();
  said = ask({"reload"});
  EXPECT_EQ(said.code, 0) << said.text() << program.transcript();
  EXPECT_GT(time_of_last_event(), before);
  const LoadReport report = load.stop();
  EXPECT_EQ(report.failed, 0) << report.text() << program.transcript();

  move(-kHour);
  EXPECT_TRUE(eventually("those before to be gone", [&] {
    return children_of(program.pid()).size() == 3;
  })) << program.transcript();
  ::kill(children_of(program.pid()).front(), SIGKILL);
  EXPECT_TRUE(program.wait_for_error("died: killed by SIGKILL")) << program.transcript();
  EXPECT_TRUE(program.wait_until("its successor", [&] {
    return has(ask({"status"}).out, "server: 3 of 3 workers listen");
  })) << program.transcript();
  EXPECT_TRUE(program.ends_on_interrupt());
}

}  // namespace
}  // namespace harness
