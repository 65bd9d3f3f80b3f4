#include "net/server.h"

#include <cerrno>
#include <stdexcept>

#include "base/sys.h"

namespace cohort::net {

ServerImpl::ServerImpl(Host& host, std::function<void(Socket)> on_connection,
                       const ServerOptions& options)
    : host_{host},
      loop_{host.loop()},
      on_connection_{std::move(on_connection)},
      options_{options} {}

ServerImpl::~ServerImpl() {
  for (const auto& socket : sockets_) socket->abandon();
}

void ServerImpl::abandon() {
  for (const auto& socket : std::exchange(sockets_, {})) socket->abandon();
  publish();
  open_ = false;
  bound_.reset();
  on_connection_ = nullptr;
  on_listening_.clear();
  on_error_.clear();
  first_listening_ = nullptr;
  closed_.clear();
  listener_.reset();
}

void ServerImpl::listen(const ListenRequest& request, std::function<void()> on_listening) {
  if (may_listen(to_string(request.address), on_listening))
    listener_ = host_.listen(request, shared_from_this());
}

void ServerImpl::listen(Handle handle, std::function<void()> on_listening) {
  if (handle.kind() != Handle::Kind::Server)
    return fail_later(
        make_error(Errc::InvalidArgument, "listen on a handle", "it is not a listening socket"));
  if (!may_listen("on a handle", on_listening)) return;
  OwnFd fd = handle.release();
  sys::set_nonblocking(fd.get(), true);
  listener_ = host_.adopt(std::move(fd), shared_from_this());
}

bool ServerImpl::may_listen(const std::string& where, std::function<void()>& on_listening) {
  if (open_) {
    fail_later(system_error(EALREADY, "listen " + where, "this server listens; close it first"));
    return false;
  }
  open_ = true;
  first_listening_ = std::move(on_listening);
  return true;
}

Result<Handle> ServerImpl::handle() const {
  const int fd = listener_ && open_ ? listener_->native_handle() : -1;
  if (fd < 0)
    return make_error(Errc::NoDescriptor, "handle of a server",
                      open_ ? "the primary accepts for it" : "it does not listen");
  OwnFd copy = sys::duplicate(fd);
  if (!copy) return errno_error("handle of a server");
  return Handle{std::move(copy)};
}

Socket ServerImpl::adopt(Handle handle) {
  if (handle.kind() != Handle::Kind::Socket)
    return Socket{std::make_shared<SocketHolder>(
        std::make_shared<SocketImpl>(loop_, OwnFd{}, false, nullptr))};
  // While it does not listen, the host has to know of it all the same.
  if (!listener_) listener_ = host_.adopt({}, shared_from_this());
  const std::string head = handle.head();
  const auto attachment = handle.attachment();
  OwnFd fd = handle.release();
  sys::set_nonblocking(fd.get(), true);
  const auto socket = add_socket(std::move(fd));
  socket->adopted(head, attachment);
  const Socket made{std::make_shared<SocketHolder>(socket)};
  if (on_connection_) on_connection_(made);
  socket->start();
  return made;
}

void ServerImpl::listening(const Address& bound) {
  bound_ = bound;
  if (auto first = std::exchange(first_listening_, nullptr)) first();
  on_listening_();
}

void ServerImpl::listen_failed(const Error& error) {
  const auto self = shared_from_this();  // the listener may be what keeps it
  open_ = false;
  first_listening_ = nullptr;
  if (sockets_.empty()) listener_.reset();
  fail_later(error);
}

// Later: an exception must not pass through the host.
void ServerImpl::fail_later(const Error& error) {
  loop_.post([self = shared_from_this(), error] {
    if (self->on_error_.empty()) throw std::runtime_error{error.message()};
    self->on_error_(error);
  });
}

bool ServerImpl::connection(OwnFd& fd) {
  if (!open_ || full()) return false;
  const auto socket = add_socket(std::move(fd));
  on_connection_(Socket{std::make_shared<SocketHolder>(socket)});
  socket->start();
  return true;
}

std::shared_ptr<SocketImpl> ServerImpl::add_socket(OwnFd fd) {
  auto socket = std::make_shared<SocketImpl>(
      loop_, std::move(fd), options_.allow_half_open,
      [this](const std::shared_ptr<SocketImpl>& gone) { socket_gone(gone); });
  sockets_.insert(socket);
  publish();
  return socket;
}

void ServerImpl::publish_to(const std::shared_ptr<Load>& load) {
  // Connections of an earlier listen go on, and are counted here now.
  Load::set(load_->in_flight, 0);
  Load::set(load_->connections, 0);
  load_ = load;
  Load::set(load_->counts_open, 1);
  publish();
}

// What a protocol that is not known here has under way: every connection may have something.
void ServerImpl::publish() {
  Load::set(load_->in_flight, sockets_.size());
  Load::set(load_->connections, sockets_.size());
  Load::set(load_->arriving, 0);
}

void ServerImpl::socket_gone(const std::shared_ptr<SocketImpl>& socket) {
  sockets_.erase(socket);
  publish();
  if (open_ && limit_ != 0) listener_->resume();
  finish_if_idle();
}

void ServerImpl::max_connections(std::size_t limit) {
  limit_ = limit;
  if (open_) listener_->resume();
}

void ServerImpl::close(std::function<void()> closed) {
  if (closed) closed_.push_back(std::move(closed));
  open_ = false;
  first_listening_ = nullptr;
  bound_.reset();
  if (listener_) listener_->close();
  loop_.post([self = shared_from_this()] { self->finish_if_idle(); });
}

void ServerImpl::finish_if_idle() {
  if (!sockets_.empty()) return;
  const auto self = shared_from_this();  // the listener may be what keeps it
  if (!open_) listener_.reset();
  for (const auto& callback : std::exchange(closed_, {})) callback();
}

// The handles.

Server Server::listen(std::uint16_t port, Callback<void()> on_listening) const {
  return listen(Address{"", port}, {}, std::move(on_listening));
}

Server Server::listen(const Address& address, Callback<void()> on_listening) const {
  return listen(address, {}, std::move(on_listening));
}

Server Server::listen(const Address& address, const ListenOptions& options,
                      Callback<void()> on_listening) const {
  impl_->listen(make_request(address, options), std::move(on_listening));
  return *this;
}

Server Server::listen(Handle handle, Callback<void()> on_listening) const {
  impl_->listen(std::move(handle), std::move(on_listening));
  return *this;
}

Result<Handle> Server::handle() const { return impl_->handle(); }
Socket Server::adopt(Handle connection) const { return impl_->adopt(std::move(connection)); }
void Server::close(Callback<void()> closed) const { impl_->close(std::move(closed)); }
Address Server::address() const { return impl_->address(); }
bool Server::listening() const { return impl_->is_listening(); }
std::size_t Server::connections() const { return impl_->connections(); }
void Server::max_connections(std::size_t limit) const { impl_->max_connections(limit); }

void Server::on_listening(Callback<void()> handler) const {
  impl_->on_listening().add(std::move(handler));
}

void Server::on_error(Callback<void(const Error&)> handler) const {
  impl_->on_error().add(std::move(handler));
}

Server create_server(Host& host, Callback<void(Socket)> on_connection,
                     const ServerOptions& options) {
  return Server{std::make_shared<ServerImpl>(host, std::move(on_connection), options)};
}

Server create_server(boost::asio::io_context& io, Callback<void(Socket)> on_connection,
                     const ServerOptions& options) {
  return create_server(host(io), std::move(on_connection), options);
}

Socket adopt(Host& host, Handle connection) {
  return create_server(host, nullptr).adopt(std::move(connection));
}

Socket adopt(boost::asio::io_context& io, Handle connection) {
  return adopt(host(io), std::move(connection));
}

}  // namespace cohort::net
