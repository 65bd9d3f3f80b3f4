#include "cli/debugger_visit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>

namespace cohort::cli {
namespace {

TEST(DebuggerVisit, OpensTheDebuggerOfAProgramThatHasOneAndNoOther) {
  EXPECT_EQ(why_not_opened({.is_node = true, .ends_by_signal = false}), "");
  EXPECT_EQ(why_not_opened({}), "it is no program of Node");
  EXPECT_EQ(why_not_opened({.is_node = true, .has_handler = true, .ends_by_signal = false}),
            "the program handles SIGUSR1 itself, which would open the debugger of Node");
  EXPECT_EQ(why_not_opened({.is_node = true}),
            "SIGUSR1 opens no debugger there (--disable-sigusr1)");
}

// This process would end by it.
TEST(DebuggerVisit, SendsNoSignalToWhatIsNoNode) {
  boost::asio::io_context io;
  std::optional<JsStackFound> found;
  find_js_stack(io, {.pid = ::getpid()}, [&](const JsStackFound& is) { found = is; });
  EXPECT_FALSE(found) << "later";
  io.run();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->why_not, "it is no program of Node");
  EXPECT_TRUE(found->lines.empty());
  EXPECT_FALSE(found->is_debugged);
}

}  // namespace
}  // namespace cohort::cli
