// What a Server handle stands for: listens, gives the connections to its Service, and ends.
//
// Kept alive by the host while it listens, by every open connection, and by handles. Loop's
// executor only.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "base/handlers.h"
#include "cohort/http.h"
#include "http/service.h"
#include "net/listener.h"

namespace cohort::http {

class ServerCore final : public net::ListenerUser,
                         public ServiceOwner,
                         public std::enable_shared_from_this<ServerCore> {
 public:
  ServerCore(net::Host& host, Handler handler, const ServerOptions& options);
  ~ServerCore() override;

  // For Server.
  void listen(const net::ListenRequest& request, std::function<void()> listening);
  void adopt(Handle connection);
  /// Stops listening, lets connections finish, then calls `done` from the loop.
  void close(std::function<void()> done);
  void max_connections(std::size_t limit);
  bool is_listening() const { return state_ == State::Listening; }
  const Address& address() const { return address_; }
  ServerStats stats() const { return service_.stats(); }
  Handlers<>& on_listening() { return on_listening_; }
  Handlers<const Error&>& on_error() { return on_error_; }

  // net::ListenerUser.
  void listening(const Address& bound) override;
  void listen_failed(const Error& error) override;
  bool connection(OwnFd& fd) override;
  bool full() const override { return limit_ != 0 && service_.size() >= limit_; }
  void publish_to(const std::shared_ptr<net::Load>& load) override { service_.publish_to(load); }
  void rest(bool on) override;
  void drain(std::function<void()> done) override { close(std::move(done)); }
  void abandon() override;

  // ServiceOwner.
  bool ending() const override { return rests_ || state_ == State::Ending; }
  bool takes_back() const override { return listener_ && listener_->takes_back(); }
  void give_back(OwnFd connection) override { listener_->give_back(std::move(connection)); }
  void has_room() override;
  void connection_ended() override { check_ended(); }

 private:
  enum class State { Idle, Starting, Listening, Ending };

  void serve(OwnFd fd, std::string_view head = {});
  void fail_later(Error error);
  void drop_listener();
  void check_ended();

  net::Host& host_;
  Service service_;  // its connections keep all of this alive
  State state_ = State::Idle;
  bool rests_ = false;
  std::unique_ptr<net::Listener> listener_;  // closed, but kept, until the last connection ended
  Address address_;
  Handlers<> on_listening_;
  Handlers<const Error&> on_error_;
  std::function<void()> first_listening_;  // the callback of this listen()
  std::size_t limit_ = 0;
  std::vector<std::function<void()>> ended_;
};

}  // namespace cohort::http
