// The two ends of a connection without a server: ours, and the client's.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "base/sys.h"
#include "net/sockaddr.h"

namespace cohort::http::test {

struct SocketPair {
  OwnFd ours;
  OwnFd client;
};

inline SocketPair unix_pair() {
  OwnFd ends[2];
  EXPECT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, ends), 0);
  return {std::move(ends[0]), std::move(ends[1])};
}

/// Over loopback: the kernel connects the two while nobody accepts yet.
inline SocketPair tcp_pair() {
  const OwnFd listener = sys::socket(AF_INET, SOCK_STREAM, 0);
  const auto any = net::to_sockaddr({"127.0.0.1", 0}).value();
  EXPECT_EQ(sys::bind(listener.get(), any.get(), any.size), 0);
  EXPECT_EQ(sys::listen(listener.get(), 1), 0);
  const auto bound = net::to_sockaddr(net::local_address(listener.get()).value()).value();
  SocketPair pair;
  pair.client = sys::socket(AF_INET, SOCK_STREAM, 0);
  sys::set_nonblocking(pair.client.get(), false);
  EXPECT_EQ(sys::connect(pair.client.get(), bound.get(), bound.size), 0);
  sys::set_nonblocking(pair.client.get(), true);
  pair.ours = sys::accept(listener.get());
  EXPECT_TRUE(pair.ours);
  return pair;
}

/// All that is there; then errno is EAGAIN while more may come, and 0 after the end.
inline std::string read_all(const OwnFd& fd) {
  std::string text;
  char buffer[65536];
  while (true) {
    errno = 0;
    const ssize_t size = sys::recv(fd.get(), buffer, sizeof buffer, 0);
    if (size <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(size));
  }
}

/// How many of the bytes were taken.
inline std::size_t send_some(const OwnFd& fd, std::string_view bytes) {
  const ssize_t size = sys::send(fd.get(), bytes.data(), bytes.size());
  return size < 0 ? 0 : static_cast<std::size_t>(size);
}

}  // namespace cohort::http::test
