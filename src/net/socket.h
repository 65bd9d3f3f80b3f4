// One connection of a `net::Server`: what `net::Socket` handles refer to.
//
// Owned by its server until its close event, and by callbacks that run meanwhile. Loop's executor
// only.
//
// Reading is in one of three states: Initial (nobody asked for data yet: the peer's end is looked
// for by peeking, as long as nothing else is there), Flowing, Paused. Closing happens at once, but
// its events come in a later turn, so no event runs inside a call of the user's.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "base/handlers.h"
#include "base/loop.h"
#include "base/write_queue.h"
#include "cohort/net.h"

namespace cohort::net {

class SocketImpl : public std::enable_shared_from_this<SocketImpl> {
 public:
  using Done = WriteQueue::Done;

  struct Events {
    Handlers<std::string_view> data;
    Handlers<> end;
    Handlers<> drain;
    Handlers<const Error&> error;
    Handlers<> close;
  };

  /// Told once, after the close event.
  using Gone = std::function<void(const std::shared_ptr<SocketImpl>&)>;

  /// Without a descriptor it is closed from the start.
  SocketImpl(const Loop& loop, OwnFd fd, bool allow_half_open, Gone gone);

  bool write(std::string_view data, Done done);
  void end(std::string_view data);
  void destroy() { close({}); }
  void pause() { flow_ = Flow::Paused; }
  void resume();
  void on_data(std::function<void(std::string_view)> handler);
  void set_timeout(std::chrono::milliseconds idle, std::function<void()> handler);

  /// Came as a handle: the first bytes of its data, and what lives until it is closed.
  void adopted(std::string head, std::shared_ptr<void> attachment);
  Result<Handle> release(std::string_view unread);
  /// The user has seen the socket: reading may begin.
  void start();
  /// No handle is left.
  void unheld();
  /// Closes without any event: the server is gone.
  void abandon();

  bool closed() const { return !watch_; }
  Address remote_address();
  Address local_address();
  std::uint64_t bytes_read() const { return bytes_read_; }
  std::uint64_t bytes_written() const { return bytes_written_; }
  Events& events() { return events_; }

 private:
  enum class Flow { Initial, Flowing, Paused };

  void wait_readable();
  void readable();
  bool read_some();
  void peek();
  void peer_ended();
  void wait_writable();
  void writable();
  void finish_if_written();
  void shut_down();
  void close(std::optional<Error> error);
  void emit_close(const std::optional<Error>& error);
  void touch();
  void check_idle();

  Loop loop_;  // before what refers to it
  std::unique_ptr<Watch> watch_;
  const bool allow_half_open_;
  Gone gone_;
  Events events_;

  Flow flow_ = Flow::Initial;
  bool started_ = false;
  bool unread_ = false;  // Initial, and bytes are waiting
  bool peer_ended_ = false;
  std::uint64_t bytes_read_ = 0;
  std::string head_;                  // to be read before what the system has
  std::shared_ptr<void> attachment_;  // of the handle that it was

  WriteQueue outbox_;
  std::uint64_t bytes_written_ = 0;
  bool ending_ = false;  // no more writes
  bool shut_ = false;    // and our end was sent

  std::optional<Address> remote_;
  std::optional<Address> local_;

  struct Idle {
    boost::asio::steady_timer timer;
    std::chrono::milliseconds limit;
    std::function<void()> handler;
    std::chrono::steady_clock::time_point last;
    bool armed = false;
  };
  std::shared_ptr<Idle> idle_;  // shared with its handler that is running
};

/// What the handles of one socket share; the last one's end is this one's.
class SocketHolder {
 public:
  explicit SocketHolder(std::shared_ptr<SocketImpl> socket) : socket_{std::move(socket)} {}
  ~SocketHolder() { socket_->unheld(); }
  SocketHolder(const SocketHolder&) = delete;
  SocketHolder& operator=(const SocketHolder&) = delete;
  SocketImpl& socket() const { return *socket_; }

 private:
  std::shared_ptr<SocketImpl> socket_;  // shared with the server
};

}  // namespace cohort::net
