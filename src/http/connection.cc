#include "http/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/error.hpp>
#include <cerrno>
#include <exception>

#include "base/notices.h"
#include "base/sys.h"
#include "http/text.h"
#include "net/sockaddr.h"

namespace cohort::http {
namespace {

// A client that pipelines while its answer is being made: so much is read ahead, to notice its end.
constexpr std::size_t kReadAheadMax = 64 * 1024;
// What a client may still send after the last answer before it is cut off.
constexpr std::size_t kDiscardMax = 8 * 1024 * 1024;
// Larger buffers are not kept by an idle connection.
constexpr std::size_t kKeptCapacity = 16 * 1024;

}  // namespace

Connection::Connection(std::shared_ptr<ServerCore> server, OwnFd fd)
    : server_{std::move(server)},
      fd_{std::move(fd)},
      descriptor_{server_->loop().executor()},
      number_{fd_.get()},
      parser_{server_->parser_limits()},
      since_{server_->now()} {
  set_busy(true);  // it brings its first request
  server_->join(*this);
}

Connection::~Connection() {
  // Still open: the loop is gone, and nobody can be told.
  if (number_ < 0) return;
  detach();
  server_->leave(*this);
}

void Connection::start(std::string_view head) {
  if (!head.empty()) take(head);
  receive();
  settle();
}

void Connection::set_busy(bool busy) {
  if (std::exchange(busy_, busy) != busy) server_->count_in_flight(busy ? 1 : -1);
}

void Connection::attach() {
  // Later answers must not wait for the acknowledgement of earlier ones. Most listeners pass it on
  // to their connections; a Node primary's do not. Fails on Unix sockets, which need none.
  if (server_->no_delay()) sys::set_int_option(number_, IPPROTO_TCP, TCP_NODELAY, 1);
  boost::system::error_code error;
  descriptor_.assign(number_, error);
  if (error)
    close();
  else
    static_cast<void>(fd_.release());
}

bool Connection::may_read() const {
  return !input_ended_ && output_.empty() && input_.size() < kReadAheadMax;
}

// Leaves at least one wait pending: it owns the connection.
void Connection::arm() {
  if (fd_) attach();
  if (number_ < 0) return;
  set_busy(answering_ || !output_.empty() || !input_.empty() || parser_.inside_request());
  if (!output_.empty() && !writing_) wait(Wait::wait_write, writing_, &Connection::settle);
  if (may_read()) {
    if (!reading_) wait(Wait::wait_read, reading_, &Connection::readable);
  } else if (!writing_ && !reading_ && !watching_) {
    wait(Wait::wait_error, watching_, &Connection::failed);
  }
}

void Connection::wait(Wait type, bool& pending, void (Connection::*ready)()) {
  pending = true;
  descriptor_.async_wait(
      type, [self = shared_from_this(), &pending, ready](boost::system::error_code error) {
        pending = false;
        if (!error) (self.get()->*ready)();
      });
}

void Connection::readable() {
  if (may_read()) receive();
  settle();
}

// One non-blocking read, and all that follows from it. False: there was nothing to read.
bool Connection::receive() {
  const std::span<char> buffer = server_->read_buffer();
  const ssize_t size = sys::recv(number_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  if (size < 0)
    close();
  else if (size == 0) {
    half_closed_ = input_ended_ = true;
    since_ = server_->now();
  } else if (lingering_)
    discard(static_cast<std::size_t>(size));
  else {
    set_busy(true);
    take({buffer.data(), static_cast<std::size_t>(size)});
  }
  return true;
}

void Connection::discard(std::size_t size) {
  discarded_ += size;
  if (discarded_ > kDiscardMax) close();
}

// Serves what can be served, and keeps the rest.
void Connection::take(std::string_view fresh) {
  if (last_) return;  // nothing will be served any more
  if (input_.empty() && !answering_) {
    input_.assign(serve(fresh));
    return;
  }
  input_.append(fresh);
  if (answering_) {
    blocked_ = true;
    return;
  }
  const std::size_t rest = serve(input_).size();
  input_.erase(0, input_.size() - rest);
  if (input_.empty() && input_.capacity() > kKeptCapacity) input_ = {};
}

// Returns what it did not use: a part of a request, or (blocked_) requests that have to wait.
std::string_view Connection::serve(std::string_view bytes) {
  blocked_ = false;
  while (!bytes.empty() && !last_ && number_ >= 0) {
    if (output_.size() >= kHighWater) flush();
    // Behind an answer that is being made, or that a slow reader does not take.
    blocked_ = answering_ || output_.size() >= kHighWater;
    if (blocked_) break;
    const bool fresh = !parser_.inside_request();
    if (fresh) parser_.reset();
    bytes.remove_prefix(parser_.put(bytes));
    if (parser_.state() == RequestParser::State::Complete) {
      polite_ = !parser_.head().keep_alive && bytes.empty();
      dispatch();
    } else if (parser_.state() == RequestParser::State::Failed) {
      refuse(parser_.error_status());
    } else {
      if (fresh && parser_.inside_request()) since_ = server_->now();
      if (parser_.take_expect_continue()) output_ += "HTTP/1.1 100 Continue\r\n\r\n";
      break;
    }
  }
  return bytes;
}

void Connection::dispatch() {
  const RequestHead& head = parser_.head();
  reply_.begin({.head_request = head.method == "HEAD",
                .http_1_0 = head.http_1_0,
                .keep_alive = head.keep_alive});
  answering_ = true;
  ++serial_;
  ++server_->counters().requests;
  const Request request{*this};
  Response response{weak_from_this(), server_->shared_loop(), serial_};
  dispatching_ = true;
  try {
    server_->handler()(request, response);
  } catch (const std::exception& error) {
    handler_failed(error.what());
  } catch (...) {
    handler_failed("an exception that is no std::exception");
  }
  dispatching_ = false;
}

// The boundary between a handler's exception and the service, which goes on.
void Connection::handler_failed(const char* what) {
  ++server_->counters().handler_failures;
  const RequestHead& head = parser_.head();
  const std::string method{head.method}, url{head.url};
  say(server_->loop(), {"handler_failed",
                        method + ' ' + url + ": handler failed: " + what,
                        {{"method", method}, {"url", url}, {"what", std::string{what}}}});
  if (!answering_) return;  // after its end()
  if (reply_.head_written()) {
    cut();
    return;
  }
  reply_.begin({.head_request = head.method == "HEAD",
                .http_1_0 = head.http_1_0,
                .keep_alive = head.keep_alive});
  reply_.set_status(500);
  end("Internal Server Error\n");
}

// The server's own answer to what is no request, or not a whole one; the last on this connection.
void Connection::refuse(int status) {
  ++server_->counters().refused;
  reply_.begin({.keep_alive = false});
  reply_.set_status(status);
  static_cast<void>(reply_.set_header("Content-Type", "text/plain"));
  reply_.end(std::string{reason_phrase(status)} + '\n', server_->reply_common(), output_);
  last_ = true;
  polite_ = false;
}

// An answer whose status none can have is the program's mistake, and must not pass for another one.
void Connection::set_status(int status) {
  if (reply_.set_status(status) || reply_.head_fixed()) return;
  Remark remark{"status_invalid",
                "status_code(" + std::to_string(status) +
                    "): the status of an answer is a number of 200 to 999; answered 500",
                {{"status", std::int64_t{status}}}};
  // Later its bytes are those of another request.
  if (dispatching_) {
    const std::string method{parser_.head().method}, url{parser_.head().url};
    remark.text.insert(0, method + ' ' + url + ": ");
    remark.fields.emplace_back("method", method);
    remark.fields.emplace_back("url", url);
  }
  say(server_->loop(), std::move(remark));
}

bool Connection::write(std::string_view chunk) {
  if (output_.empty()) since_ = server_->now();
  reply_.write(chunk, server_->reply_common(), output_);
  if (!dispatching_ || output_.size() > kHighWater) flush();
  if (!dispatching_) arm();
  if (number_ < 0) return false;
  wants_drain_ = output_.size() - sent_ > kHighWater;
  return !wants_drain_;
}

void Connection::end(std::string_view data) {
  reply_.end(data, server_->reply_common(), output_);
  answered();
}

void Connection::write_continue() {
  reply_.write_continue(output_);
  if (dispatching_) return;
  flush();
  arm();
}

void Connection::answered() {
  answering_ = false;
  last_ = !reply_.keeps_connection();
  since_ = server_->now();
  wants_drain_ = false;
  const auto closed = std::exchange(on_close_, {});
  if (!dispatching_) {
    // The next request's handler must not run inside of this call.
    if (blocked_ && !last_ && !resuming_) {
      resuming_ = true;
      server_->loop().post([self = shared_from_this()] { self->resume(); });
    }
    settle();
  }
  for (const auto& callback : closed) callback();
}

void Connection::resume() {
  resuming_ = false;
  settle();
}

void Connection::flush() {
  if (number_ < 0) return;
  if (!output_.empty()) {
    const ssize_t size = sys::send(number_, output_.data() + sent_, output_.size() - sent_);
    if (size < 0) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) close();
      return;
    }
    if (size > 0) since_ = server_->now();
    sent_ += static_cast<std::size_t>(size);
    if (sent_ < output_.size()) return;
    sent_ = 0;
    if (output_.capacity() > kKeptCapacity)
      output_ = {};
    else
      output_.clear();
  }
  if (!on_drain_.empty()) drained();
}

