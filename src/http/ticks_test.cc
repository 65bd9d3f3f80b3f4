#include "http/ticks.h"

#include <gtest/gtest.h>

namespace cohort::http {
namespace {

using namespace std::chrono_literals;

TEST(Ticks, AreNeverEarlyAndAtMostTwoPeriodsLate) {
  const ServerOptions options;
  const Ticks ticks{options};
  EXPECT_EQ(ticks.period, 500ms);
  EXPECT_EQ(ticks.headers, 121U) << "60 s, and the tick that runs";
  EXPECT_EQ(ticks.request, 601U);
  EXPECT_EQ(ticks.keep_alive, 11U);
  EXPECT_EQ(ticks.drain_quiet, 3U);
  const Ticks odd{{.keep_alive_timeout = 1ms, .drain_quiet = 11ms}};
  EXPECT_EQ(odd.period, 5ms) << "not more often";
  EXPECT_EQ(odd.keep_alive, 2U);
  EXPECT_EQ(odd.drain_quiet, 4U);
}

TEST(Ticks, ATimeOfZeroOrOfAYearIsNone) {
  const Ticks none{{.headers_timeout = 0ms,
                    .request_timeout = std::chrono::hours{24 * 366},
                    .keep_alive_timeout = -1ms,
                    .send_timeout = 0ms}};
  for (const std::uint32_t ticks : {none.headers, none.request, none.keep_alive, none.send})
    EXPECT_EQ(ticks, Ticks::kNever);
}

TEST(Ticks, AnEndComesThoughItsTimeIsZero) {
  const Ticks ticks{{.half_close_timeout = 0ms, .drain_quiet = 0ms, .linger_timeout = 0ms}};
  EXPECT_EQ(ticks.half_close, 0U);
  EXPECT_EQ(ticks.drain_quiet, 1U);
  EXPECT_EQ(ticks.linger, 1U);
}

}  // namespace
}  // namespace cohort::http
