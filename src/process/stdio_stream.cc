#include "process/stdio_stream.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/append.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "base/sys.h"

namespace cohort {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kReadSize = 64 * 1024;
// Reads of one wake-up, so that one busy child does not starve the others.
constexpr int kReadsPerWake = 4;

}  // namespace

StdioStream::StdioStream(const Loop& loop, OwnFd fd, Direction direction)
    : loop_{loop}, direction_{direction}, ended_{direction == Direction::ToChild || !fd} {
  ending_ = direction == Direction::FromChild || !fd;
  if (fd) watch_ = std::make_unique<Watch>(loop_, std::move(fd));
}

// Reading.

void StdioStream::resume() {
  flow_ = Flow::Flowing;
  wanted_ = true;
  if (!kept_.empty() || (ended_ && !end_emitted_))
    loop_.post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->deliver_kept();
    });
  wait_readable();
}

void StdioStream::on_data(std::function<void(std::string_view)> handler) {
  events_.data.on(std::move(handler));
  if (flow_ == Flow::Initial) resume();
}

// A pipe and a socket: both may be shared with a child that wants its end blocking, so it is not
// O_NONBLOCK that is relied on where MSG_DONTWAIT can be.
ssize_t StdioStream::receive(char* data, std::size_t size) {
  const ssize_t result = direction_ == Direction::FromChild
                             ? sys::read(watch_->fd(), data, size)
                             : sys::recv(watch_->fd(), data, size, MSG_DONTWAIT);
  if (result > 0) {
    bytes_read_ += static_cast<std::size_t>(result);
    if (tap_) tap_({data, static_cast<std::size_t>(result)});
  }
  return result;
}

void StdioStream::wait_readable() {
  if (!watch_ || ended_ || lent_ || watch_->waiting_readable()) return;
  const bool kept_full = wanted_ && kept_.size() >= kKeptSizeMax;
  if (flow_ != Flow::Flowing && readers_.empty() && (!child_exited_ || kept_full)) return;
  watch_->wait_readable([this] { readable_now(); });
}

void StdioStream::readable_now() {
  const auto self = shared_from_this();  // handlers may let go of it
  if (!readers_.empty()) {
    readers_.wake_all();  // they read for themselves, unless they were cancelled
    loop_.post([self] { self->wait_readable(); });
    return;
  }
  if (flow_ == Flow::Flowing && !kept_.empty()) deliver_kept();
  for (int i = 0; i < kReadsPerWake; ++i)
    if (!(flow_ == Flow::Flowing ? read_and_emit() : child_exited_ && keep_some())) break;
  wait_readable();
}

// False: nothing more to read now.
bool StdioStream::read_and_emit() {
  if (!watch_ || ended_ || lent_) return false;
  std::array<char, kReadSize> buffer;  // uninitialized on purpose
  const ssize_t size = receive(buffer.data(), buffer.size());
  if (size > 0) {
    events_.data.emit({buffer.data(), static_cast<std::size_t>(size)});
    return true;
  }
  // Any error but this is the end: ECONNRESET if the child left unread what we had sent.
  if (size == 0 || errno != EAGAIN) came_to_end();
  return false;
}

bool StdioStream::keep_some() {
  if (!watch_ || ended_ || lent_ || (wanted_ && kept_.size() >= kKeptSizeMax)) return false;
  std::array<char, kReadSize> buffer;  // uninitialized on purpose
  const ssize_t size = receive(buffer.data(), buffer.size());
  if (size > 0) {
    const auto count = static_cast<std::size_t>(size);
    // What nobody ever asked for is dropped above the limit: a grandchild that goes on writing must
    // neither stop nor fill our memory.
    if (kept_.size() < kKeptSizeMax) kept_.append(buffer.data(), count);
    return true;
  }
  if (size == 0 || errno != EAGAIN) came_to_end();
  return false;
}

void StdioStream::deliver_kept() {
  if (flow_ != Flow::Flowing || destroyed_) return;
  const auto self = shared_from_this();
  if (!kept_.empty()) {
    const std::string bytes = std::exchange(kept_, {});
    events_.data.emit(bytes);
  }
  emit_end_if_delivered();
}

void StdioStream::came_to_end() {
  if (std::exchange(ended_, true)) return;
  if (direction_ == Direction::FromChild) watch_.reset();
  readers_.wake_all();
  const auto self = shared_from_this();
  emit_end_if_delivered();
  if (when_ended_) std::exchange(when_ended_, nullptr)();
}

void StdioStream::emit_end_if_delivered() {
  if (!ended_ || !kept_.empty() || destroyed_ || std::exchange(end_emitted_, true)) return;
  events_.end.emit();
  // They often own this stream; `drain` and `error` belong to the other direction.
  loop_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->events_.data = {};
    self->events_.end = {};
  });
}

