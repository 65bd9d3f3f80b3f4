// `on_connection` and `Listener`: connections, or their source, as plain descriptors.
#include <stdexcept>

#include "base/handlers.h"
#include "cohort/acceptor.h"
#include "net/listener.h"
#include "net/sockaddr.h"

namespace cohort {

// Kept by its handles, and by the host while it listens. Loop's executor only.
class ConnectionsImpl final : public net::ListenerUser,
                              public std::enable_shared_from_this<ConnectionsImpl> {
 public:
  ConnectionsImpl(const Loop& loop, std::function<void(OwnFd, const Address&)> adopt)
      : loop_{loop}, adopt_{std::move(adopt)} {}

  void open(net::Host& host, const net::ListenRequest& request) {
    listener_ = host.listen(request, shared_from_this());
  }

  void close() {
    const auto self = shared_from_this();  // the listener may be what keeps it
    bound_.reset();
    listener_.reset();
  }

  void listening(const Address& bound) override {
    bound_ = bound;
    on_listening_(bound);
  }

  void listen_failed(const Error& error) override {
    const auto self = shared_from_this();
    close();
    // Later: an exception must not pass through the host.
    loop_.post([self, error] {
      if (self->on_error_.empty()) throw std::runtime_error{error.message()};
      self->on_error_(error);
    });
  }

  bool connection(OwnFd& fd) override {
    if (!listener_) return false;
    const auto peer = net::peer_address(fd.get());
    adopt_(std::move(fd), peer ? *peer : Address{});
    return true;
  }

  void drain(std::function<void()> done) override {
    close();
    done();
  }

  void abandon() override {
    close();
    adopt_ = nullptr;
    on_listening_.clear();
    on_error_.clear();
  }

  Address address() const { return bound_.value_or(Address{}); }
  Handlers<const Address&>& on_listening() { return on_listening_; }
  Handlers<const Error&>& on_error() { return on_error_; }

 private:
  Loop loop_;
  std::function<void(OwnFd, const Address&)> adopt_;
  Handlers<const Address&> on_listening_;
  Handlers<const Error&> on_error_;
  std::unique_ptr<net::Listener> listener_;
  std::optional<Address> bound_;
};

void Connections::close() const { impl_->close(); }
Address Connections::address() const { return impl_->address(); }
void Connections::on_listening(Callback<void(const Address&)> handler) const {
  impl_->on_listening().add(std::move(handler));
}
void Connections::on_error(Callback<void(const Error&)> handler) const {
  impl_->on_error().add(std::move(handler));
}

Connections on_connection(net::Host& host, const Address& address,
                          Callback<void(OwnFd fd, const Address& peer)> adopt,
                          const ListenOptions& options) {
  auto impl = std::make_shared<ConnectionsImpl>(host.loop(), std::move(adopt));
  impl->open(host, net::make_request(address, options));
  return Connections{std::move(impl)};
}

Listener::Listener(net::Host& host, const Address& address, const ListenOptions& options) {
  net::ListenRequest request = net::make_request(address, options);
  const auto fd = host.listening_descriptor(request);
  if (fd)
    fd_ = *fd;
  else
    error_ = fd.error();
}

}  // namespace cohort
