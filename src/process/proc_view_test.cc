#include "process/proc_view.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/read_file.h"
#include "base/sys.h"

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

// Those of others, and those that are closed, are not among them, however many there are.
TEST(LookAt, CountsTheConnectionsThatAreOpen) {
  OwnFd listening = sys::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  sys::set_nonblocking(listening.get(), false);
  ASSERT_EQ(::bind(listening.get(), any, size), 0);
  ASSERT_EQ(::listen(listening.get(), 10), 0);
  ASSERT_EQ(::getsockname(listening.get(), any, &size), 0);
  const std::vector<Address> ports{{"127.0.0.1", ntohs(address.sin_port)}};
  EXPECT_EQ(look_at(::getpid(), ports).connections, 0U);
  std::vector<OwnFd> clients, servers;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(sys::socket(AF_INET, SOCK_STREAM, 0));
    sys::set_nonblocking(clients.back().get(), false);
    ASSERT_EQ(::connect(clients.back().get(), any, size), 0) << errno;
    servers.push_back(sys::accept(listening.get()));
    ASSERT_TRUE(servers.back());
  }
  EXPECT_EQ(look_at(::getpid(), ports).connections, 3U);
  servers.pop_back();
  EXPECT_EQ(look_at(::getpid(), ports).connections, 2U);
  EXPECT_EQ(look_at(::getpid(), {{"127.0.0.1", 1}}).connections, 0U);
}

// dash waits for its child when INT comes; without a trap that is no handler of the program's.
TEST(LookAt, DoesNotTakeAShellForAHandlerOfInt) {
  const pid_t shell = ::fork();
  if (shell == 0) {
    ::setpgid(0, 0);
    ::execl("/bin/sh", "sh", "-c", "sleep 1000; :", nullptr);
    ::_exit(127);
  }
  const std::string exe = "/proc/" + std::to_string(shell) + "/exe";
  const auto catches = [&] {
    const auto status = read_file("/proc/" + std::to_string(shell) + "/status");
    return (parse_handled_signals(status.value_or("")).value_or(0) >> (SIGINT - 1) & 1) != 0;
  };
  // It says nothing of its handlers: they are looked at until it has them.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  const auto is_shell = [&] {
    return std::filesystem::read_symlink(exe) != std::filesystem::read_symlink("/proc/self/exe");
  };
  while (!(is_shell() && catches()) && std::chrono::steady_clock::now() < deadline) ::sched_yield();
  EXPECT_TRUE(catches());
  EXPECT_FALSE(look_at(shell, {}).handles(SIGINT));
  ::kill(-shell, SIGKILL);
  ::waitpid(shell, nullptr, 0);
}

TEST(TcpListeners, AreThoseOfTheProcessWithTheirConnections) {
  const OwnFd listening = sys::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  socklen_t size = sizeof address;
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listening.get(), plain, size), 0);
  ASSERT_EQ(::listen(listening.get(), 5), 0);
  ASSERT_EQ(::getsockname(listening.get(), plain, &size), 0);
  const Address where{"127.0.0.1", ntohs(address.sin_port)};
  const auto found = [&]() -> std::optional<std::size_t> {
    const auto listeners = tcp_listeners_of(::getpid());
    if (!listeners) return std::nullopt;
    for (const TcpListener& each : *listeners)
      if (each.address == where) return each.connections;
    return std::nullopt;
  };
  EXPECT_EQ(found(), 0U) << "it listens everywhere, so on the loopback interface, too";
  const OwnFd client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  ASSERT_EQ(::connect(client.get(), plain, size), 0);
  EXPECT_EQ(found(), 0U) << "nobody has taken it";
  const OwnFd taken{::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  EXPECT_EQ(found(), 1U);
  EXPECT_EQ(tcp_listeners_of(0), std::nullopt);
}

TEST(LookAt, KnowsNothingOfAProcessThatIsGone) {
  const ProcView view = look_at(::getpid(), {{"", 8000}}, "/nonexistent");
  EXPECT_EQ(view.handled_signals, std::nullopt);
  EXPECT_EQ(view.connections, std::nullopt);
}

}  // namespace
}  // namespace cohort::process
