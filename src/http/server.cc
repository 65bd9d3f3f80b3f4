// The public handles: Request, Response, Server.
#include <algorithm>

#include "cohort/http.h"
#include "cohort/net.h"
#include "http/connection.h"
#include "http/server_core.h"
#include "http/text.h"

namespace cohort::http {

std::string_view Request::method() const { return connection_.parser().head().method; }

std::string_view Request::url() const { return connection_.parser().head().url; }

std::string_view Request::http_version() const {
  return connection_.parser().head().http_1_0 ? "1.0" : "1.1";
}

std::span<const Header> Request::headers() const { return connection_.parser().head().headers; }

std::string_view Request::header(std::string_view name) const {
  for (const Header& header : headers())
    if (equals_ignoring_case(header.name, name)) return header.value;
  return {};
}

bool Request::has_header(std::string_view name) const {
  const auto all = headers();
  return std::any_of(all.begin(), all.end(),
                     [&](const Header& header) { return equals_ignoring_case(header.name, name); });
}

std::string_view Request::body() const { return connection_.parser().body(); }

const Address& Request::remote_address() const { return connection_.remote_address(); }

std::shared_ptr<Connection> Response::find() const {
  auto connection = connection_.lock();
  if (connection && !connection->answering(serial_)) connection.reset();
  return connection;
}

namespace {

Error over() { return make_error(Errc::InvalidArgument, "answer", "it has ended"); }

}  // namespace

void Response::status_code(int status) const {
  if (const auto connection = find()) connection->set_status(status);
}

int Response::status_code() const {
  const auto connection = find();
  return connection ? connection->reply().status() : 0;
}

Result<void> Response::set_header(std::string_view name, std::string_view value) const {
  const auto connection = find();
  if (!connection) return over();
  return connection->reply().set_header(name, value);
}

Result<void> Response::append_header(std::string_view name, std::string_view value) const {
  const auto connection = find();
  if (!connection) return over();
  return connection->reply().append_header(name, value);
}

std::string_view Response::get_header(std::string_view name) const {
  const auto connection = find();
  return connection ? connection->reply().fields().get(name) : std::string_view{};
}

bool Response::has_header(std::string_view name) const {
  const auto connection = find();
  return connection && connection->reply().fields().has(name);
}

void Response::remove_header(std::string_view name) const {
  if (const auto connection = find()) connection->reply().remove_header(name);
}

Result<void> Response::write_head(int status, std::initializer_list<Header> headers) const {
  const auto connection = find();
  if (!connection) return over();
  return connection->reply().write_head(status, headers);
}

bool Response::write(std::string_view chunk) const {
  const auto connection = find();
  return connection && connection->write(chunk);
}

void Response::end(std::string_view data) const {
  if (const auto connection = find()) connection->end(data);
}

void Response::write_continue() const {
  if (const auto connection = find()) connection->write_continue();
}

bool Response::headers_sent() const {
  const auto connection = find();
  return !connection || connection->reply().head_fixed();
}

bool Response::writable_ended() const { return find() == nullptr; }

void Response::on_drain(Callback<void()> callback) const {
  if (!callback) return;
  if (const auto connection = connection_.lock())
    connection->on_drain(serial_, std::move(callback));
}

void Response::on_close(Callback<void()> callback) const {
  if (!callback) return;
  if (const auto connection = find())
    connection->on_close(std::move(callback));
  else
    loop_->post(std::move(callback));
}

Server Server::listen(std::uint16_t port, Callback<void()> on_listening) const {
  return listen(Address{{}, port}, {}, std::move(on_listening));
}

Server Server::listen(const Address& address, Callback<void()> on_listening) const {
  return listen(address, {}, std::move(on_listening));
}

Server Server::listen(const Address& address, const ListenOptions& options,
                      Callback<void()> on_listening) const {
  net::ListenRequest request = net::make_request(address, options);
  request.defer_accept = options.defer_accept.value_or(true);
  core_->listen(request, std::move(on_listening));
  return *this;
}

void Server::adopt(Handle connection) const { core_->adopt(std::move(connection)); }
void Server::close(Callback<void()> closed) const { core_->close(std::move(closed)); }

bool Server::listening() const { return core_->is_listening(); }

Address Server::address() const { return core_->address(); }

void Server::max_connections(std::size_t limit) const { core_->max_connections(limit); }

ServerStats Server::stats() const { return core_->stats(); }

void Server::on_listening(Callback<void()> handler) const {
  core_->on_listening().add(std::move(handler));
}

void Server::on_error(Callback<void(const Error&)> handler) const {
  core_->on_error().add(std::move(handler));
}

Server create_server(net::Host& host, Handler handler, ServerOptions options) {
  return Server{std::make_shared<ServerCore>(host, std::move(handler), options)};
}

Server create_server(boost::asio::io_context& io, Handler handler, ServerOptions options) {
  return create_server(net::host(io), std::move(handler), options);
}

}  // namespace cohort::http
