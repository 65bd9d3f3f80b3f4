// One client: reads requests, calls the handler, sends answers, in order, until one side has
// enough.
//
// Owned by its pending waits: there is always exactly one owner at least while the connection is
// open (a wait for bytes, for room, or at the least for the peer's failure), so that nothing has to
// be freed when the loop goes away. Keeps its Service alive. Loop's executor only.
//
// What it does next is the Conversation's to say, how bytes move the Transport's. Per request there
// is no allocation, and there are three system calls: recv, send, and the epoll_ctl of Asio's wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/address.h"
#include "cohort/fd.h"
#include "http/conversation.h"
#include "http/drain_waiters.h"
#include "http/output_buffer.h"
#include "http/parser.h"
#include "http/reply.h"
#include "http/service.h"
#include "http/transport.h"

namespace cohort::http {

class Connection final : public TransportUser, public std::enable_shared_from_this<Connection> {
 public:
  /// Above this, `write` says stop, and no further request is served.
  static constexpr std::size_t kHighWater = 64 * 1024;

  Connection(std::shared_ptr<Service> service, OwnFd fd);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Serves `head` and what has arrived already, then waits for more.
  void start(std::string_view head = {});

  // For OpenConnections.
  void drain();
  void check_timeouts();
  /// Closes without a word to the user.
  void abandon();
  OpenConnections::Seat seat;

  // For Request, while the handler runs.
  const RequestParser& parser() const { return parser_; }
  const Address& remote_address() { return transport_.peer(); }

  // For Response.
  /// The answer with this number can still be written.
  bool answering(std::uint64_t serial) const {
    return conversation_.answering() && serial == conversation_.serial();
  }
  Reply& reply() { return reply_; }
  bool write(std::string_view chunk);
  void end(std::string_view data);
  void write_continue();
  void set_status(int status);
  /// Of any answer of this connection, also one that has ended.
  void on_drain(std::uint64_t serial, std::function<void()> callback);
  void on_close(std::function<void()> callback) { on_close_.push_back(std::move(callback)); }

  // TransportUser.
  void can_receive() override;
  void can_send() override { settle(); }
  void transport_failed() override { close(); }

 private:
  using Next = Conversation::Next;

  // Reading.
  bool may_read() const;
  bool receive();
  void take(std::string_view fresh);
  std::string_view serve(std::string_view bytes);
  void end_of_input();
  void discard(std::size_t size);

  // Answering.
  void dispatch();
  void begin_reply();
  void handler_failed(const char* what);
  void refuse(int status);
  void answered();

  // Writing and ending.
  void flush();
  void drained();
  void settle();
  void carry_out(Next next);
  void arm();
  void end_our_side();
  void close();
  void cut();
  void released();

  // Timeouts.
  void restart_clock() { since_ = service_->now(); }
  void note_half_close();
  void expire();

  std::shared_ptr<Service> service_;  // shared with the server and its other connections
  Transport transport_;
  Conversation conversation_;
  RequestParser parser_;
  Reply reply_;
  std::string input_;  // bytes that wait for the answer before them, or for the rest of their line
  OutputBuffer output_;
  std::size_t discarded_ = 0;  // bytes read while lingering
  std::uint32_t since_;        // the tick from which the current timeout counts
  DrainWaiters on_drain_;
  std::vector<std::function<void()>> on_close_;  // of the current answer
};

}  // namespace cohort::http
