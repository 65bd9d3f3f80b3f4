#include "net/socket.h"

#include <array>
#include <cerrno>

#include "base/sys.h"
#include "net/sockaddr.h"

namespace cohort::net {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;
// Reads of one wake-up, so that one busy connection does not starve the others.
constexpr int kReadsPerWake = 4;

using Clock = std::chrono::steady_clock;

}  // namespace

SocketImpl::SocketImpl(const Loop& loop, OwnFd fd, bool allow_half_open, Gone gone)
    : loop_{loop},
      watch_{fd ? std::make_unique<Watch>(loop_, std::move(fd)) : nullptr},
      allow_half_open_{allow_half_open},
      gone_{std::move(gone)} {}

void SocketImpl::adopted(std::string head, std::shared_ptr<void> attachment) {
  head_ = std::move(head);
  attachment_ = std::move(attachment);
  unread_ = !head_.empty();
}

Result<Handle> SocketImpl::release(std::string_view unread) {
  if (closed()) return system_error(ENOTCONN, "release a socket");
  if (!outbox_.empty())
    return system_error(EBUSY, "release a socket",
                        std::to_string(outbox_.size()) + " bytes wait to be written");
  Handle handle{watch_->release(), std::string{unread} + head_};
  handle.attach(std::move(attachment_));
  watch_.reset();
  if (idle_) idle_->timer.cancel();
  idle_.reset();
  // Later: a handler of its own may be running.
  loop_.post([self = shared_from_this()] {
    self->events_ = {};
    if (self->gone_) std::exchange(self->gone_, nullptr)(self);
  });
  return handle;
}

void SocketImpl::start() {
  started_ = true;
  wait_readable();
}

// Reading.

void SocketImpl::resume() {
  flow_ = Flow::Flowing;
  if (!head_.empty()) {
    loop_.post([self = shared_from_this()] { self->readable(); });
    return;
  }
  wait_readable();
}

void SocketImpl::on_data(std::function<void(std::string_view)> handler) {
  events_.data.add(std::move(handler));
  if (flow_ == Flow::Initial) resume();
}

void SocketImpl::unheld() {
  // Nobody can resume it any more, and only reading shows when the peer ends.
  if (!closed() && flow_ != Flow::Flowing) resume();
}

void SocketImpl::wait_readable() {
  if (closed() || !started_ || peer_ended_ || watch_->waiting_readable()) return;
  if (flow_ == Flow::Paused || (flow_ == Flow::Initial && unread_)) return;
  watch_->wait_readable([this] { readable(); });
}

void SocketImpl::readable() {
  const auto self = shared_from_this();  // handlers may let go of it
  if (closed()) return;
  if (flow_ == Flow::Initial) peek();
  for (int i = 0; i < kReadsPerWake && flow_ == Flow::Flowing; ++i)
    if (!read_some()) break;
  wait_readable();
}

// False: nothing more to read now.
bool SocketImpl::read_some() {
  if (closed() || peer_ended_) return false;
  if (!head_.empty()) {
    const std::string head = std::exchange(head_, {});
    bytes_read_ += head.size();
    events_.data(head);
    return true;
  }
  std::array<char, kReadSize> buffer;  // uninitialized on purpose
  const ssize_t size = sys::recv(watch_->fd(), buffer.data(), buffer.size(), 0);
  if (size > 0) {
    const auto count = static_cast<std::size_t>(size);
    bytes_read_ += count;
    touch();
    events_.data({buffer.data(), count});
    return count == buffer.size();
  }
  if (size == 0)
    peer_ended();
  else if (errno != EAGAIN)
    close(errno_error("read"));
  return false;
}

void SocketImpl::peek() {
  char byte;
  const ssize_t size = sys::recv(watch_->fd(), &byte, 1, MSG_PEEK);
  if (size > 0)
    unread_ = true;
  else if (size == 0)
    peer_ended();
  else if (errno != EAGAIN)
    close(errno_error("read"));
}

void SocketImpl::peer_ended() {
  peer_ended_ = true;
  events_.end();
  if (closed()) return;
  if (!allow_half_open_) ending_ = true;
  finish_if_written();
}

// Writing.

bool SocketImpl::write(std::string_view data, Done done) {
  if (closed() || ending_) {
    if (done)
      loop_.post(
          [done, reason = closed() ? ECANCELED : EPIPE] { done(system_error(reason, "write")); });
    return false;
  }
  bytes_written_ += data.size();
  const auto sent = outbox_.write(loop_, watch_->fd(), data, std::move(done));
  if (!sent) {
    close(sent.error());
    return false;
  }
  if (*sent > 0) touch();
  if (!outbox_.empty()) wait_writable();
  return outbox_.keeps_up();
}

void SocketImpl::wait_writable() {
  if (!watch_->waiting_writable()) watch_->wait_writable([this] { writable(); });
}

