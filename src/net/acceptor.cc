#include "net/acceptor.h"

#include <boost/asio/append.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

#include "base/sys.h"
#include "cohort/acceptor.h"

namespace cohort {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// Enough for a burst that arrives while the server starts the next accept; the others of a cluster
// can serve what comes on top of it.
constexpr std::size_t kQueueMax = 16;

}  // namespace

void AcceptorImpl::open(net::Host& host, const net::ListenRequest& request) {
  listener_ = host.listen(request, shared_from_this());
}

// What the host says.

void AcceptorImpl::listening(const Address& bound) {
  bound_ = bound;
  listens_.wake_all();
}

void AcceptorImpl::listen_failed(const Error& error) {
  error_ = error;
  stop_listening();
}

bool AcceptorImpl::connection(OwnFd& fd) {
  if (closed_ || full()) return false;
  queue_.push_back(std::move(fd));
  accepts_.wake_one();
  return true;
}

bool AcceptorImpl::full() const { return queue_.size() >= kQueueMax + accepts_.size(); }

void AcceptorImpl::drain(std::function<void()> done) {
  stop_listening();
  if (queue_.empty()) return done();
  drained_ = std::move(done);
}

void AcceptorImpl::abandon() {
  drained_ = nullptr;
  close();
}

void AcceptorImpl::close() {
  queue_.clear();
  stop_listening();
  if (drained_) std::exchange(drained_, nullptr)();
}

void AcceptorImpl::stop_listening() {
  const auto self = shared_from_this();  // the listener may be what keeps it
  closed_ = true;
  bound_.reset();
  listener_.reset();
  accepts_.wake_all();
  listens_.wake_all();
}

// What the user asks for.

void AcceptorImpl::accept(Handler<Socket> handler) {
  if (!tcp_) return fail<Socket>(std::move(handler), asio::error::operation_not_supported);
  if (!queue_.empty()) {
    error_code error;
    Socket socket = to_socket(take(), error);
    return complete<Socket>(std::move(handler), error, std::move(socket));
  }
  if (closed_) return fail<Socket>(std::move(handler), ended());
  wait<Socket>(accepts_, std::move(handler), &AcceptorImpl::accept);
}

void AcceptorImpl::accept_fd(Handler<OwnFd> handler) {
  if (!queue_.empty()) return complete<OwnFd>(std::move(handler), {}, take());
  if (closed_) return fail<OwnFd>(std::move(handler), ended());
  wait<OwnFd>(accepts_, std::move(handler), &AcceptorImpl::accept_fd);
}

void AcceptorImpl::wait_listening(Handler<Address> handler) {
  if (bound_) return complete<Address>(std::move(handler), {}, *bound_);
  if (closed_) return fail<Address>(std::move(handler), ended());
  wait<Address>(listens_, std::move(handler), &AcceptorImpl::wait_listening);
}

error_code AcceptorImpl::ended() const {
  return error_ ? error_->code : error_code{asio::error::operation_aborted};
}

OwnFd AcceptorImpl::take() {
  const bool was_full = full();
  OwnFd fd = std::move(queue_.front());
  queue_.pop_front();
  if (was_full && listener_) listener_->resume();
  if (queue_.empty() && drained_) std::exchange(drained_, nullptr)();
  return fd;
}

AcceptorImpl::Socket AcceptorImpl::to_socket(OwnFd fd, error_code& error) {
  Socket socket{loop_.executor()};
  if (family_ == 0) {
    socklen_t size = sizeof family_;
    if (sys::getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &family_, size) == -1) {
      error = errno_error("accept").code;
      return socket;
    }
  }
  const auto protocol = family_ == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4();
  socket.assign(protocol, fd.get(), error);
  if (!error) (void)fd.release();
  return socket;
}

template <class Result>
void AcceptorImpl::wait(Parking<>& waiting, Handler<Result> handler,
                        void (AcceptorImpl::*retry)(Handler<Result>)) {
  waiting.park(loop_, std::move(handler),
               [self = shared_from_this(), retry](Handler<Result> parked, bool woken) {
                 if (woken) return ((*self).*retry)(std::move(parked));
                 self->fail<Result>(std::move(parked), asio::error::operation_aborted);
               });
}

template <class Result>
void AcceptorImpl::complete(Handler<Result> handler, error_code error, Result result) {
  // Never inside the call that started the operation; there, on the handler's own executor.
  asio::post(loop_.executor(), asio::append(std::move(handler), error, std::move(result)));
}

template <class Result>
void AcceptorImpl::fail(Handler<Result> handler, error_code error) {
  if constexpr (std::is_same_v<Result, Socket>)
    complete<Result>(std::move(handler), error, Socket{loop_.executor()});
  else
    complete<Result>(std::move(handler), error, Result{});
}

// The public face.

Acceptor::Acceptor(net::Host& host, const Address& address, const ListenOptions& options)
    : impl_{std::make_shared<AcceptorImpl>(host.loop(), !address.is_unix())} {
  impl_->open(host, net::make_request(address, options));
}

Acceptor::Acceptor(Acceptor&&) noexcept = default;

Acceptor& Acceptor::operator=(Acceptor&& other) noexcept {
  if (this == &other) return *this;
  if (impl_) close();
  impl_ = std::move(other.impl_);
  return *this;
}

Acceptor::~Acceptor() {
  if (impl_) close();
}

void Acceptor::close() {
  // Weak: when the io_context destroys a coroutine that owns the Acceptor, nothing may be left in
  // its queue that owns sockets. The host keeps it until the Listener is gone.
  asio::dispatch(impl_->loop().executor(), [weak = std::weak_ptr{impl_}] {
    if (const auto impl = weak.lock()) impl->close();
  });
}

Address Acceptor::local_address() const { return impl_->bound(); }
std::optional<Error> Acceptor::error() const { return impl_->error(); }

void Acceptor::accept(const Impl& impl, Handler<asio::ip::tcp::socket> handler) {
  asio::dispatch(impl->loop().executor(), [impl, handler = std::move(handler)]() mutable {
    impl->accept(std::move(handler));
  });
}

void Acceptor::accept_fd(const Impl& impl, Handler<OwnFd> handler) {
  asio::dispatch(impl->loop().executor(), [impl, handler = std::move(handler)]() mutable {
    impl->accept_fd(std::move(handler));
  });
}

void Acceptor::wait_listening(const Impl& impl, Handler<Address> handler) {
  asio::dispatch(impl->loop().executor(), [impl, handler = std::move(handler)]() mutable {
    impl->wait_listening(std::move(handler));
  });
}

}  // namespace cohort
