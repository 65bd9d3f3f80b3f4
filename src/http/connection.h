// One client: reads requests, calls the handler, sends answers, in order, until one side has
// enough.
//
// Owned by its pending waits: there is always exactly one owner at least while the connection is
// open (a wait for bytes, for room, or at the least for the peer's failure), so that nothing has to
// be freed when the loop goes away. Keeps the ServerCore alive. Loop's executor only.
//
// Per request there is no allocation, and there are three system calls: recv, send, and the
// epoll_ctl of Asio's wait. A connection that is answered and closed at its first read never enters
// epoll.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/address.h"
#include "cohort/fd.h"
#include "http/parser.h"
#include "http/reply.h"
#include "http/server_core.h"

namespace cohort::http {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// Above this, `write` says stop, and no further request is served.
  static constexpr std::size_t kHighWater = 64 * 1024;

  Connection(std::shared_ptr<ServerCore> server, OwnFd fd);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Serves `head` and what has arrived already, then waits for more.
  void start(std::string_view head = {});

  // For the server.
  void drain();
  void check_timeouts();
  /// Closes without a word to the user.
  void abandon();
  std::size_t index = 0;  ///< Its place in the server's list.
  /// Whether it is one of those in flight.
  void set_busy(bool busy);

  // For Request, while the handler runs.
  const RequestParser& parser() const { return parser_; }
  const Address& remote_address();

  // For Response.
  /// The answer with this number can still be written.
  bool answering(std::uint64_t serial) const { return answering_ && serial == serial_; }
  Reply& reply() { return reply_; }
  bool write(std::string_view chunk);
  void end(std::string_view data);
  void write_continue();
  void set_status(int status);
  /// Of any answer of this connection, also one that has ended.
  void on_drain(std::uint64_t serial, std::function<void()> callback);
  void on_close(std::function<void()> callback) { on_close_.push_back(std::move(callback)); }

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;
  using Wait = boost::asio::posix::descriptor_base::wait_type;

  // Reading.
  void attach();
  void arm();
  void wait(Wait type, bool& pending, void (Connection::*ready)());
  bool may_read() const;
  void readable();
  void failed() { close(); }
  bool receive();
  void take(std::string_view fresh);
  std::string_view serve(std::string_view bytes);
  void end_of_input();
  void discard(std::size_t size);

  // Answering.
  void dispatch();
  void handler_failed(const char* what);
  void refuse(int status);
  void answered();

  // Writing and ending.
  void flush();
  void drained();
  void settle();
  void resume();
  void finish_sending();
  void close();
  void cut();
  OwnFd detach();
  void released();

  // Timeouts.
  std::uint32_t patience() const;
  void note_half_close();
  void expire();

  std::shared_ptr<ServerCore> server_;  // shared with the host and handles
  OwnFd fd_;                            // until attached
  Descriptor descriptor_;
  int number_;         // of the descriptor, wherever it is; -1 when closed
  bool busy_ = false;  // a request arrives, is being answered, or its answer is being sent
  bool reading_ = false;
  bool writing_ = false;
  bool watching_ = false;  // for a failure only

  RequestParser parser_;
  Reply reply_;
  std::string input_;  // bytes that wait for the answer before them, or for the rest of their line
  std::string output_;
  std::size_t sent_ = 0;  // of output_

  std::uint64_t serial_ = 0;   // of the current or last request
  bool answering_ = false;     // a request has been handed to the handler and not been answered
  bool dispatching_ = false;   // its handler is on the stack
  bool last_ = false;          // no request after this answer
  bool polite_ = false;        // and the client knows: it will send nothing more
  bool half_closed_ = false;   // the client has shut down its side, or is gone
  bool input_ended_ = false;   // and all that it sent was read
  bool blocked_ = false;       // input_ has requests that nobody looked at
  bool resuming_ = false;      // resume() is posted
  bool wants_drain_ = false;   // a write said stop
  bool lingering_ = false;     // our side is shut down
  std::size_t discarded_ = 0;  // bytes read since
  std::uint32_t since_ = 0;    // the tick from which the current timeout counts
  std::optional<Address> peer_;

  struct WaitsForDrain {
    std::uint64_t serial;
    std::function<void()> callback;
  };
  std::vector<WaitsForDrain> on_drain_;
  std::vector<std::function<void()>> on_close_;  // of the current answer
};

}  // namespace cohort::http
