// A Peer whose other end is the test.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/sys.h"
#include "ipc/peer.h"

namespace cohort::ipc {

class TestPeer final : private PeerUser {
 public:
  TestPeer(boost::asio::io_context& io, const Loop& loop, std::shared_ptr<Calls> calls = {},
           int id = 0, Peer::Early early = Peer::Early::Waits)
      : io_{io},
        peer_{std::make_shared<Peer>(loop, static_cast<PeerUser&>(*this), early, std::move(calls),
                                     id)} {
    OwnFd ends[2];
    EXPECT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, ends), 0);
    end_ = std::move(ends[1]);
    peer_->open(std::move(ends[0]), Serialization::Json, {});
  }
  ~TestPeer() { peer_->abandon(); }
  TestPeer(const TestPeer&) = delete;
  TestPeer& operator=(const TestPeer&) = delete;

  Peer& operator*() const { return *peer_; }
  Peer* operator->() const { return peer_.get(); }

  /// Runs what is ready now, and what that makes ready.
  void turn() {
    io_.restart();
    while (io_.poll() > 0) {
    }
  }
  /// The lines that it was sent so far.
  std::vector<std::string> sent() {
    turn();
    char bytes[65536];
    for (;;) {
      const ssize_t size = sys::recv(end_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (size <= 0) break;
      text_.append(bytes, static_cast<std::size_t>(size));
    }
    for (std::size_t end; (end = text_.find('\n')) != std::string::npos; text_.erase(0, end + 1))
      sent_.push_back(text_.substr(0, end));
    return sent_;
  }
  /// It says so, and a line end.
  void says(std::string_view line) {
    const std::string text = std::string{line} + '\n';
    EXPECT_EQ(sys::send(end_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void hangs_up() { end_.reset(); }

  std::vector<std::string> cluster_messages;
  std::vector<std::string> user_messages;
  int closed = 0;
  int waits = 0;  ///< How often that changed.

 private:
  std::string describe_peer() const override { return "peer " + std::to_string(peer_->id()); }
  void cluster_message(Incoming& incoming) override {
    cluster_messages.push_back(to_json(incoming.value));
  }
  void user_message(const Value& message, Handle&) override {
    user_messages.push_back(to_json(message));
  }
  void waits_changed() override { ++waits; }
  void channel_closed(std::optional<Error>) override { ++closed; }

  boost::asio::io_context& io_;
  std::shared_ptr<Peer> peer_;
  OwnFd end_;
  std::string text_;
  std::vector<std::string> sent_;
};

}  // namespace cohort::ipc
