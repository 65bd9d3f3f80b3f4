#include "http/server_core.h"

#include <cerrno>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/sys.h"

namespace cohort::http {

ServerCore::ServerCore(net::Host& host, Handler handler, const ServerOptions& options)
    : host_{host}, service_{*this, host.loop(), std::move(handler), options} {}

ServerCore::~ServerCore() = default;

void ServerCore::listen(const net::ListenRequest& request, std::function<void()> on_listening) {
  if (state_ != State::Idle) {
    fail_later(system_error(EALREADY, "listen " + to_string(request.address),
                            "this server listens, or is still closing"));
    return;
  }
  state_ = State::Starting;
  rests_ = false;
  service_.set_no_delay(request.no_delay);
  first_listening_ = std::move(on_listening);
  listener_ = host_.listen(request, shared_from_this());
}

void ServerCore::listening(const Address& bound) {
  if (state_ != State::Starting) return;  // closed in the meantime
  state_ = State::Listening;
  address_ = bound;
  if (const auto first = std::exchange(first_listening_, nullptr)) first();
  on_listening_();
}

void ServerCore::listen_failed(const Error& error) {
  if (state_ == State::Starting) {
    state_ = State::Idle;
    first_listening_ = nullptr;
    drop_listener();
  }
  fail_later(error);
}

// Later: the handler may call listen() again, and an exception must not pass through the host.
void ServerCore::fail_later(Error error) {
  service_.loop().post([self = shared_from_this(), error = std::move(error)] {
    if (self->on_error_.empty()) throw std::runtime_error{error.message()};
    self->on_error_(error);
  });
}

bool ServerCore::connection(OwnFd& fd) {
  if (state_ != State::Listening || full()) return false;
  serve(std::move(fd));
  return true;
}

void ServerCore::adopt(Handle connection) {
  if (connection.kind() != Handle::Kind::Socket || state_ == State::Ending) return;
  // While it does not listen, the host has to know of it all the same.
  if (state_ == State::Idle) {
    state_ = State::Listening;
    listener_ = host_.adopt({}, shared_from_this());
  }
  const std::string head = connection.head();
  OwnFd fd = connection.release();
  sys::set_nonblocking(fd.get(), true);
  serve(std::move(fd), head);
}

void ServerCore::serve(OwnFd fd, std::string_view head) {
  Service::serve({shared_from_this(), &service_}, std::move(fd), head);
}

void ServerCore::max_connections(std::size_t limit) {
  limit_ = limit;
  if (state_ == State::Listening) listener_->resume();
}

void ServerCore::rest(bool on) {
  const auto self = shared_from_this();
  rests_ = on;
  if (on) service_.drain();
}

void ServerCore::close(std::function<void()> done) {
  const auto self = shared_from_this();
  if (done) ended_.push_back(std::move(done));
  if (state_ == State::Starting || state_ == State::Listening) {
    state_ = State::Ending;
    address_ = {};
    first_listening_ = nullptr;
    listener_->close();
    service_.drain();
  }
  check_ended();
}

void ServerCore::abandon() {
  const auto self = shared_from_this();
  state_ = State::Idle;
  first_listening_ = nullptr;
  ended_.clear();
  on_listening_.clear();
  on_error_.clear();
  service_.abandon();
  address_ = {};
  listener_.reset();
}

// Later: the host may be calling us.
void ServerCore::drop_listener() {
  service_.loop().post([listener = std::shared_ptr<net::Listener>{std::move(listener_)}] {});
}

void ServerCore::check_ended() {
  if (state_ == State::Starting || state_ == State::Listening || service_.size() != 0) return;
  if (state_ == State::Ending) drop_listener();
  state_ = State::Idle;
  service_.stop_clock();
  for (auto& done : std::exchange(ended_, {})) service_.loop().post(std::move(done));
}

void ServerCore::has_room() {
  if (limit_ != 0 && state_ == State::Listening) listener_->resume();
}

}  // namespace cohort::http