void StdioStream::child_exited() {
  if (std::exchange(child_exited_, true)) return;
  if (direction_ == Direction::ToChild) return destroy();
  if (tap_) read_waiting();
  // Somebody waits for the end, and nobody for the data.
  if (!wanted_ && events_.end.has_listener()) return resume();
  wait_readable();
}

// Its last words, now: the exit record has them.
void StdioStream::read_waiting() {
  // Counted first: a grandchild that goes on writing does not keep us here.
  int waiting = 0;
  if (!watch_ || ended_ || sys::bytes_readable(watch_->fd(), waiting) == -1) return;
  const std::uint64_t until = bytes_read_ + static_cast<std::uint64_t>(waiting);
  while (bytes_read_ < until && keep_some()) {
  }
  if (flow_ == Flow::Flowing) resume();
}

void StdioStream::deliver_waiting() {
  int waiting = 0;
  if (flow_ != Flow::Flowing || !watch_ || sys::bytes_readable(watch_->fd(), waiting) == -1) return;
  const auto self = shared_from_this();
  const std::uint64_t until = bytes_read_ + static_cast<std::uint64_t>(waiting);
  while (bytes_read_ < until && read_and_emit()) {
  }
}

void StdioStream::read_some(asio::mutable_buffer buffer, Handler handler) {
  flow_ = flow_ == Flow::Flowing ? Flow::Flowing : Flow::Paused;
  wanted_ = true;
  if (destroyed_) return complete(std::move(handler), asio::error::operation_aborted, 0);
  if (buffer.size() == 0) return complete(std::move(handler), {}, 0);
  if (!kept_.empty()) {
    const std::size_t size = asio::buffer_copy(buffer, asio::buffer(kept_));
    kept_.erase(0, size);
    complete(std::move(handler), {}, size);
    emit_end_if_delivered();
    return wait_readable();
  }
  if (lent_) return complete(std::move(handler), asio::error::operation_aborted, 0);
  const ssize_t size = ended_ ? 0 : receive(static_cast<char*>(buffer.data()), buffer.size());
  if (size > 0) return complete(std::move(handler), {}, static_cast<std::size_t>(size));
  if (size < 0 && errno == EAGAIN) {
    readers_.park(loop_, std::move(handler),
                  [self = shared_from_this(), buffer](Handler parked, bool woken) {
                    if (woken) return self->read_some(buffer, std::move(parked));
                    self->complete(std::move(parked), asio::error::operation_aborted, 0);
                  });
    return wait_readable();
  }
  came_to_end();
  complete(std::move(handler), asio::error::eof, 0);
}

void StdioStream::complete(Handler handler, boost::system::error_code error, std::size_t size) {
  // Never inside the call that started the operation; there, on the handler's own executor.
  asio::post(loop_.executor(), asio::append(std::move(handler), error, size));
}

// Writing.

bool StdioStream::write(std::string_view data, Done done) {
  if (!writable()) {
    const Error why = system_error(destroyed_ ? ECANCELED : EPIPE, "write");
    if (done) loop_.post([done = std::move(done), why] { done(why); });
    return false;
  }
  bytes_written_ += data.size();
  const auto sent = outbox_.write(loop_, watch_->fd(), data, std::move(done));
  if (!sent) {
    loop_.post([self = shared_from_this(), why = sent.error()] { self->fail_writes(why, true); });
    ending_ = true;
    return false;
  }
  if (!outbox_.empty()) wait_writable();
  return outbox_.keeps_up();
}

void StdioStream::wait_writable() {
  if (!watch_->waiting_writable()) watch_->wait_writable([this] { writable_now(); });
}

void StdioStream::writable_now() {
  const auto self = shared_from_this();  // handlers may let go of it
  while (watch_ && !outbox_.empty()) {
    const auto sent = outbox_.send_some(watch_->fd());
    if (!sent) fail_writes(sent.error(), true);
    if (!sent || *sent == 0) break;
  }
  if (!watch_) return;
  if (!outbox_.empty()) return wait_writable();
  writers_.wake_all();
  if (outbox_.drained()) events_.drain.emit();
  finish_if_written();
}

