#include "net/holder.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "net/bind.h"
#include "net/test_world.h"

namespace cohort::net {
namespace {

namespace fs = std::filesystem;

TEST(InTheWay, IsWhoHasTheSameOrAnyHost) {
  const HostBytes local{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
  const ListedSocket any{.inode = 1}, here{.inode = 2, .state = TCP_LISTEN, .host = local},
      gone{.inode = 0, .host = local};
  const auto inodes = [&](const HostBytes& host) {
    std::vector<std::uint64_t> found;
    for (const auto& socket : in_the_way({any, here, gone}, host)) found.push_back(socket.inode);
    return found;
  };
  using Inodes = std::vector<std::uint64_t>;
  EXPECT_EQ(inodes({}), (Inodes{2, 1})) << "who listens first";
  EXPECT_EQ(inodes(local), (Inodes{2, 1}));
  EXPECT_EQ(inodes({1}), Inodes{1});
}

/// A small /proc in which the process 4711 has the socket.
class HolderInProc : public testing::Test {
 protected:
  void give(pid_t pid, std::uint64_t inode, std::string_view command) {
    const fs::path process = fs::path{root_.file("")} / std::to_string(pid);
    fs::create_directories(process / "fd");
    fs::create_symlink("/dev/null", process / "fd/0");
    fs::create_symlink("socket:[" + std::to_string(inode) + "]", process / "fd/20");
    std::ofstream{process / "cmdline"} << command;
  }
  static std::uint64_t inode_of(const OwnFd& fd) {
    struct stat info{};
    const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
    EXPECT_EQ(sys::stat(link.c_str(), info), 0);
    return info.st_ino;
  }
  test::TemporaryDirectory root_;
};

TEST_F(HolderInProc, IsTheFirstProcessThatHasTheSocket) {
  const OwnFd fd = bind_socket({.address = {"127.0.0.1", 0}}).value();
  ASSERT_TRUE(listen_on(fd.get(), 0));
  const Address address = local_address(fd.get()).value();
  give(4712, inode_of(fd), "worker");
  give(4711, inode_of(fd), {"/usr/bin/node\0app.ts\0", 21});
  give(30, 1, "another");
  fs::create_directories(root_.file("self/fd"));
  const auto holder = holder_of(address, root_.file(""));
  EXPECT_EQ(holder, (Holder{4711, ::getuid(), "node app.ts"}));
  EXPECT_EQ(to_string(*holder), "pid 4711 (node app.ts)");
  EXPECT_EQ(holder_of({"", address.port()}, root_.file("")), holder);
  EXPECT_FALSE(holder_of({"127.0.0.2", address.port()}, root_.file("")));
}

TEST_F(HolderInProc, IsTheUserAloneIfTheProcessCannotBeSeen) {
  const OwnFd fd = bind_socket({.address = {"127.0.0.1", 0}}).value();
  ASSERT_TRUE(listen_on(fd.get(), 0));
  const auto holder = holder_of(local_address(fd.get()).value(), root_.file(""));
  EXPECT_EQ(holder, (Holder{std::nullopt, ::getuid(), ""}));
  EXPECT_EQ(to_string(*holder), "a process of uid " + std::to_string(::getuid()));
}

TEST(Holder, OfUdpAndIpv6AndUnixSocketsIsFoundToo) {
  const auto is_this_process = [](const Address& address) {
    const auto holder = holder_of(address);
    EXPECT_TRUE(holder) << address;
    return holder && holder->pid == ::getpid() && !holder->command.empty();
  };
  test::TemporaryDirectory directory;
  const auto path = Address::from_path(directory.file("s"));
  const OwnFd unix_socket = bind_socket({.address = path}).value();
  EXPECT_TRUE(is_this_process(path));
  if (test::has_ipv6()) {
    const OwnFd v6 = bind_socket({.address = {"::1", 0}}).value();
    ASSERT_TRUE(listen_on(v6.get(), 0));
    EXPECT_TRUE(is_this_process(local_address(v6.get()).value()));
  }
  const OwnFd datagrams = sys::socket(AF_INET, SOCK_DGRAM, 0);
  const auto any = to_sockaddr({"127.0.0.1", 0}).value();
  ASSERT_EQ(sys::bind(datagrams.get(), any.get(), any.size), 0);
  const auto bound = local_address(datagrams.get()).value();
  EXPECT_TRUE(is_this_process(Address::datagram(bound.host(), bound.port())));
}

TEST(Holder, IsInTheErrorAndInTheNotice) {
  const OwnFd fd = bind_socket({.address = {"127.0.0.1", 0}}).value();
  ASSERT_TRUE(listen_on(fd.get(), 0));
  const Address address = local_address(fd.get()).value();
  const Error busy = with_holder(error_for(address, EADDRINUSE), address);
  EXPECT_TRUE(busy.message().starts_with("listen " + to_string(address) +
                                         ": address already in use (taken by pid " +
                                         std::to_string(::getpid())))
      << busy;
  // Of a forbidden port there is nobody to name.
  const Address port_80{"127.0.0.1", 80};
  const Error forbidden = error_for(port_80, EACCES);
  EXPECT_EQ(with_holder(forbidden, port_80).message(), forbidden.message());
  const Remark remark = cannot_listen(port_80, forbidden);
  EXPECT_EQ(remark.code, "cannot_listen");
  EXPECT_EQ(remark.text, forbidden.message());
}

}  // namespace
}  // namespace cohort::net
