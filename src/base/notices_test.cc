#include "base/notices.h"

#include <gtest/gtest.h>

namespace cohort {
namespace {

class NoticesTest : public ::testing::Test {
 protected:
  std::string stderr_while(const std::function<void()>& task) {
    ::testing::internal::CaptureStderr();
    task();
    return ::testing::internal::GetCapturedStderr();
  }

  boost::asio::io_context io_{1};
  Loop loop_{io_, io_.get_executor()};
};

TEST_F(NoticesTest, AreWrittenToStderrWhereNobodyListens) {
  EXPECT_EQ(stderr_while([this] {
              say(loop_, {"accept_failed", "no descriptors", {{"errno", std::int64_t{24}}}});
              io_.run();
            }),
            "cohort: no descriptors\n");
}

TEST_F(NoticesTest, AreWrittenBeforeTheLoopOfAClusterRuns) {
  Notices::of(io_).run_on(loop_);
  EXPECT_EQ(stderr_while([this] { say(loop_, {"policy_too_late", "too late"}); }),
            "cohort: too late\n");
}

TEST_F(NoticesTest, GoToEveryHandlerInATurnOfTheirOwn) {
  std::vector<std::string> got;
  for (const char* name : {"first ", "second "})
    Notices::of(io_).on([&got, name](const Remark& remark) { got.push_back(name + remark.code); });
  const std::string text = stderr_while([&] {
    loop_.post([&] {
      say(loop_, {"gave_up", "no more tries"});
      EXPECT_TRUE(got.empty()) << "not within the call";
    });
    io_.run();
  });
  EXPECT_EQ(got, (std::vector<std::string>{"first gave_up", "second gave_up"}));
  EXPECT_EQ(text, "");
}

TEST_F(NoticesTest, AHandlerMaySayMoreAndAddHandlers) {
  int calls = 0;
  Notices& notices = Notices::of(io_);
  notices.on([&](const Remark& remark) {
    ++calls;
    if (remark.code != "first") return;
    notices.on([&](const Remark&) { ++calls; });
    say(loop_, {"second", "of the handler"});
  });
  say(loop_, {"first", ""});
  io_.run();
  EXPECT_EQ(calls, 3);
}

TEST(Notice, IsOneLineThatNoTerminalObeysAndWhatOthersWroteBelow) {
  const Remark remark{
      .code = "gave_up",
      .text = "a\nb\x1b[2J",
      .fields = {{"tries", std::int64_t{5}}, {"lines", std::vector<std::string>{"one", "\ttwo"}}}};
  EXPECT_EQ(to_text(remark), "cohort: a?b?[2J\n  one\n  \ttwo\n");
}

}  // namespace
}  // namespace cohort
