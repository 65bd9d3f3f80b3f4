// For unit tests of servers: a loop with a DirectHost, and clients whose calls run that loop
// meanwhile, all in one thread.
#pragma once

#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/sys.h"
#include "net/direct_host.h"
#include "net/listener.h"
#include "net/sockaddr.h"

namespace cohort::net::test {

using namespace std::chrono_literals;

inline ListenRequest request_for(Address address) {
  ListenRequest request;
  request.address = std::move(address);
  return request;
}

inline bool has_ipv6() {
  const auto address = to_sockaddr({"::1", 0});
  const OwnFd fd = sys::socket(AF_INET6, SOCK_STREAM, 0);
  return fd && sys::bind(fd.get(), address->get(), address->size) == 0;
}

/// Exits with 0 if `holds` in a network of this test's own, with a loopback interface and these
/// settings of /proc/sys/net/ipv4, and with 77 where that is not allowed. For EXPECT_EXIT.
[[noreturn]] inline void exit_from_own_network(
    const std::vector<std::pair<std::string, std::string>>& settings,
    const std::function<bool()>& holds) {
  constexpr int kNotAllowed = 77;
  if (::unshare(CLONE_NEWNET) == -1) std::exit(kNotAllowed);
  ifreq loopback{};
  std::string_view{"lo"}.copy(loopback.ifr_name, sizeof loopback.ifr_name);
  loopback.ifr_flags = IFF_UP;
  const OwnFd fd = sys::socket(AF_INET, SOCK_DGRAM, 0);
  if (::ioctl(fd.get(), SIOCSIFFLAGS, &loopback) == -1) std::exit(kNotAllowed);
  for (const auto& [name, value] : settings) {
    std::ofstream file{"/proc/sys/net/ipv4/" + name};
    if (!(file << value << std::flush)) std::exit(kNotAllowed);
  }
  std::exit(holds() ? 0 : 1);
}
inline bool holds_or_is_not_allowed(int status) {
  return WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
}

/// A directory for socket files, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "cohort-net-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string file(const std::string& name) const { return path_ + '/' + name; }

 private:
  std::string path_;
};

struct World {
  boost::asio::io_context io;
  Loop loop{io, io.get_executor()};
  DirectHost host{loop};

  /// Runs the loop until `done`; false after a deadline.
  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds deadline = 30s) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      if (io.stopped()) io.restart();
      io.run_one_for(10ms);
    }
    return true;
  }
  /// Runs the loop for a while, or until nothing is left to wait for (`io.stopped()`); the number
  /// of handlers that ran.
  std::size_t run_for(std::chrono::milliseconds duration) {
    io.restart();
    return io.run_for(duration);
  }
  /// Runs everything that is ready.
  void turn() {
    if (io.stopped()) io.restart();
    for (int i = 0; i < 20; ++i) io.poll();
  }
};

/// A DirectHost whose servers publish what they have under way, each in the `load` of its listen.
class PublishingHost final : public Host {
 public:
  explicit PublishingHost(DirectHost& direct) : direct_{direct} {}
  const Loop& loop() const override { return direct_.loop(); }
  std::unique_ptr<Listener> listen(const ListenRequest& request,
                                   std::shared_ptr<ListenerUser> user) override {
    user->publish_to(load);
    return direct_.listen(request, std::move(user));
  }
  std::unique_ptr<Listener> adopt(OwnFd listening, std::shared_ptr<ListenerUser> user) override {
    return direct_.adopt(std::move(listening), std::move(user));
  }
  Result<int> listening_descriptor(const ListenRequest& request) override {
    return direct_.listening_descriptor(request);
  }

  std::shared_ptr<Load> load = std::make_shared<Load>();

 private:
  DirectHost& direct_;
};

class Client {
 public:
  /// Connected when it returns: the kernel does that without the server's help. A receive buffer of
  /// 0 is the system's choice.
  Client(World& world, const Address& address, int receive_buffer = 0) : world_{world} {
    const auto target = to_sockaddr(address).value();
    fd_ = sys::socket(target.family(), SOCK_STREAM, 0);
    if (receive_buffer != 0) sys::set_int_option(fd_.get(), SOL_SOCKET, SO_RCVBUF, receive_buffer);
    sys::set_nonblocking(fd_.get(), false);
    connected_ = sys::connect(fd_.get(), target.get(), target.size) == 0;
    sys::set_nonblocking(fd_.get(), true);
  }

  bool connected() const { return connected_; }
  int fd() const { return fd_.get(); }
  Address local() const { return local_address(fd_.get()).value(); }
  bool send(std::string_view data) {
    return sys::send(fd_.get(), data.data(), data.size()) == static_cast<ssize_t>(data.size());
  }
  /// The next `size` bytes, less at the end of the stream or after a deadline.
  std::string read(std::size_t size) {
    std::string text;
    world_.run_until([&] { return !read_some(text, size) || text.size() == size; });
    return text;
  }
  /// Whether the peer has ended the stream, nothing being left to read; waits for it.
  bool ended() {
    std::string text;
    const bool done = world_.run_until([&] { return !read_some(text, 1) || !text.empty(); });
    return done && text.empty();
  }
  /// Whether the connection was reset; waits for it.
  bool reset() {
    return world_.run_until([&] {
      char byte;
      return sys::recv(fd_.get(), &byte, 1, 0) == -1 && errno == ECONNRESET;
    });
  }
  void end() { sys::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }
  /// Closes so that the peer sees a reset.
  void abort() {
    const linger now{1, 0};
    sys::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    fd_.reset();
  }

 private:
  // Reads what is there, up to `size` in all. False at the end of the stream.
  bool read_some(std::string& text, std::size_t size) {
    char buffer[65536];
    while (text.size() < size) {
      const ssize_t got =
          sys::recv(fd_.get(), buffer, std::min(sizeof buffer, size - text.size()), 0);
      if (got <= 0) return got == -1 && errno == EAGAIN;
      text.append(buffer, static_cast<std::size_t>(got));
    }
    return true;
  }

  World& world_;
  OwnFd fd_;
  bool connected_ = false;
};

}  // namespace cohort::net::test
