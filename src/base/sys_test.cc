#include "base/sys.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace cohort {
namespace {

using namespace std::chrono_literals;

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }
bool is_cloexec(const OwnFd& fd) { return (::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0; }
bool is_nonblocking(const OwnFd& fd) { return (::fcntl(fd.get(), F_GETFL) & O_NONBLOCK) != 0; }

OwnFd any_fd() { return sys::open("/dev/null", O_RDONLY); }

// A listening socket on a port of the loopback interface, and where it is.
struct LocalListener {
  LocalListener() {
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(sys::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(sys::listen(fd.get(), 5), 0);
    sockaddr_storage bound{};
    socklen_t size = 0;
    EXPECT_EQ(sys::getsockname(fd.get(), bound, size), 0);
    EXPECT_EQ(size, sizeof address);
    std::memcpy(&address, &bound, sizeof address);
  }
  OwnFd fd = sys::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
};

TEST(OwnFd, ClosesOnceAndOnlyWhatItOwns) {
  int number = -1;
  {
    const OwnFd fd = any_fd();
    number = fd.get();
    EXPECT_TRUE(fd);
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
  OwnFd released = any_fd();
  number = released.release();
  EXPECT_FALSE(released);
  released.reset();
  EXPECT_TRUE(is_open(number));
  released.reset(number);
  const int next = any_fd().release();
  released.reset(next);
  EXPECT_FALSE(is_open(number)) << "what it owned before is closed";
  EXPECT_TRUE(is_open(next));
}

TEST(OwnFd, MovesEmptyWhatTheyMoveFrom) {
  OwnFd first = any_fd();
  const int number = first.get();
  OwnFd second{std::move(first)};
  EXPECT_EQ(second.get(), number);
  OwnFd third = any_fd();
  const int old = third.get();
  third = std::move(second);
  EXPECT_EQ(third.get(), number);
  EXPECT_FALSE(is_open(old));
  OwnFd& same = third;
  third = std::move(same);
  EXPECT_EQ(third.get(), number) << "a move to itself changes nothing";
  EXPECT_TRUE(is_open(number));
}

TEST(Sys, SocketsAreCloseOnExecAndNonBlocking) {
  const LocalListener listener;
  EXPECT_TRUE(is_cloexec(listener.fd) && is_nonblocking(listener.fd));
  const OwnFd client = sys::socket(AF_INET, SOCK_STREAM, 0);
  const int connecting = sys::connect(
      client.get(), reinterpret_cast<const sockaddr*>(&listener.address), sizeof listener.address);
  EXPECT_TRUE(connecting == 0 || errno == EINPROGRESS);
  ASSERT_GT(sys::poll(listener.fd.get(), POLLIN, 10000), 0);
  sockaddr_storage peer{};
  const OwnFd accepted = sys::accept(listener.fd.get(), &peer);
  EXPECT_TRUE(is_cloexec(accepted) && is_nonblocking(accepted));
  EXPECT_EQ(peer.ss_family, AF_INET);
  sockaddr_storage own{};
  socklen_t size = 0;
  ASSERT_EQ(sys::getsockname(client.get(), own, size), 0);
  EXPECT_EQ(std::memcmp(&own, &peer, sizeof(sockaddr_in)), 0);
  ASSERT_EQ(sys::getpeername(client.get(), own, size), 0);
  EXPECT_EQ(reinterpret_cast<sockaddr_in&>(own).sin_port, listener.address.sin_port);
  EXPECT_FALSE(sys::accept(listener.fd.get()));
  EXPECT_EQ(errno, EAGAIN);
}

TEST(Sys, APairBlocksOnlyIfAskedTo) {
  OwnFd pair[2];
  for (const bool nonblocking : {true, false}) {
    ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, nonblocking, pair), 0);
    for (const OwnFd& end : pair) {
      EXPECT_TRUE(is_cloexec(end));
      EXPECT_EQ(is_nonblocking(end), nonblocking);
    }
  }
}

TEST(Sys, PipesAndFilesAreCloseOnExecAndBlock) {
  OwnFd ends[2];
  ASSERT_EQ(sys::pipe(ends), 0);
  const OwnFd file = any_fd();
  for (const OwnFd* fd : std::initializer_list<const OwnFd*>{&ends[0], &ends[1], &file}) {
    EXPECT_TRUE(is_cloexec(*fd));
    EXPECT_FALSE(is_nonblocking(*fd));
  }
  EXPECT_EQ(sys::write(ends[1].get(), "abc", 3), 3);
  int waiting = 0;
  EXPECT_EQ(sys::bytes_readable(ends[0].get(), waiting), 0);
  EXPECT_EQ(waiting, 3);
  std::array<char, 8> buffer{};
  EXPECT_EQ(sys::read(ends[0].get(), buffer.data(), buffer.size()), 3);
  ends[1].reset();
  EXPECT_EQ(sys::read(ends[0].get(), buffer.data(), buffer.size()), 0);
}

TEST(Sys, AnEpollIsReadableWhileOneOfItsDescriptorsIs) {
  OwnFd one[2], other[2];
  ASSERT_EQ(sys::pipe(one), 0);
  ASSERT_EQ(sys::pipe(other), 0);
  const OwnFd epoll = sys::epoll_create();
  ASSERT_TRUE(epoll);
  EXPECT_TRUE(is_cloexec(epoll));
  ASSERT_EQ(sys::epoll_add_readable(epoll.get(), one[0].get(), 1), 0);
  ASSERT_EQ(sys::epoll_add_readable(epoll.get(), other[0].get(), 2), 0);
  EXPECT_EQ(sys::poll(epoll.get(), POLLIN, 0), 0);
  std::array<epoll_event, 2> ready{};
  EXPECT_EQ(sys::epoll_ready(epoll.get(), ready), 0);
  EXPECT_EQ(sys::write(other[1].get(), "x", 1), 1);
  EXPECT_EQ(sys::poll(epoll.get(), POLLIN, 0), 1);
  EXPECT_FALSE(is_nonblocking(other[0])) << "it is watched as it is";
  EXPECT_EQ(sys::epoll_ready(epoll.get(), ready), 1);
  EXPECT_EQ(ready[0].data.u64, 2u);
  char byte = 0;
  EXPECT_EQ(sys::read(other[0].get(), &byte, 1), 1);
  EXPECT_EQ(sys::poll(epoll.get(), POLLIN, 0), 0);
}

TEST(Sys, FlagsAreSetAndClearedWithoutTouchingOthers) {
  OwnFd ends[2];
  ASSERT_EQ(sys::pipe(ends), 0);
  ASSERT_EQ(sys::set_nonblocking(ends[1].get(), true), 0);
  EXPECT_TRUE(is_nonblocking(ends[1]));
  EXPECT_EQ(::fcntl(ends[1].get(), F_GETFL) & O_ACCMODE, O_WRONLY);
  ASSERT_EQ(sys::set_nonblocking(ends[1].get(), false), 0);
  EXPECT_FALSE(is_nonblocking(ends[1]));
  ASSERT_EQ(sys::set_cloexec(ends[1].get(), false), 0);
  EXPECT_FALSE(is_cloexec(ends[1]));
  ASSERT_EQ(sys::set_cloexec(ends[1].get(), true), 0);
  EXPECT_TRUE(is_cloexec(ends[1]));
}

TEST(Sys, ADuplicateIsCloseOnExecAndAboveTheLowestNumber) {
  const OwnFd fd = any_fd();
  const OwnFd copy = sys::duplicate(fd.get(), 50);
  EXPECT_GE(copy.get(), 50);
  EXPECT_TRUE(is_cloexec(copy));
}

TEST(Sys, SendingToADeadPeerIsAnErrorAndNoSignal) {
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  pair[1].reset();
  EXPECT_EQ(sys::send(pair[0].get(), "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  iovec data{const_cast<char*>("x"), 1};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  EXPECT_EQ(sys::sendmsg(pair[0].get(), message), -1);
  EXPECT_EQ(errno, EPIPE);
}

TEST(Sys, DescriptorsThatAreReceivedAreCloseOnExec) {
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  const OwnFd sent = any_fd();
  char byte = 'x';
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int number = sent.get();
  std::memcpy(CMSG_DATA(header), &number, sizeof number);
  ASSERT_EQ(sys::sendmsg(pair[0].get(), message), 1);

  control.fill(0);
  message.msg_controllen = control.size();
  ASSERT_EQ(sys::recvmsg(pair[1].get(), message), 1);
  header = CMSG_FIRSTHDR(&message);
  ASSERT_NE(header, nullptr);
  int received = -1;
  std::memcpy(&received, CMSG_DATA(header), sizeof received);
  const OwnFd owned{received};
  EXPECT_TRUE(is_cloexec(owned));
  struct ::stat a{};
  struct ::stat b{};
  ASSERT_EQ(::fstat(number, &a), 0);
  ASSERT_EQ(::fstat(received, &b), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);
}

TEST(Sys, OptionsAreReadBackAsTheyWereSet) {
  const OwnFd fd = sys::socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(sys::set_int_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1), 0);
  int value = 0;
  socklen_t size = sizeof value;
  ASSERT_EQ(sys::getsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &value, size), 0);
  EXPECT_EQ(value, 1);
}

TEST(Sys, WaitForSeesReadinessEndAndDeadline) {
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  const auto soon = std::chrono::steady_clock::now() + 20ms;
  EXPECT_FALSE(sys::wait_for(pair[0].get(), POLLIN, soon));
  EXPECT_GE(std::chrono::steady_clock::now(), soon);
  EXPECT_FALSE(sys::wait_for(pair[0].get(), POLLIN, soon)) << "a deadline in the past";
  EXPECT_TRUE(sys::wait_for(pair[0].get(), POLLOUT, soon)) << "ready is ready, even late";
  pair[1].reset();
  EXPECT_TRUE(sys::wait_for(pair[0].get(), POLLIN, std::chrono::steady_clock::now() + 10s));
}

// Interrupts this thread every few milliseconds; the third signal writes a byte.
int g_interrupts = 0;
int g_wake_fd = -1;
void interrupted(int) {
  if (++g_interrupts == 3) std::ignore = ::write(g_wake_fd, "x", 1);
}

TEST(Sys, AnInterruptedCallIsRetried) {
  OwnFd ends[2];
  ASSERT_EQ(sys::pipe(ends), 0);
  g_interrupts = 0;
  g_wake_fd = ends[1].get();
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = interrupted;  // without SA_RESTART
  ASSERT_EQ(::sigaction(SIGALRM, &action, &before), 0);
  itimerval often{};
  often.it_value.tv_usec = often.it_interval.tv_usec = 5000;
  ASSERT_EQ(::setitimer(ITIMER_REAL, &often, nullptr), 0);
  char byte = 0;
  EXPECT_EQ(sys::read(ends[0].get(), &byte, 1), 1);
  EXPECT_FALSE(sys::wait_for(ends[0].get(), POLLIN, std::chrono::steady_clock::now() + 50ms));
  const itimerval never{};
  ::setitimer(ITIMER_REAL, &never, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  EXPECT_GE(g_interrupts, 3);
}

// Processes.

struct Sleeper {
  Sleeper() : pid{::fork()} {
    if (pid == 0) {
      for (;;) ::pause();
    }
    pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    EXPECT_TRUE(pidfd);
  }
  pid_t pid;
  OwnFd pidfd;
};

TEST(Sys, AProcessIsReapedOnceThroughItsPidfd) {
  const Sleeper sleeper;
  siginfo_t info{};
  rusage usage{};
  EXPECT_EQ(sys::reap(sleeper.pidfd.get(), info, usage), 0) << "it lives";
  EXPECT_EQ(sys::kill(sleeper.pid, 0), 0);
  ASSERT_EQ(sys::signal_process(sleeper.pidfd.get(), SIGKILL), 0);
  ASSERT_GT(sys::poll(sleeper.pidfd.get(), POLLIN, 10000), 0);
  usage.ru_maxrss = -1;
  ASSERT_EQ(sys::reap(sleeper.pidfd.get(), info, usage), 1);
  EXPECT_EQ(info.si_pid, sleeper.pid);
  EXPECT_EQ(info.si_code, CLD_KILLED);
  EXPECT_EQ(info.si_status, SIGKILL);
  EXPECT_GE(usage.ru_maxrss, 0);
  EXPECT_EQ(sys::reap(sleeper.pidfd.get(), info, usage), -1);
  EXPECT_EQ(errno, ECHILD);
  EXPECT_EQ(sys::signal_process(sleeper.pidfd.get(), SIGKILL), -1);
  EXPECT_EQ(errno, ESRCH) << "never another process with its number";
}

// Failures on demand.

TEST(FailNth, EveryCallCanFail) {
  const OwnFd fd = any_fd();
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  msghdr message{};
  siginfo_t info{};
  rusage usage{};
  struct ::stat status{};
  OwnFd pair[2];
  int value = 0;
  std::array<epoll_event, 1> events{};
  const int n = fd.get();
  const auto* const target = reinterpret_cast<const sockaddr*>(&address);
  const std::vector<std::pair<const char*, std::function<bool()>>> calls = {
      {"socket", [&] { return !sys::socket(AF_INET, SOCK_STREAM, 0); }},
      {"socketpair", [&] { return sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair) == -1; }},
      {"bind", [&] { return sys::bind(n, target, size) == -1; }},
      {"listen", [&] { return sys::listen(n, 1) == -1; }},
      {"accept", [&] { return !sys::accept(n); }},
      {"connect", [&] { return sys::connect(n, target, size) == -1; }},
      {"shutdown", [&] { return sys::shutdown(n, SHUT_WR) == -1; }},
      {"getsockname", [&] { return sys::getsockname(n, address, size) == -1; }},
      {"getpeername", [&] { return sys::getpeername(n, address, size) == -1; }},
      {"getsockopt", [&] { return sys::getsockopt(n, SOL_SOCKET, SO_TYPE, &value, size) == -1; }},
      {"setsockopt", [&] { return sys::set_int_option(n, SOL_SOCKET, SO_REUSEADDR, 1) == -1; }},
      {"recv", [&] { return sys::recv(n, &value, 1, 0) == -1; }},
      {"send", [&] { return sys::send(n, &value, 1) == -1; }},
      {"sendmsg", [&] { return sys::sendmsg(n, message) == -1; }},
      {"recvmsg", [&] { return sys::recvmsg(n, message) == -1; }},
      {"wait_for",
       [&] { return !sys::wait_for(n, POLLIN, std::chrono::steady_clock::now() + 1h); }},
      {"ioctl", [&] { return sys::bytes_readable(n, value) == -1; }},
      {"open", [&] { return !sys::open("/dev/null", O_RDONLY); }},
      {"read", [&] { return sys::read(n, &value, 1) == -1; }},
      {"write", [&] { return sys::write(n, &value, 1) == -1; }},
      {"pipe", [&] { return sys::pipe(pair) == -1; }},
      {"epoll_create", [&] { return !sys::epoll_create(); }},
      {"epoll_add_readable", [&] { return sys::epoll_add_readable(n, n, 0) == -1; }},
      {"epoll_ready", [&] { return sys::epoll_ready(n, events) == -1; }},
      {"duplicate", [&] { return !sys::duplicate(n); }},
      {"set_nonblocking", [&] { return sys::set_nonblocking(n, true) == -1; }},
      {"set_cloexec", [&] { return sys::set_cloexec(n, true) == -1; }},
      {"unlink", [&] { return sys::unlink("/nonexistent") == -1; }},
      {"access", [&] { return sys::access("/", F_OK) == -1; }},
      {"poll", [&] { return sys::poll(n, POLLIN, 0) == -1; }},
      {"stat", [&] { return sys::stat("/", status) == -1; }},
      {"chmod", [&] { return sys::chmod("/nonexistent", 0) == -1; }},
      {"signal_process", [&] { return sys::signal_process(n, 0) == -1; }},
      {"kill", [&] { return sys::kill(::getpid(), 0) == -1; }},
      {"reap", [&] { return sys::reap(n, info, usage) == -1; }},
  };
  for (const auto& [name, call] : calls) {
    sys::FailNth fail{0, EDOM};  // which none of them has
    errno = 0;
    EXPECT_TRUE(call()) << name;
    EXPECT_EQ(errno, EDOM) << name;
    EXPECT_TRUE(fail.fired()) << name;
    EXPECT_EQ(fail.calls(), 1) << name;
  }
  EXPECT_FALSE(pair[0] || pair[1]);
}

TEST(FailNth, OnlyTheNthCallFails) {
  sys::FailNth fail{2, EMFILE};
  EXPECT_TRUE(any_fd());
  EXPECT_TRUE(any_fd());
  EXPECT_FALSE(fail.fired());
  EXPECT_FALSE(any_fd());
  EXPECT_EQ(errno, EMFILE);
  EXPECT_TRUE(fail.fired());
  EXPECT_TRUE(any_fd());
  EXPECT_EQ(fail.calls(), 4);
}

TEST(Sys, HasTheCapabilitiesThatProcSays) {
  std::ifstream lines{"/proc/thread-self/status"};
  std::uint64_t effective = 0;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("CapEff:")) effective = std::stoull(line.substr(7), nullptr, 16);
  EXPECT_TRUE(sys::has_capabilities({}));
  for (unsigned each = 0; each < 41; ++each)
    EXPECT_EQ(sys::has_capabilities({each}), (effective >> each & 1) != 0) << each;
  EXPECT_FALSE(sys::has_capabilities({0, 63})) << "all of them";
}

TEST(FailNth, TheInnermostCountsAndTheOuterOneGoesOnAfterwards) {
  sys::FailNth outer{1, EMFILE};
  EXPECT_TRUE(any_fd());
  {
    sys::FailNth inner{0, ENFILE};
    EXPECT_FALSE(any_fd());
    EXPECT_EQ(errno, ENFILE);
    EXPECT_TRUE(any_fd());
  }
  EXPECT_EQ(outer.calls(), 1);
  EXPECT_FALSE(any_fd());
  EXPECT_EQ(errno, EMFILE);
}

TEST(FailNth, NothingFailsWithoutOne) {
  {
    sys::FailNth fail{0, EMFILE};
  }
  EXPECT_TRUE(any_fd());
}

}  // namespace
}  // namespace cohort
