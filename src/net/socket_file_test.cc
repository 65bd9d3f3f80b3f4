#include "net/socket_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "net/bind.h"
#include "net/test_world.h"

namespace cohort::net {
namespace {

namespace fs = std::filesystem;

class ASocketFile : public testing::Test {
 protected:
  Result<OwnFd> bind() { return bind_socket({.address = address_}); }
  bool connects() const {
    const auto sockaddr = to_sockaddr(address_).value();
    const OwnFd client = sys::socket(AF_UNIX, SOCK_STREAM, 0);
    return sys::connect(client.get(), sockaddr.get(), sockaddr.size) == 0;
  }
  void leave_behind() {
    const OwnFd gone = bind().value();
    ASSERT_TRUE(fs::is_socket(address_.path()));
  }

  test::TemporaryDirectory directory_;
  Address address_ = Address::from_path(directory_.file("s"));
};

TEST_F(ASocketFile, ThatWasLeftBehindIsReplaced) {
  leave_behind();
  const auto fd = bind();
  ASSERT_TRUE(fd) << fd.error();
  EXPECT_TRUE(connects()) << "it listens at once: nobody takes it for left behind";
}

TEST_F(ASocketFile, OnWhichSomebodyListensIsRefusedWithItsName) {
  const OwnFd first = bind().value();
  const auto second = bind();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code.value(), EADDRINUSE);
  EXPECT_TRUE(connects()) << "the first one's still";
}

TEST_F(ASocketFile, OnWhichSomebodyListensWithAFullQueueIsRefused) {
  const OwnFd first = bind().value();
  ASSERT_EQ(sys::listen(first.get(), 0), 0);
  const auto sockaddr = to_sockaddr(address_).value();
  std::vector<OwnFd> clients;
  for (int failure = 0; failure != EAGAIN;) {
    clients.push_back(sys::socket(AF_UNIX, SOCK_STREAM, 0));
    failure = sys::connect(clients.back().get(), sockaddr.get(), sockaddr.size) == 0 ? 0 : errno;
    ASSERT_LT(clients.size(), 100U);
  }
  EXPECT_EQ(bind().error().code.value(), EADDRINUSE);
}

TEST_F(ASocketFile, ThatIsNoSocketIsNeverRemoved) {
  std::ofstream{address_.path()} << "important";
  auto refused = bind();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(),
            "listen " + address_.path() +
                ": address already in use (a file that is no socket: remove it, or choose another "
                "path)");
  EXPECT_TRUE(fs::is_regular_file(address_.path()));
  // Nor a link, even to a socket that nobody has.
  fs::remove(address_.path());
  leave_behind();
  fs::rename(address_.path(), directory_.file("other"));
  fs::create_symlink("other", address_.path());
  EXPECT_FALSE(bind());
  EXPECT_TRUE(fs::is_symlink(address_.path()));
}

TEST_F(ASocketFile, IsLeftAloneWhileSomebodyElseHoldsTheLock) {
  leave_behind();
  const OwnFd lock = sys::open(directory_.file("").c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  EXPECT_EQ(bind().error().code.value(), EADDRINUSE);
  fs::remove(address_.path());
  EXPECT_TRUE(bind()) << "nothing is in the way";
}

// Of those that find it at the same moment one wins, each time.
TEST_F(ASocketFile, ThatManyWantAtOnceGoesToOne) {
  constexpr int kMany = 8;
  for (int round = 0; round < 20; ++round) {
    leave_behind();
    OwnFd start[2], hold[2];
    ASSERT_EQ(sys::pipe(start), 0);
    ASSERT_EQ(sys::pipe(hold), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < kMany; ++i) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        start[1].reset();
        hold[1].reset();
        char byte;
        (void)!::read(start[0].get(), &byte, 1);  // all at once: the end of the pipe
        const auto fd = bind();
        const char won = fd ? '1' : '0';
        if (fd) (void)!::read(hold[0].get(), &byte, 1);
        ::_exit(won == '1' ? 1 : 0);
      }
      children.push_back(pid);
    }
    start[1].reset();
    int winners = 0, losers = 0;
    const auto reap = [&](pid_t pid) {
      int status = 0;
      ::waitpid(pid, &status, 0);
      (WEXITSTATUS(status) == 1 ? winners : losers) += 1;
    };
    // The losers end by themselves; who won waits until it is let go.
    for (int i = 0; i < kMany - 1; ++i) {
      siginfo_t info{};
      ASSERT_EQ(::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
      reap(info.si_pid);
    }
    EXPECT_EQ(losers, kMany - 1);
    EXPECT_TRUE(connects());
    hold[1].reset();
    siginfo_t info{};
    ASSERT_EQ(::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
    reap(info.si_pid);
    EXPECT_EQ(winners, 1);
    fs::remove(address_.path());
  }
}

TEST_F(ASocketFile, IsRemovedByWhoBoundIt) {
  const OwnFd fd = bind().value();
  SocketFile file{address_};
  file.remove();
  EXPECT_FALSE(fs::exists(address_.path()));
  file.remove();
}

// As most programs do: unlink, then bind.
TEST_F(ASocketFile, ThatAnotherPutInItsPlaceIsLeftAlone) {
  const OwnFd mine = bind().value();
  SocketFile file{address_};
  fs::remove(address_.path());
  const OwnFd anothers = bind().value();
  file.remove();
  EXPECT_TRUE(connects()) << "the other's";
}

TEST_F(ASocketFile, WhoseNameIsADirectoryByNowIsLeftAlone) {
  const OwnFd mine = bind().value();
  SocketFile file{address_};
  fs::remove(address_.path());
  fs::create_directory(address_.path());
  file.remove();
  EXPECT_TRUE(fs::is_directory(address_.path()));
}

}  // namespace
}  // namespace cohort::net