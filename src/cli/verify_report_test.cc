#include "cli/verify_report.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

VerifyReport good() {
  VerifyReport report{.application = "shop",
                      .url = "http://localhost:3000/",
                      .connections = 16,
                      .reloads_wanted = 2,
                      .reloads = {{2, "reached", "every worker is of it", milliseconds{5900}},
                                  {3, "reached", "every worker is of it", milliseconds{6100}}}};
  for (int i = 0; i < 1234; ++i)
    report.tally.add(LoadKind::Get, {.reload = i % 2},
                     {.answered = true, .status = 200, .time = microseconds{1000}});
  return report;
}
VerifyReport lossy() {
  VerifyReport report = good();
  report.tally.add(LoadKind::SlowRead, {milliseconds{12'300}, 4, 2},
                   {.what = "reset after 312 bytes of the answer", .time = microseconds{90'000}});
  return report;
}

TEST(VerifyReport, SaysThatNothingWasLost) {
  EXPECT_EQ(exit_code(good()), 0);
  EXPECT_EQ(report_text(good()),
            "shop at http://localhost:3000/, 16 connections\n"
            "\n"
            "CLIENTS                     REQUESTS  FAILED  CLOSED IDLE  SLOWEST\n"
            "GET, a connection for each  1 234     0       0            1.0 ms\n"
            "all                         1 234     0       0            1.0 ms\n"
            "\n"
            "RELOADS  COUNT  SLOWEST\n"
            "reached  2      6.1s\n"
            "p99 of a request: 1.0 ms during reloads, 1.0 ms outside\n"
            "\n"
            "nothing was lost: 1 234 requests through 2 reloads\n");
}

TEST(VerifyReport, SaysWhatWasLost) {
  EXPECT_EQ(exit_code(lossy()), 111);
  EXPECT_EQ(verdict_text(lossy()), "lost 1 of 1 235 requests");
  EXPECT_NE(report_text(lossy()).find(
                "\nThe first failures:\n"
                "  12s  slow reader, generation 4: reset after 312 bytes of the answer, "
                "during reload 2\n"),
            std::string::npos)
      << report_text(lossy());
}

TEST(VerifyReport, AReloadThatFailedIsAFailure) {
  VerifyReport report = good();
  report.reloads.back() = {3, "rolled-back", "worker 9: exited with code 3", milliseconds{200}};
  EXPECT_EQ(exit_code(report), 111);
  EXPECT_EQ(verdict_text(report),
            "nothing was lost: 1 234 requests through 2 reloads; 1 reload failed");
  EXPECT_NE(report_text(report).find("\ngeneration 3: worker 9: exited with code 3\n"),
            std::string::npos);
  report.reloads.pop_back();
  EXPECT_EQ(exit_code(report), 111) << "not all were tried";
}

TEST(VerifyReport, SaysWhyItEndedBefore) {
  VerifyReport report = good();
  report.cut_short = "shop has ended meanwhile";
  EXPECT_EQ(exit_code(report), 111);
  EXPECT_TRUE(verdict_text(report).ends_with("; shop has ended meanwhile"));
  report.interrupted = true;
  EXPECT_EQ(exit_code(report), 130);
}

TEST(VerifyReport, NamesWhatWasLeftOutAndWhatWasClosed) {
  VerifyReport report = good();
  report.left_out.push_back({LoadKind::KeptPost, "answered 404"});
  report.tally.add_reopened(LoadKind::KeptGet, 3);
  const std::string text = report_text(report);
  EXPECT_NE(text.find("\nLeft out: POST in two parts, keep-alive: answered 404.\n"
                      "Between two requests the server closed 3 kept connections: nothing is lost "
                      "by that.\n"),
            std::string::npos)
      << text;
}

TEST(VerifyReport, IsJsonToo) {
  const Value value = report_value(lossy());
  EXPECT_EQ(value["lost"].int64_or(0), 1);
  EXPECT_EQ(value["reloads_reached"].int64_or(0), 2);
  EXPECT_EQ(value["kinds"].elements().size(), 2U);
  EXPECT_TRUE(value["p99_ms_outside"].is_number());
  EXPECT_EQ(to_json(value["failures"]),
            R"([{"ms":12300,"kind":"slow reader","generation":4,"reload":2,)"
            R"("what":"reset after 312 bytes of the answer"}])");
  EXPECT_EQ(to_json(value["reloads"][0]),
            R"({"generation":2,"outcome":"reached","text":"every worker is of it","ms":5900})");
}

TEST(VerifyReport, TellsHowFarItIs) {
  EXPECT_EQ(course_text(good(), 2), "reload 2 of 2, 1 234 requests, 0 failed");
}

}  // namespace
}  // namespace cohort::cli
