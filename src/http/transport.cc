#include "http/transport.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/sys.h"
#include "net/sockaddr.h"

namespace cohort::http {
namespace {

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK; }

}  // namespace

Transport::Transport(const boost::asio::any_io_executor& executor, OwnFd fd, bool no_delay)
    : fd_{std::move(fd)}, descriptor_{executor}, no_delay_{no_delay} {}

Transport::~Transport() { release(); }

Transport::Descriptor::wait_type Transport::readiness(Wait wait) {
  switch (wait) {
    case Wait::Receive:
      return Descriptor::wait_read;
    case Wait::Send:
      return Descriptor::wait_write;
    case Wait::Failure:
      break;
  }
  return Descriptor::wait_error;
}

int Transport::native() { return fd_ ? fd_.get() : descriptor_.native_handle(); }

Transport::Transfer Transport::receive(std::span<char> buffer) {
  const ssize_t size = sys::recv(native(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size > 0) return {Outcome::Moved, static_cast<std::size_t>(size)};
  if (size == 0) return {Outcome::Ended};
  return {would_block() ? Outcome::NotNow : Outcome::Failed};
}

Transport::Transfer Transport::send(std::string_view bytes) {
  const ssize_t size = sys::send(native(), bytes.data(), bytes.size());
  if (size >= 0) return {Outcome::Moved, static_cast<std::size_t>(size)};
  return {would_block() ? Outcome::NotNow : Outcome::Failed};
}

bool Transport::enter_loop() {
  if (!fd_) return true;
  // Most listeners pass it on to their connections; a Node primary's do not. Fails on Unix sockets,
  // which need none.
  if (no_delay_) sys::set_int_option(fd_.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  boost::system::error_code error;
  descriptor_.assign(fd_.get(), error);
  if (error) return false;
  static_cast<void>(fd_.release());
  return true;
}

void Transport::wait_to_receive(std::shared_ptr<TransportUser> user) {
  if (!pending(Wait::Receive)) start(Wait::Receive, std::move(user));
}

void Transport::wait_to_send(std::shared_ptr<TransportUser> user) {
  if (!pending(Wait::Send)) start(Wait::Send, std::move(user));
}

void Transport::wait_for_failure(std::shared_ptr<TransportUser> user) {
  if (pending_ == decltype(pending_){}) start(Wait::Failure, std::move(user));
}

void Transport::start(Wait wait, std::shared_ptr<TransportUser> user) {
  pending(wait) = true;
  descriptor_.async_wait(readiness(wait), [this, wait, user = std::move(user)](const auto& error) {
    pending(wait) = false;
    if (error) return;
    switch (wait) {
      case Wait::Receive:
        return user->can_receive();
      case Wait::Send:
        return user->can_send();
      case Wait::Failure:
        return user->transport_failed();
    }
  });
}

bool Transport::peer_ended() { return sys::poll(native(), POLLRDHUP, 0) > 0; }

void Transport::end_sending() { sys::shutdown(native(), SHUT_WR); }

void Transport::close() {
  // The primary may still hold a copy of the descriptor; only shutdown() ends the connection then.
  sys::shutdown(native(), SHUT_RDWR);
  release();
}

// A reset. Dissolving the association sends one though the primary may still hold a copy of the
// descriptor (SO_LINGER would wait for the last copy).
void Transport::cut() {
  const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
  sys::connect(native(), &nobody, sizeof nobody);
  close();
}

// Out of Asio before it is closed: see OwnFd's users in the architecture.
OwnFd Transport::release() {
  if (fd_) return std::move(fd_);
  return OwnFd{descriptor_.release()};
}

const Address& Transport::peer() {
  if (!peer_) {
    auto peer = net::peer_address(native());
    peer_ = peer ? std::move(*peer) : Address{};
  }
  return *peer_;
}

}  // namespace cohort::http