void StdioStream::write_some(asio::const_buffer buffer, Handler handler) {
  if (!writable()) {
    const auto why = destroyed_ ? asio::error::operation_aborted : asio::error::broken_pipe;
    return complete(std::move(handler), why, 0);
  }
  if (buffer.size() == 0) return complete(std::move(handler), {}, 0);
  if (outbox_.empty()) {
    const ssize_t size = sys::send(watch_->fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size >= 0) {
      bytes_written_ += static_cast<std::size_t>(size);
      return complete(std::move(handler), {}, static_cast<std::size_t>(size));
    }
    if (errno != EAGAIN) return complete(std::move(handler), errno_error("write").code, 0);
  }
  writers_.park(loop_, std::move(handler),
                [self = shared_from_this(), buffer](Handler parked, bool woken) {
                  if (woken) return self->write_some(buffer, std::move(parked));
                  self->complete(std::move(parked), asio::error::operation_aborted, 0);
                });
  wait_writable();
}

void StdioStream::end(std::string_view data) {
  if (!writable()) return;
  if (!data.empty()) write(data, {});
  if (!writable()) return;
  ending_ = true;
  finish_if_written();
}

void StdioStream::finish_if_written() {
  if (!watch_ || !ending_ || !outbox_.empty()) return;
  writers_.wake_all();
  if (direction_ == Direction::ToChild)
    close();
  else
    sys::shutdown(watch_->fd(), SHUT_WR);
}

void StdioStream::fail_writes(const Error& error, bool report) {
  const auto self = shared_from_this();
  ending_ = true;
  outbox_.fail(error);
  writers_.wake_all();
  if (report) events_.error.emit(error);
  if (direction_ == Direction::ToChild) close();
}

// Ending.

void StdioStream::close() {
  watch_.reset();
  ending_ = true;
  if (direction_ != Direction::ToChild) return;
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->events_ = {};
  });
}

void StdioStream::destroy() {
  if (std::exchange(destroyed_, true)) return;
  const auto self = shared_from_this();
  watch_.reset();
  kept_.clear();
  loop_.post([self] {
    self->fail_writes(system_error(ECANCELED, "write"), false);
    self->readers_.wake_all();
    self->events_ = {};
    if (!std::exchange(self->ended_, true) && self->when_ended_)
      std::exchange(self->when_ended_, nullptr)();
  });
}

int StdioStream::lend() {
  if (!watch_ || destroyed_) return -1;
  lent_ = true;
  return watch_->fd();
}

void StdioStream::lent() {
  if (direction_ == Direction::FromChild) return destroy();
  if (!std::exchange(ended_, true) && when_ended_)
    loop_.post([self = shared_from_this()] {
      if (self->when_ended_) std::exchange(self->when_ended_, nullptr)();
    });
}

void StdioStream::abandon() {
  when_ended_ = nullptr;
  tap_ = nullptr;
  destroyed_ = true;
  ended_ = true;
  ending_ = true;
  watch_.reset();
  const Events events = std::exchange(events_, {});  // the last handle may be in one of them
  outbox_.clear();
}

// The handles.

bool ChildStream::write(std::string_view data, Callback<void(std::optional<Error>)> done) const {
  return stream_ && stream_->write(data, std::move(done));
}
void ChildStream::end(std::string_view data) const {
  if (stream_) stream_->end(data);
}
void ChildStream::destroy() const {
  if (stream_) stream_->destroy();
}
void ChildStream::pause() const {
  if (stream_) stream_->pause();
}
void ChildStream::resume() const {
  if (stream_) stream_->resume();
}
void ChildStream::on_data(Callback<void(std::string_view)> handler) const {
  if (stream_) stream_->on_data(std::move(handler));
}
void ChildStream::on_end(Callback<void()> handler) const {
  if (stream_) stream_->events().end.on(std::move(handler));
}
void ChildStream::on_drain(Callback<void()> handler) const {
  if (stream_) stream_->events().drain.on(std::move(handler));
}
void ChildStream::on_error(Callback<void(const Error&)> handler) const {
  if (stream_) stream_->events().error.on(std::move(handler));
}
bool ChildStream::readable() const { return stream_ && stream_->readable(); }
bool ChildStream::writable() const { return stream_ && stream_->writable(); }
std::uint64_t ChildStream::bytes_read() const { return stream_ ? stream_->bytes_read() : 0; }
std::uint64_t ChildStream::bytes_written() const { return stream_ ? stream_->bytes_written() : 0; }

ChildStream::executor_type ChildStream::get_executor() const { return stream_->loop().executor(); }

void ChildStream::read_some(asio::mutable_buffer buffer, Handler handler) const {
  asio::dispatch(stream_->loop().executor(),
                 [stream = stream_, buffer, handler = std::move(handler)]() mutable {
                   stream->read_some(buffer, std::move(handler));
                 });
}

void ChildStream::write_some(asio::const_buffer buffer, Handler handler) const {
  asio::dispatch(stream_->loop().executor(),
                 [stream = stream_, buffer, handler = std::move(handler)]() mutable {
                   stream->write_some(buffer, std::move(handler));
                 });
}

}  // namespace cohort