void SocketImpl::writable() {
  const auto self = shared_from_this();  // handlers may let go of it
  while (!closed() && !outbox_.empty()) {
    const auto sent = outbox_.send_some(watch_->fd());
    if (!sent) return close(sent.error());
    if (*sent == 0) break;
    touch();
  }
  if (closed()) return;
  if (!outbox_.empty()) return wait_writable();
  if (outbox_.drained()) events_.drain();
  finish_if_written();
}

void SocketImpl::end(std::string_view data) {
  if (closed() || ending_) return;
  if (!data.empty()) write(data, {});
  if (closed()) return;
  ending_ = true;
  // What the peer still sends is of no interest to a user who never asked for it; its end is.
  if (flow_ == Flow::Initial) resume();
  finish_if_written();
}

void SocketImpl::finish_if_written() {
  if (closed() || !ending_ || !outbox_.empty()) return;
  if (!std::exchange(shut_, true)) sys::shutdown(watch_->fd(), SHUT_WR);
  if (peer_ended_) close({});
}

// Closing.

void SocketImpl::shut_down() {
  // A primary may hold a copy of the descriptor for a moment: closing ours alone would not end the
  // connection.
  sys::shutdown(watch_->fd(), SHUT_RDWR);
  watch_.reset();
  attachment_.reset();
  if (idle_) idle_->timer.cancel();
  idle_.reset();
}

void SocketImpl::close(std::optional<Error> error) {
  if (closed()) return;
  shut_down();
  loop_.post([self = shared_from_this(), error = std::move(error)] { self->emit_close(error); });
}

void SocketImpl::emit_close(const std::optional<Error>& error) {
  outbox_.fail(error ? *error : system_error(ECANCELED, "write"));
  if (error) events_.error(*error);
  events_.close();
  events_ = {};  // they may hold handles of this socket
  if (gone_) std::exchange(gone_, nullptr)(shared_from_this());
}

void SocketImpl::abandon() {
  gone_ = nullptr;
  if (!closed()) shut_down();
  events_ = {};
  outbox_.clear();
}

// Idle time.

void SocketImpl::set_timeout(std::chrono::milliseconds idle, std::function<void()> handler) {
  if (idle_) idle_->timer.cancel();
  idle_.reset();
  if (closed() || idle.count() <= 0) return;
  idle_.reset(new Idle{boost::asio::steady_timer{loop_.executor()}, idle, std::move(handler), {}});
  touch();
}

// Activity only notes the time; the timer looks at it when it fires.
void SocketImpl::touch() {
  if (!idle_) return;
  idle_->last = Clock::now();
  if (!idle_->armed) check_idle();
}

void SocketImpl::check_idle() {
  const auto idle = idle_;
  const auto due = idle->last + idle->limit;
  idle->armed = due > Clock::now();
  if (!idle->armed) {
    if (idle->handler) idle->handler();
    return;
  }
  idle->timer.expires_at(due);
  idle->timer.async_wait([weak = weak_from_this(), idle](const auto& cancelled) {
    const auto self = weak.lock();
    if (!cancelled && self && self->idle_ == idle) self->check_idle();
  });
}

Address SocketImpl::remote_address() {
  if (!remote_ && !closed())
    if (const auto address = peer_address(watch_->fd())) remote_ = *address;
  return remote_.value_or(Address{});
}

Address SocketImpl::local_address() {
  if (!local_ && !closed())
    if (const auto address = net::local_address(watch_->fd())) local_ = *address;
  return local_.value_or(Address{});
}

// The handles.

SocketImpl& Socket::impl() const { return holder_->socket(); }

bool Socket::write(std::string_view data, Callback<void(std::optional<Error>)> done) const {
  return impl().write(data, std::move(done));
}
void Socket::end(std::string_view data) const { impl().end(data); }
void Socket::destroy() const { impl().destroy(); }
Result<Handle> Socket::release(std::string_view unread) const { return impl().release(unread); }
bool Socket::destroyed() const { return impl().closed(); }
void Socket::pause() const { impl().pause(); }
void Socket::resume() const { impl().resume(); }
void Socket::set_timeout(std::chrono::milliseconds idle, Callback<void()> handler) const {
  impl().set_timeout(idle, std::move(handler));
}
Address Socket::remote_address() const { return impl().remote_address(); }
Address Socket::local_address() const { return impl().local_address(); }
std::uint64_t Socket::bytes_read() const { return impl().bytes_read(); }
std::uint64_t Socket::bytes_written() const { return impl().bytes_written(); }

void Socket::on_data(Callback<void(std::string_view)> handler) const {
  impl().on_data(std::move(handler));
}
void Socket::on_end(Callback<void()> handler) const { impl().events().end.add(std::move(handler)); }
void Socket::on_drain(Callback<void()> handler) const {
  impl().events().drain.add(std::move(handler));
}
void Socket::on_error(Callback<void(const Error&)> handler) const {
  impl().events().error.add(std::move(handler));
}
void Socket::on_close(Callback<void()> handler) const {
  impl().events().close.add(std::move(handler));
}

}  // namespace cohort::net
