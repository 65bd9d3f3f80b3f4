// A raw TCP or Unix-socket server: what `net::Server` handles refer to.
//
// Shared by its handles and by the host, which keeps it from `listen` until its Listener is gone:
// until it is closed and its last connection has ended. Loop's executor only.
#pragma once

#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/handlers.h"
#include "cohort/net.h"
#include "net/listener.h"
#include "net/socket.h"

namespace cohort::net {

class ServerImpl final : public ListenerUser, public std::enable_shared_from_this<ServerImpl> {
 public:
  ServerImpl(Host& host, std::function<void(Socket)> on_connection, const ServerOptions& options);
  ~ServerImpl() override;

  void listen(const ListenRequest& request, std::function<void()> on_listening);
  void listen(Handle handle, std::function<void()> on_listening);
  /// A connection that came as a handle.
  Socket adopt(Handle handle);
  Result<Handle> handle() const;
  void close(std::function<void()> closed);
  void max_connections(std::size_t limit);
  Address address() const { return bound_.value_or(Address{}); }
  bool is_listening() const { return bound_.has_value(); }
  std::size_t connections() const { return sockets_.size(); }
  Handlers<>& on_listening() { return on_listening_; }
  Handlers<const Error&>& on_error() { return on_error_; }

  // ListenerUser
  void listening(const Address& bound) override;
  void listen_failed(const Error& error) override;
  bool connection(OwnFd& fd) override;
  bool full() const override { return limit_ != 0 && sockets_.size() >= limit_; }
  void publish_to(const std::shared_ptr<Load>& load) override;
  void drain(std::function<void()> done) override { close(std::move(done)); }
  void abandon() override;

 private:
  bool may_listen(const std::string& where, std::function<void()>& on_listening);
  std::shared_ptr<SocketImpl> add_socket(OwnFd fd);
  void fail_later(const Error& error);
  void socket_gone(const std::shared_ptr<SocketImpl>& socket);
  void finish_if_idle();
  void publish();

  Host& host_;
  Loop loop_;
  std::function<void(Socket)> on_connection_;
  ServerOptions options_;
  Handlers<> on_listening_;
  Handlers<const Error&> on_error_;

  std::unique_ptr<Listener> listener_;     // also while closing
  bool open_ = false;                      // between listen() and close()
  std::function<void()> first_listening_;  // the callback of this listen()
  std::optional<Address> bound_;
  std::vector<std::function<void()>> closed_;
  std::unordered_set<std::shared_ptr<SocketImpl>> sockets_;  // shared with handles
  std::size_t limit_ = 0;
  std::shared_ptr<Load> load_ = std::make_shared<Load>();  // shared with whoever publishes it
};

}  // namespace cohort::net