// Nothing waits any more. Who waits for a later write of the current answer goes on waiting.
void Connection::drained() {
  const bool current = std::exchange(wants_drain_, false) || !answering_;
  std::vector<WaitsForDrain> waiting;
  for (WaitsForDrain& one : std::exchange(on_drain_, {}))
    (current || one.serial != serial_ ? waiting : on_drain_).push_back(std::move(one));
  for (const WaitsForDrain& one : waiting) one.callback();
}

void Connection::on_drain(std::uint64_t serial, std::function<void()> callback) {
  if (number_ < 0 || serial > serial_) return;
  on_drain_.push_back({serial, std::move(callback)});
  if (answering(serial) || !output_.empty()) return;
  // Late, and nothing waits: in a turn of its own.
  server_->loop().post([self = shared_from_this()] { self->settle(); });
}

// The end of every turn: sends, then ends the connection or waits for what comes next.
void Connection::settle() {
  flush();
  while (blocked_ && !answering_ && !resuming_ && !last_ && output_.empty() && number_ >= 0) {
    take({});
    flush();
  }
  if (number_ < 0) return;
  if (output_.empty() && answering_ && half_closed_ && server_->ticks().half_close == 0) {
    cut();
    return;
  }
  if (output_.empty() && !answering_ && !resuming_) {
    if (lingering_) {
      if (input_ended_) close();
    } else if (last_) {
      finish_sending();
    } else if (input_ended_) {
      end_of_input();
    }
  }
  arm();
}

