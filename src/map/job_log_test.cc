#include "map/job_log.h"

#include <gtest/gtest.h>

#include <csignal>

namespace cohort::map {
namespace {

using Numbers = std::set<std::uint64_t>;

TEST(JobLog, HasGnuParallelsColumns) {
  EXPECT_EQ(log_line({.number = 3,
                      .started = 1700000000.25,
                      .took = 1.5,
                      .written = 42,
                      .exit = Exit::exited(7),
                      .command = "sh -c 'a\n\tb'"}),
            "3\t:\t1700000000.250\t     1.500\t0\t42\t7\t0\tsh -c 'a  b'\n");
}

TEST(JobLog, TellsWhatIsDone) {
  std::string text{kJobLogHeader};
  text += log_line({.number = 1});
  text += log_line({.number = 12, .exit = Exit::exited(1)});
  text += log_line({.number = 3, .exit = Exit::killed(SIGKILL)});
  text += log_line({.number = 3});
  const JobLog log = JobLog::read(text);
  EXPECT_EQ(log.succeeded, (Numbers{1, 3}));
  EXPECT_EQ(log.failed, (Numbers{12}));
  EXPECT_EQ(log.whole, text.size());
}

TEST(JobLog, ALineThatAKillHasCutDoesNotCount) {
  const std::string line = log_line({.number = 17, .command = "x"});
  for (std::size_t cut = 0; cut < line.size(); ++cut) {
    const std::string text = std::string{kJobLogHeader} + line.substr(0, cut);
    const JobLog log = JobLog::read(text);
    EXPECT_TRUE(log.succeeded.empty()) << cut;
    EXPECT_EQ(log.whole, kJobLogHeader.size());
  }
}

TEST(JobLog, OtherTextIsNothing) {
  EXPECT_TRUE(JobLog::read("hello\n\n\t\t\t\t\t\t\t\t\n").succeeded.empty());
}

}  // namespace
}  // namespace cohort::map
