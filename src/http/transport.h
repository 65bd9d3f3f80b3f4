// What moves the bytes of one connection: a stream socket, which it owns, and the waits for it.
//
// A member of its user (the Connection), which every pending wait keeps alive. Loop's executor
// only.
//
// The user asks when it can go on receiving or sending, never whether the socket is readable or
// writable: encryption may have to write before it can read, the other way round, and may hold
// bytes that the socket does not have any more. So TLS belongs into this class, beside the socket:
// descriptor, waits, reset and peer are the same for both. It is not virtual, as an interface would
// cost each connection an allocation for what one branch tells.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "cohort/address.h"
#include "cohort/fd.h"

namespace cohort::http {

/// Who waits. Each wait calls one of these once, in a turn of the loop, unless the transport was
/// closed or given away before.
class TransportUser {
 public:
  virtual void can_receive() = 0;
  virtual void can_send() = 0;
  /// The peer is gone, both of its directions.
  virtual void transport_failed() = 0;

 protected:
  ~TransportUser() = default;
};

class Transport {
 public:
  enum class Outcome : std::uint8_t {
    Moved,   ///< `size` bytes.
    NotNow,  ///< Wait, and try again.
    Ended,   ///< Receiving: the peer has ended its side, and all that it sent was received.
    Failed,  ///< Nothing can be received or sent any more.
  };
  struct Transfer {
    Outcome outcome;
    std::size_t size = 0;
  };

  /// `fd` is non-blocking, or every call says so for itself. `no_delay`: later data must not wait
  /// for the acknowledgement of earlier data.
  Transport(const boost::asio::any_io_executor& executor, OwnFd fd, bool no_delay);
  /// Closes the socket.
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  /// Never blocks, as everything here.
  Transfer receive(std::span<char> buffer);
  /// Less than `bytes` may be moved. What was not has to come again, at any address.
  Transfer send(std::string_view bytes);

  /// Before the first wait; does nothing later. Until then the socket is not known to the loop, so
  /// that a connection that is answered and closed at its first read never enters epoll. False: the
  /// system has no room for it.
  [[nodiscard]] bool enter_loop();
  /// One wait of a kind is pending at most: a second one changes nothing.
  void wait_to_receive(std::shared_ptr<TransportUser> user);
  void wait_to_send(std::shared_ptr<TransportUser> user);
  /// For a peer that goes away while nothing is to be received or sent. Every wait notices that, so
  /// this one does nothing while another is pending.
  void wait_for_failure(std::shared_ptr<TransportUser> user);

  /// Whether the peer has ended its side, though bytes of it may still be there to receive.
  bool peer_ended();
  /// Nothing will be sent any more; the peer sees the end, and may go on sending.
  void end_sending();
  /// Ends both directions, at once.
  void close();
  /// The same, and the peer sees that what it got is not whole.
  void cut();
  /// The socket as it is, for somebody else. Pending waits are dropped.
  OwnFd release();

  /// `Address{}` for a Unix socket. Asked from the system once.
  const Address& peer();

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;
  enum class Wait : std::uint8_t { Receive, Send, Failure };

  static Descriptor::wait_type readiness(Wait wait);
  int native();
  bool& pending(Wait wait) { return pending_[static_cast<std::size_t>(wait)]; }
  void start(Wait wait, std::shared_ptr<TransportUser> user);

  OwnFd fd_;  // until it enters the loop
  Descriptor descriptor_;
  bool no_delay_;
  std::array<bool, 3> pending_{};  // by Wait; all combinations exist
  std::optional<Address> peer_;
};

}  // namespace cohort::http
