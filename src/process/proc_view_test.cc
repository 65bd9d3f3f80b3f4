#include "process/proc_view.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

namespace cohort::process {
namespace {

using Inodes = std::set<std::uint64_t>;

TEST(HandledSignals, AreThoseThatAreCaughtOrIgnored) {
  EXPECT_EQ(
      parse_handled_signals("Name:\tx\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000004002\n"),
      0x5002u);
  EXPECT_EQ(parse_handled_signals("Name:\tx\n"), std::nullopt);
  EXPECT_EQ(parse_handled_signals("SigCgt:\tnot hex\n"), std::nullopt);
  EXPECT_EQ(parse_handled_signals(""), std::nullopt);
}

TEST(Connections, AreThoseOfThePortThatAreOpenOnOurSide) {
  constexpr const char* kTable =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
      "inode\n"
      "   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
      "11 1 x\n"
      "   1: 0100007F:1F40 0100007F:8E1C 01 00000000:00000000 00:00000000 00000000     0        0 "
      "12 1 x\n"
      "   2: 0100007F:1F40 0100007F:8E1D 08 00000000:00000000 00:00000000 00000000     0        0 "
      "13 1 x\n"
      "   3: 0100007F:8E1C 0100007F:1F40 01 00000000:00000000 00:00000000 00000000     0        0 "
      "14 1 x\n"
      "   4: 0100007F:1F40 0100007F:8E1E 06 00000000:00000000 03:00000000 00000000     0        0 "
      "0 3 x\n"
      "   5: torn";
  EXPECT_EQ(parse_connections(kTable, {8000}), (Inodes{12, 13}));
  EXPECT_EQ(parse_connections(kTable, {}), Inodes{});
  EXPECT_EQ(parse_connections("", {8000}), Inodes{});
}

TEST(UnixConnections, HaveTheirListenersName) {
  constexpr const char* kTable =
      "Num       RefCount Protocol Flags    Type St Inode Path\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01 21 /run/a b.sock\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03 22 /run/a b.sock\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03 23 @name\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03 24\n";
  EXPECT_EQ(parse_unix_connections(kTable, {"/run/a b.sock"}), (Inodes{22}));
  EXPECT_EQ(parse_unix_connections(kTable, {"@name"}), (Inodes{23}));
}

TEST(LookAt, TellsOfThisProcessWhatItHandles) {
  const auto before = ::signal(SIGUSR2, SIG_DFL);
  EXPECT_FALSE(look_at(::getpid(), {}).handles(SIGUSR2));
  ::signal(SIGUSR2, SIG_IGN);
  EXPECT_TRUE(look_at(::getpid(), {}).handles(SIGUSR2));
  ::signal(SIGUSR2, [](int) {});
  EXPECT_TRUE(look_at(::getpid(), {}).handles(SIGUSR2));
  ::signal(SIGUSR2, before);
}

TEST(LookAt, KnowsNothingOfAProcessThatIsGone) {
  const ProcView view = look_at(::getpid(), {{"", 8000}}, "/nonexistent");
  EXPECT_EQ(view.handled_signals, std::nullopt);
  EXPECT_EQ(view.connections, std::nullopt);
}

}  // namespace
}  // namespace cohort::process
