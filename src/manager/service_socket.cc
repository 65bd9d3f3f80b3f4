#include "manager/service_socket.h"

#include <cerrno>
#include <sstream>
#include <utility>

#include "base/notices.h"
#include "base/sys.h"
#include "net/sockaddr.h"

namespace cohort::manager {
namespace {

// The last state counts: of so many reloads that systemd did not hear of, the first are forgotten.
constexpr std::size_t kWaitingMax = 16;

}  // namespace

void ServiceSocket::send(const ServiceMessage& message) {
  if (full_) {
    if (message.awaited) wait(message.text);
    return;
  }
  auto fd = connected();
  if (!fd) return failed(fd.error());
  if (sys::send(fd->get(), message.text.data(), message.text.size()) != -1) return;
  if (errno != EAGAIN) return failed(system_error(errno, "send", name_));
  if (!message.awaited) return;
  wait(message.text);
  full_.emplace(loop_, std::move(*fd));
  full_->set_ref(false);
  full_->wait_writable([this] { send_waiting(); });
}

// Connected: only then is it known when there is room again.
Result<OwnFd> ServiceSocket::connected() const {
  if (name_.front() != '/' && name_.front() != '@')
    return system_error(EAFNOSUPPORT, "connect", name_);
  const auto address =
      net::to_sockaddr(Address::from_path(name_.front() == '@' ? '\0' + name_.substr(1) : name_));
  if (!address) return address.error();
  OwnFd fd = sys::socket(AF_UNIX, SOCK_DGRAM, 0);
  if (!fd) return system_error(errno, "socket", name_);
  if (sys::connect(fd.get(), address->get(), address->size) == -1)
    return system_error(errno, "connect", name_);
  return fd;
}

void ServiceSocket::wait(const std::string& text) {
  if (waiting_.size() == kWaitingMax) waiting_.pop_front();
  waiting_.push_back(text);
}

void ServiceSocket::send_waiting() {
  for (; !waiting_.empty(); waiting_.pop_front()) {
    const std::string& text = waiting_.front();
    if (sys::send(full_->fd(), text.data(), text.size()) != -1) continue;
    if (errno == EAGAIN) return full_->wait_writable([this] { send_waiting(); });
    failed(system_error(errno, "send", name_));
  }
  full_.reset();
}

void ServiceSocket::failed(const Error& error) {
  if (std::exchange(said_, true)) return;
  std::ostringstream why;
  why << error;
  say(loop_, {.code = "not_notified",
              .text = "systemd is not told how the service is: " + why.str(),
              .fields = {{"why", why.str()}}});
}

}  // namespace cohort::manager