// The client ended its side, and every whole request of it is answered.
void Connection::end_of_input() {
  if (!parser_.inside_request() && input_.empty()) {
    close();
    return;
  }
  refuse(400);
  flush();
  if (number_ >= 0 && output_.empty()) finish_sending();
}

// Ends our side. Closing at once would reset the connection if the client has sent more, and a
// reset can take the answer away from it.
void Connection::finish_sending() {
  if (input_ended_ || (polite_ && input_.empty())) {
    close();
    return;
  }
  sys::shutdown(number_, SHUT_WR);
  lingering_ = true;
  since_ = server_->now();
  input_ = {};
}

void Connection::close() {
  if (number_ < 0) return;
  // The primary may still hold a copy of the descriptor; only shutdown() ends the connection then.
  sys::shutdown(number_, SHUT_RDWR);
  detach();
  released();
}

// Unfinished, and the client has to see that: a reset. Dissolving the association sends one though
// the primary may still hold a copy of the descriptor (SO_LINGER would wait for the last copy).
void Connection::cut() {
  const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
  sys::connect(number_, &nobody, sizeof nobody);
  close();
}

void Connection::abandon() {
  on_drain_.clear();
  on_close_.clear();
  close();
}

// Out of Asio before it is closed: see OwnFd's users in the architecture.
OwnFd Connection::detach() {
  number_ = -1;
  if (fd_) return std::move(fd_);
  return OwnFd{descriptor_.release()};
}

void Connection::released() {
  server_->leave(*this);
  server_->check_ended();
  on_drain_.clear();
  if (!std::exchange(answering_, false)) return;
  for (const auto& callback : std::exchange(on_close_, {})) callback();
}

// An idle connection goes to whoever serves the address from now on, or else has the whole quiet
// window from here on.
void Connection::drain() {
  if (answering_ || !output_.empty() || parser_.inside_request() || lingering_) return;
  since_ = server_->now();
  if (!input_.empty() || last_ || input_ended_ || !server_->takes_back()) return;
  const auto self = shared_from_this();
  server_->give_back(detach());
  released();
}

// How many ticks after `since_` the connection has to be done with what it does.
std::uint32_t Connection::patience() const {
  const Ticks& ticks = server_->ticks();
  if (lingering_) return ticks.linger;
  if (!output_.empty()) return ticks.send;
  // How long it takes is the handler's business, as long as somebody may be there to get it.
  if (answering_) return half_closed_ ? ticks.half_close : Ticks::kNever;
  if (parser_.inside_request()) {
    return parser_.header_done() ? ticks.request : std::min(ticks.headers, ticks.request);
  }
  if (server_->ending()) return ticks.drain_quiet;
  return serial_ == 0 ? ticks.headers : ticks.keep_alive;
}

// Behind more pipelined requests than are read ahead, reading does not show it.
void Connection::note_half_close() {
  if (half_closed_ || !answering_ || input_.size() < kReadAheadMax) return;
  if (sys::poll(number_, POLLRDHUP, 0) <= 0) return;
  half_closed_ = true;
  since_ = server_->now();
}

void Connection::check_timeouts() {
  note_half_close();
  const std::uint32_t ticks = patience();
  if (ticks == Ticks::kNever || server_->now() - since_ < ticks) return;
  const auto self = shared_from_this();
  expire();
}

void Connection::expire() {
  if (lingering_ || !output_.empty()) {
    close();
    return;
  }
  if (answering_) {
    cut();
    return;
  }
  // Bytes that have arrived but were not read yet are in time.
  if (may_read() && receive()) {
    settle();
    return;
  }
  if (parser_.inside_request())
    refuse(408);
  else
    last_ = true;
  settle();
}

const Address& Connection::remote_address() {
  if (!peer_) {
    auto peer = net::peer_address(number_);
    peer_ = peer ? std::move(*peer) : Address{};
  }
  return *peer_;
}

}  // namespace cohort::http
