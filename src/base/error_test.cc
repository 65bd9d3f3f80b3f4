#include "cohort/error.h"

#include <gtest/gtest.h>

#include <boost/system/system_error.hpp>
#include <cerrno>
#include <set>
#include <sstream>

namespace cohort {
namespace {

TEST(Error, PrintsAsOperationReasonAndHint) {
  EXPECT_EQ(system_error(EACCES, "listen 127.0.0.1:80", "choose a port above 1023").message(),
            "listen 127.0.0.1:80: permission denied (choose a port above 1023)");
  EXPECT_EQ(system_error(EADDRINUSE, "listen *:80").message(),
            "listen *:80: address already in use");
  EXPECT_EQ(make_error(Errc::ChannelClosed, "").message(), "channel closed");
  EXPECT_EQ(make_error(Errc::InvalidArgument, "", "port 70000").message(),
            "invalid argument (port 70000)");
  std::ostringstream out;
  out << make_error(Errc::ChannelClosed, "close");
  EXPECT_EQ(out.str(), "close: channel closed");
}

TEST(Error, AReasonThatBeginsWithAnAcronymKeepsItsCase) {
  EXPECT_EQ(system_error(EDOTDOT, "call").message(), "call: RFS specific error");
}

TEST(Error, ErrnoErrorTakesTheCurrentErrno) {
  errno = EMFILE;
  const Error error = errno_error("accept");
  EXPECT_EQ(error.code.value(), EMFILE);
  EXPECT_EQ(error.op, "accept");
}

TEST(Error, AFailureOfTheSystemComparesWithTheStandardConditions) {
  const Error error = system_error(EADDRINUSE, "bind");
  EXPECT_EQ(error.code.category(), boost::system::system_category());
  EXPECT_EQ(error.code, boost::system::errc::address_in_use);
}

TEST(Error, AnErrcIsAnErrorCodeOfItsOwnCategory) {
  const boost::system::error_code code = Errc::NoDescriptor;
  EXPECT_EQ(code, Errc::NoDescriptor);
  EXPECT_EQ(code.category(), cohort_category());
  EXPECT_STREQ(code.category().name(), "cohort");
  EXPECT_TRUE(code.failed());
}

TEST(Error, EveryErrcHasASentenceOfItsOwn) {
  std::set<std::string> sentences;
  for (int value = 1; value <= static_cast<int>(Errc::PreloadFailed); ++value) {
    const std::string sentence = cohort_category().message(value);
    EXPECT_NE(sentence, "unknown error") << value;
    EXPECT_TRUE(sentences.insert(sentence).second) << sentence;
  }
  EXPECT_EQ(cohort_category().message(0), "unknown error");
  EXPECT_EQ(cohort_category().message(static_cast<int>(Errc::PreloadFailed) + 1), "unknown error")
      << "a new value belongs into this test";
}

TEST(Result, HoldsAValueOrAnError) {
  const Result<int> value = 3;
  EXPECT_TRUE(value);
  EXPECT_EQ(*value, 3);
  const Result<int> failed = make_error(Errc::NotAPrimary, "fork");
  EXPECT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::NotAPrimary);
}

TEST(Result, TheValueOfAnErrorThrowsWithTheWholeMessage) {
  const Result<void> failed = system_error(ENOENT, "spawn worker", "look in PATH");
  try {
    failed.value();
    FAIL() << "it throws";
  } catch (const boost::system::system_error& error) {
    EXPECT_EQ(error.code().value(), ENOENT);
    EXPECT_NE(
        std::string(error.what()).find("spawn worker: no such file or directory (look in PATH)"),
        std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace cohort
