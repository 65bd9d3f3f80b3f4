#include "http/connection.h"

#include <exception>
#include <utility>

#include "base/notices.h"
#include "http/remarks.h"
#include "http/text.h"

namespace cohort::http {
namespace {

// A client that pipelines while its answer is being made: so much is read ahead, to notice its end.
constexpr std::size_t kReadAheadMax = 64 * 1024;
// What a client may still send after the last answer before it is cut off.
constexpr std::size_t kDiscardMax = 8 * 1024 * 1024;

}  // namespace

using Outcome = Transport::Outcome;
using Phase = Conversation::Phase;
using Input = Conversation::Input;

Connection::Connection(std::shared_ptr<Service> service, OwnFd fd)
    : service_{std::move(service)},
      transport_{service_->loop().executor(), std::move(fd), service_->settings().no_delay},
      parser_{service_->settings().parser_limits},
      since_{service_->now()} {
  service_->join(*this);
}

Connection::~Connection() {
  // Still open: the loop is gone, and nobody can be told.
  if (!conversation_.closed()) service_->leave(*this);
}

void Connection::start(std::string_view head) {
  if (!head.empty()) take(head);
  receive();
  settle();
}

bool Connection::may_read() const {
  return conversation_.input() != Input::Ended && output_.empty() && input_.size() < kReadAheadMax;
}

void Connection::can_receive() {
  if (may_read()) receive();
  settle();
}

// One read, and all that follows from it. False: there was nothing to read.
bool Connection::receive() {
  const std::span<char> buffer = service_->read_buffer();
  const auto [outcome, size] = transport_.receive(buffer);
  switch (outcome) {
    case Outcome::NotNow:
      return false;
    case Outcome::Failed:
      close();
      break;
    case Outcome::Ended:
      conversation_.input_ended();
      restart_clock();
      break;
    case Outcome::Moved:
      if (conversation_.lingering()) {
        discard(size);
      } else {
        service_->set_busy(seat, true);
        take({buffer.data(), size});
      }
  }
  return true;
}

void Connection::discard(std::size_t size) {
  discarded_ += size;
  if (discarded_ > kDiscardMax) close();
}

// Serves what can be served, and keeps the rest.
void Connection::take(std::string_view fresh) {
  if (conversation_.past_requests()) return;
  if (!conversation_.takes_requests()) {
    input_.append(fresh);
    return;
  }
  if (input_.empty()) {
    input_.assign(serve(fresh));
    return;
  }
  input_.append(fresh);
  const std::size_t rest = serve(input_).size();
  input_.erase(0, input_.size() - rest);
}

// Returns what it did not use: a part of a request, or requests that have to wait.
std::string_view Connection::serve(std::string_view bytes) {
  conversation_.serve();
  while (!bytes.empty() && conversation_.phase() == Phase::Serving) {
    if (output_.size() >= kHighWater) {
      flush();
      if (output_.size() >= kHighWater) conversation_.hold_up();  // its reader is slow
      if (conversation_.phase() != Phase::Serving) break;
    }
    const bool fresh = !parser_.inside_request();
    if (fresh) parser_.reset();
    bytes.remove_prefix(parser_.put(bytes));
    if (parser_.state() == RequestParser::State::Complete) {
      dispatch();
    } else if (parser_.state() == RequestParser::State::Failed) {
      refuse(parser_.error_status());
    } else {
      if (fresh && parser_.inside_request()) restart_clock();
      if (parser_.take_expect_continue()) output_.bytes() += "HTTP/1.1 100 Continue\r\n\r\n";
      break;
    }
  }
  conversation_.served();
  return bytes;
}

void Connection::dispatch() {
  begin_reply();
  conversation_.give_to_handler();
  ++service_->counters().requests;
  const Request request{*this};
  Response response{weak_from_this(), service_->shared_loop(), conversation_.serial()};
  try {
    service_->handler()(request, response);
  } catch (const std::exception& error) {
    handler_failed(error.what());
  } catch (...) {
    handler_failed("an exception that is no std::exception");
  }
  conversation_.handler_returned();
}

void Connection::begin_reply() {
  const RequestHead& head = parser_.head();
  reply_.begin({.head_request = head.method == "HEAD",
                .http_1_0 = head.http_1_0,
                .keep_alive = head.keep_alive});
}

// The boundary between a handler's exception and the service, which goes on.
void Connection::handler_failed(const char* what) {
  ++service_->counters().handler_failures;
  say(service_->loop(), handler_failed_remark(parser_.head(), what));
  if (!conversation_.answering()) return;  // after its end()
  if (reply_.head_written()) {
    cut();
    return;
  }
  begin_reply();
  reply_.set_status(500);
  end("Internal Server Error\n");
}

// The server's own answer to what is no request, or not a whole one; the last on this connection.
void Connection::refuse(int status) {
  ++service_->counters().refused;
  reply_.begin({.keep_alive = false});
  reply_.set_status(status);
  static_cast<void>(reply_.set_header("Content-Type", "text/plain"));
  reply_.end(std::string{reason_phrase(status)} + '\n', service_->reply_common(), output_.bytes());
  conversation_.refuse_more();
}

// An answer whose status none can have is the program's mistake, and must not pass for another one.
void Connection::set_status(int status) {
  if (reply_.set_status(status) || reply_.head_fixed()) return;
  // Later its bytes are those of another request.
  say(service_->loop(),
      status_invalid_remark(status, conversation_.in_handler() ? &parser_.head() : nullptr));
}

bool Connection::write(std::string_view chunk) {
  if (output_.empty()) restart_clock();
  reply_.write(chunk, service_->reply_common(), output_.bytes());
  const bool later = !conversation_.in_handler();
  if (later || output_.size() > kHighWater) flush();
  if (later) arm();
  if (conversation_.closed()) return false;
  const bool stop = output_.unsent().size() > kHighWater;
  on_drain_.told_to_stop(stop);
  return !stop;
}

void Connection::end(std::string_view data) {
  reply_.end(data, service_->reply_common(), output_.bytes());
  service_->count_answer();
  answered();
}

void Connection::write_continue() {
  reply_.write_continue(output_.bytes());
  if (conversation_.in_handler()) return;
  flush();
  arm();
}

void Connection::answered() {
  const bool later = !conversation_.in_handler();
  conversation_.answered(reply_.keeps_connection(), !input_.empty());
  restart_clock();
  on_drain_.told_to_stop(false);
  const auto closed = std::exchange(on_close_, {});
  if (later) {
    if (conversation_.phase() == Phase::Resuming)
      service_->loop().post([self = shared_from_this()] {
        self->conversation_.resume();
        self->settle();
      });
    settle();
  }
  for (const auto& callback : closed) callback();
}

void Connection::flush() {
  if (conversation_.closed()) return;
  if (!output_.empty()) {
    const auto [outcome, size] = transport_.send(output_.unsent());
    if (outcome != Outcome::Moved) {
      if (outcome != Outcome::NotNow) close();
      return;
    }
    if (size > 0) restart_clock();
    output_.sent(size);
    if (!output_.empty()) return;
  }
  if (!on_drain_.empty()) drained();
}

// Nothing waits any more.
void Connection::drained() {
  for (const auto& callback : on_drain_.take(conversation_.serial(), conversation_.answering()))
    callback();
}

void Connection::on_drain(std::uint64_t serial, std::function<void()> callback) {
  if (conversation_.closed() || serial > conversation_.serial()) return;
  on_drain_.add(serial, std::move(callback));
  if (answering(serial) || !output_.empty()) return;
  // Late, and nothing waits: in a turn of its own.
  service_->loop().post([self = shared_from_this()] { self->settle(); });
}

// The end of every turn: sends, does what follows from that, and waits for what comes next.
void Connection::settle() {
  const bool half_close_is_gone = service_->settings().ticks.half_close == 0;
  while (true) {
    flush();
    const Next next = conversation_.next(!output_.empty(), half_close_is_gone);
    if (next == Next::Wait) break;
    carry_out(next);
  }
  arm();
}

void Connection::carry_out(Next next) {
  switch (next) {
    case Next::Wait:
      return;
    case Next::Serve:
      return take({});
    case Next::EndOfInput:
      return end_of_input();
    case Next::EndOurSide:
      return end_our_side();
    case Next::Close:
      return close();
    case Next::Cut:
      return cut();
  }
}

// Leaves at least one wait pending: it owns the connection.
void Connection::arm() {
  if (conversation_.closed()) return;
  if (!transport_.enter_loop()) return close();
  service_->set_busy(seat, conversation_.answering() || !output_.empty() || !input_.empty() ||
                               parser_.inside_request());
  if (!output_.empty()) transport_.wait_to_send(shared_from_this());
  if (may_read())
    transport_.wait_to_receive(shared_from_this());
  else
    transport_.wait_for_failure(shared_from_this());
}

// The client ended its side, and every whole request of it is answered.
void Connection::end_of_input() {
  if (parser_.inside_request() || !input_.empty())
    refuse(400);
  else
    close();
}

// Closing at once would reset the connection if the client has sent more, and a reset can take the
// answer away from it. A client that asked for the end will send nothing more.
void Connection::end_our_side() {
  if (parser_.state() == RequestParser::State::Complete && !parser_.head().keep_alive &&
      input_.empty()) {
    close();
    return;
  }
  transport_.end_sending();
  conversation_.end_our_side();
  restart_clock();
  input_.clear();
}

void Connection::close() {
  if (conversation_.closed()) return;
  transport_.close();
  released();
}

// Unfinished, and the client has to see that.
void Connection::cut() {
  if (conversation_.closed()) return;
  transport_.cut();
  released();
}

void Connection::abandon() {
  on_drain_.clear();
  on_close_.clear();
  close();
}

void Connection::released() {
  const bool awaited = conversation_.close();
  service_->leave(*this);
  service_->owner().connection_ended();
  on_drain_.clear();
  if (!awaited) return;
  for (const auto& callback : std::exchange(on_close_, {})) callback();
}

// An idle connection goes to whoever serves the address from now on, or else has the whole quiet
// window from here on.
void Connection::drain() {
  if (conversation_.phase() != Phase::Reading || !output_.empty() || parser_.inside_request())
    return;
  restart_clock();
  if (!input_.empty() || conversation_.input() == Input::Ended || !service_->owner().takes_back())
    return;
  const auto self = shared_from_this();
  service_->owner().give_back(transport_.release());
  released();
}

// Behind more pipelined requests than are read ahead, reading does not show it.
void Connection::note_half_close() {
  if (conversation_.input() != Input::Open || !conversation_.answering() ||
      input_.size() < kReadAheadMax || !transport_.peer_ended())
    return;
  conversation_.half_closed();
  restart_clock();
}

void Connection::check_timeouts() {
  if (!seat.busy) {
    free_if_large(input_);
    free_if_large(output_.bytes());
  }
  note_half_close();
  const std::uint32_t ticks = conversation_.patience(service_->settings().ticks,
                                                     {.sending = !output_.empty(),
                                                      .inside_request = parser_.inside_request(),
                                                      .header_done = parser_.header_done(),
                                                      .ending = service_->owner().ending()});
  if (ticks == Ticks::kNever || service_->now() - since_ < ticks) return;
  const auto self = shared_from_this();
  expire();
}

void Connection::expire() {
  if (conversation_.lingering() || !output_.empty()) return close();
  if (conversation_.answering()) return cut();
  // Bytes that have arrived but were not read yet are in time.
  if (may_read() && receive()) return settle();
  if (parser_.inside_request())
    refuse(408);
  else
    conversation_.refuse_more();
  settle();
}

}  // namespace cohort::http
