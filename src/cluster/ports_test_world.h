// What tests of the primary's ports share: workers that a test plays, and Listeners on a loop of
// their own.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/notices.h"
#include "base/sys.h"
#include "cluster/listeners.h"
#include "net/sockaddr.h"

namespace cohort::cluster {

// A worker that answers nothing by itself.
class Peer final : public HandoffPeer {
 public:
  explicit Peer(int id) : Peer{id, static_cast<std::size_t>(id - 1)} {}
  Peer(int id, std::size_t slot) : id_{id}, slot_{slot} {}
  int id() const override { return id_; }
  std::size_t slot() const override { return slot_; }
  unsigned credits() const override { return credit; }
  void reply(const QueryServer& /*query*/, Value reply, int fd) override {
    answer = std::move(reply);
    if (fd >= 0) socket = sys::duplicate(fd);
  }
  void hand_off(const std::string& port_key, std::span<const Offer> connections) override {
    key = port_key;
    for (const Offer& offer : connections) handed.push_back(offer.connection);
    batches.push_back(connections.size());
  }
  bool hand_own(const std::string& port_key, int fd) override {
    key = port_key;
    own = sys::duplicate(fd);
    return true;
  }
  void probe() override {
    ++probes;
    if (turns) turns();
  }

  Value answer;
  OwnFd socket;
  OwnFd own;  // handed by hand_own
  std::string key;
  std::vector<ConnectionId> handed;
  std::vector<std::size_t> batches;
  unsigned credit = 1;
  int probes = 0;
  std::function<void()> turns;  // if it answers probes

 private:
  int id_;
  std::size_t slot_;
};

class ListenersTest : public testing::Test {
 protected:
  // What they say is said at once, as by a Cluster.
  ListenersTest() { Notices::of(io_).run_on(loop_); }

  Listeners& listeners(Policy policy, std::optional<std::chrono::milliseconds> rescue_after = {}) {
    return listeners_.emplace(
        loop_, ChosenPolicy{.policy = policy, .rescue_after = rescue_after},
        [this](const Address& address, Policy taken, const std::string& why) {
          decided.push_back(to_string(address) + ": " + to_string(taken) + ", " + why);
        });
  }
  static QueryServer query() {
    QueryServer query;
    query.address = "127.0.0.1";
    return query;
  }
  OwnFd connect(const Peer& peer) { return connect(net::local_address(peer.socket.get()).value()); }
  OwnFd connect(const Address& to) {
    const auto address = net::to_sockaddr(to).value();
    OwnFd fd = sys::socket(AF_INET, SOCK_STREAM, 0);
    sys::set_nonblocking(fd.get(), false);
    EXPECT_EQ(sys::connect(fd.get(), address.get(), address.size), 0);
    return fd;
  }
  std::vector<std::string> decided;

  bool run_until(const std::function<bool()>& done,
                 std::chrono::milliseconds patience = std::chrono::seconds{10}) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!done() && std::chrono::steady_clock::now() < deadline) {
      io_.restart();
      io_.run_one_for(std::chrono::milliseconds{10});
    }
    return done();
  }

 private:
  boost::asio::io_context io_{1};
  Loop loop_{io_, io_.get_executor()};
  std::optional<Listeners> listeners_;
};

}  // namespace cohort::cluster
