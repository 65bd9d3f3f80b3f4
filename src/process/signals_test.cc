#include "process/signals.h"

#include <gtest/gtest.h>

#include <csignal>

namespace cohort::process {
namespace {

TEST(Signals, HaveTheNamesThatPeopleUse) {
  EXPECT_EQ(signal_name(SIGTERM), "SIGTERM");
  EXPECT_EQ(signal_name(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(signal_name(SIGABRT), "SIGABRT");
  EXPECT_EQ(signal_name(SIGIO), "SIGIO");
  EXPECT_EQ(signal_name(40), "signal 40");
}

TEST(Signals, AreFoundByNameInAnySpelling) {
  for (const char* name : {"SIGTERM", "TERM", "sigterm", "Term"})
    EXPECT_EQ(signal_number(name), SIGTERM) << name;
  EXPECT_EQ(signal_number("SIGIOT"), SIGABRT);
}

TEST(Signals, ThatDoNotExistAreNotFound) {
  for (const char* name : {"", "SIG", "SIGSIGTERM", "TERMINATE", "TER", "15", "SIGTERM "})
    EXPECT_EQ(signal_number(name), std::nullopt) << name;
}

TEST(Signals, EveryNumberUpTo31HasANameThatLeadsBack) {
  for (int number = 1; number <= 31; ++number)
    EXPECT_EQ(signal_number(signal_name(number)), number);
}

}  // namespace
}  // namespace cohort::process
