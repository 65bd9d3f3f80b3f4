// What `cohort::Acceptor` refers to: a queue between connections that arrive and operations that
// wait.
//
// Shared by the Acceptor, by its pending operations, and by the host while it listens. Runs on the
// loop's executor; operations may be started elsewhere and get there by `dispatch`.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <deque>
#include <memory>
#include <optional>

#include "base/parking.h"
#include "net/listener.h"

namespace cohort {

class AcceptorImpl final : public net::ListenerUser,
                           public std::enable_shared_from_this<AcceptorImpl> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  template <class Result>
  using Handler = boost::asio::any_completion_handler<void(boost::system::error_code, Result)>;

  AcceptorImpl(const Loop& loop, bool tcp) : loop_{loop}, tcp_{tcp} {}
  void open(net::Host& host, const net::ListenRequest& request);

  void accept(Handler<Socket> handler);
  void accept_fd(Handler<OwnFd> handler);
  void wait_listening(Handler<Address> handler);
  void close();
  const Loop& loop() const { return loop_; }
  Address bound() const { return bound_.value_or(Address{}); }
  const std::optional<Error>& error() const { return error_; }

  // ListenerUser
  void listening(const Address& bound) override;
  void listen_failed(const Error& error) override;
  bool connection(OwnFd& fd) override;
  bool full() const override;
  void drain(std::function<void()> done) override;
  void abandon() override;

 private:
  template <class Result>
  void wait(Parking<>& waiting, Handler<Result> handler,
            void (AcceptorImpl::*retry)(Handler<Result>));
  template <class Result>
  void complete(Handler<Result> handler, boost::system::error_code error, Result result);
  template <class Result>
  void fail(Handler<Result> handler, boost::system::error_code error);
  boost::system::error_code ended() const;
  void stop_listening();
  OwnFd take();
  Socket to_socket(OwnFd fd, boost::system::error_code& error);

  Loop loop_;
  const bool tcp_;
  std::unique_ptr<net::Listener> listener_;
  std::optional<Address> bound_;
  std::optional<Error> error_;
  bool closed_ = false;
  int family_ = 0;  // of the connections, once there was one

  std::deque<OwnFd> queue_;
  Parking<> accepts_;
  Parking<> listens_;
  std::function<void()> drained_;
};

}  // namespace cohort
