#include "cohort/exit.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <sstream>

#include "cohort/value.h"
#include "process/exit_record.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;

std::string text(const Exit& exit) {
  std::ostringstream out;
  out << exit;
  return out.str();
}

TEST(Exit, SaysTheCode) {
  const Exit exit = Exit::exited(1);
  EXPECT_EQ(exit.code(), 1);
  EXPECT_EQ(exit.signal(), 0);
  EXPECT_EQ(exit.signal_name(), "");
  EXPECT_FALSE(exit.success());
  EXPECT_EQ(text(exit), "exited with code 1");
  EXPECT_TRUE(Exit{}.success());
}

TEST(Exit, SaysTheSignal) {
  const Exit exit = Exit::killed(SIGSEGV, true);
  EXPECT_EQ(exit.code(), 0);
  EXPECT_EQ(exit.signal(), SIGSEGV);
  EXPECT_EQ(exit.signal_name(), "SIGSEGV");
  EXPECT_TRUE(exit.core_dumped());
  EXPECT_FALSE(exit.success());
  EXPECT_EQ(text(exit), "killed by SIGSEGV (core dumped)");
  EXPECT_EQ(text(Exit::killed(SIGKILL)), "killed by SIGKILL");
}

TEST(Exit, SaysWhatWasUsedIfThatIsKnown) {
  const Exit exit = Exit::killed(SIGKILL).with_usage(1200ms, 34ms, 21'700'000);
  EXPECT_EQ(exit.user_time(), 1200ms);
  EXPECT_EQ(exit.system_time(), 34ms);
  EXPECT_EQ(exit.peak_memory_bytes(), 21'700'000U);
  EXPECT_EQ(text(exit), "killed by SIGKILL, CPU 1.23 s, peak memory 21.7 MB");
}

TEST(Exit, WhoseStatusIsLostIsNoSuccess) {
  const Exit exit = Exit::exited(Exit::kUnknownCode).with_cause(ExitCause::ReapedByOther);
  EXPECT_FALSE(exit.success());
  EXPECT_EQ(
      text(exit),
      "ended, with an exit code that is not known: another part of this program took it, with "
      "wait() or waitpid(-1); it must wait for its own pids only");
}

TEST(Exit, SaysWhyAndWhatWasSaidLast) {
  const Exit exit = Exit::killed(SIGTERM).with_cause(ExitCause::Timeout).with_stderr({"a", "b"});
  EXPECT_EQ(exit.cause(), ExitCause::Timeout);
  EXPECT_EQ(text(exit), "killed by SIGTERM: timeout; stderr: b");
  EXPECT_EQ(text(Exit::exited(0).with_cause(ExitCause::Requested)),
            "exited with code 0: disconnect() was called");
  EXPECT_EQ(text(Exit::killed(SIGKILL).with_cause(ExitCause::OutOfMemory)),
            "killed by SIGKILL: out of memory");
}

TEST(Exit, OfWhatNeverRanIsANegativeErrno) {
  const Exit exit = Exit::not_started(ENOENT);
  EXPECT_EQ(exit.code(), -ENOENT);
  EXPECT_FALSE(exit.success());
  EXPECT_EQ(text(exit), "not started: no such file or directory");
  EXPECT_EQ(text(Exit::not_started(EPERM)), "not started: operation not permitted");
}

TEST(Exit, IsAValueForLogs) {
  EXPECT_EQ(
      to_json(Exit::exited(3).with_usage(1500ms, 250ms, 4096).with_stderr({"why"}).to_value()),
      R"({"code":3,"signal":null,"coreDumped":false,"cause":null,"userTime":1.5,)"
      R"("systemTime":0.25,"peakMemory":4096,"stderr":["why"]})");
  EXPECT_EQ(to_json(Exit::killed(SIGSEGV, true).with_cause(ExitCause::Killed).to_value()),
            R"({"code":null,"signal":"SIGSEGV","coreDumped":true,"cause":"kill() was called",)"
            R"("userTime":null,"systemTime":null,"peakMemory":null,"stderr":[]})");
  EXPECT_TRUE(Exit::not_started(ENOENT).to_value()["code"].is_null());
}

TEST(Exit, IsReadFromWhatTheKernelSays) {
  siginfo_t info{};
  rusage usage{};
  usage.ru_utime = {1, 500'000};
  usage.ru_maxrss = 2;  // KiB
  info.si_code = CLD_EXITED;
  info.si_status = 7;
  EXPECT_EQ(process::to_exit(info, usage), Exit::exited(7).with_usage(1500ms, 0us, 2048));
  info.si_code = CLD_KILLED;
  info.si_status = SIGTERM;
  EXPECT_EQ(process::to_exit(info, {}), Exit::killed(SIGTERM));
  info.si_code = CLD_DUMPED;
  EXPECT_EQ(process::to_exit(info, {}), Exit::killed(SIGTERM, true));
}

}  // namespace
}  // namespace cohort
