#include "cluster/handed_off_port.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "base/notices.h"
#include "base/sys.h"
#include "net/sockaddr.h"

namespace cohort::cluster {
namespace {

constexpr std::chrono::milliseconds kWithoutDescriptors{100};

bool is_shortage(int reason) {
  return reason == EMFILE || reason == ENFILE || reason == ENOBUFS || reason == ENOMEM;
}

bool is_empty(int reason) { return reason == EAGAIN || reason == EWOULDBLOCK; }

}  // namespace

HandedOffPort::HandedOffPort(const Loop& loop, Asked asked, OwnFd socket, net::SocketFile file,
                             Pick pick)
    : Port{loop, std::move(asked), std::move(file)},
      watch_{this->loop(), std::move(socket)},
      pick_{std::move(pick)} {}

void HandedOffPort::accept_too(OwnFd socket) {
  also_ = std::make_unique<Watch>(loop(), std::move(socket));
}

void HandedOffPort::complete(Value& reply, int /*worker*/) const {
  if (const auto local = net::local_address(watch_.fd())) {
    Value name = make_sockname(*local);
    if (name.is_object()) reply["sockname"] = std::move(name);
  }
}

void HandedOffPort::welcome(HandoffPeer& worker) {
  if (users().takes(worker.id())) held().join(worker.id(), worker.credits());
  pump();
}

std::vector<int> HandedOffPort::sockets() const {
  return also_ ? std::vector{watch_.fd(), also_->fd()} : std::vector{watch_.fd()};
}

void HandedOffPort::await_arrivals(bool room) {
  for (Watch* const watch : {&watch_, also_.get()}) {
    if (watch == nullptr) continue;
    // A port that is kept for a successor does not keep the primary running: if nobody forks one,
    // it ends, as Node's does.
    watch->set_ref(!users().empty());
    if (room && !watch->waiting_readable()) watch->wait_readable([this] { accept_ready(); });
  }
}

OwnFd HandedOffPort::accept() const {
  OwnFd fd = sys::accept(watch_.fd());
  return fd || !also_ || !is_empty(errno) ? std::move(fd) : sys::accept(also_->fd());
}

void HandedOffPort::accept_ready() {
  for (auto room = held().room(); room > 0; --room) {
    OwnFd fd = accept();
    if (!fd) {
      const int reason = errno;
      if (is_shortage(reason)) return no_descriptors(reason);
      if (is_empty(reason)) break;
      continue;  // ECONNABORTED and the like: that client is gone
    }
    complained_ = false;
    const int wanted = picked(fd.get());
    held().hold(std::move(fd), wanted);
  }
  pump();
}

// Connections wait in the kernel's queue, which stays readable: only time helps.
void HandedOffPort::no_descriptors(int reason) {
  if (!std::exchange(complained_, true)) {
    errno = reason;
    say(loop(), {"accept_failed",
                 errno_error("accept " + to_string(asked().address),
                             "connections wait; trying again every 100 ms")
                     .message(),
                 {{"errno", std::int64_t{reason}}}});
  }
  pump_at(HeldConnections::TimePoint::clock::now() + kWithoutDescriptors);
}

// The worker in the slot that the user's own policy wants; 0: any.
int HandedOffPort::picked(int connection) {
  if (!pick_.slot) return 0;
  std::string head(pick_.peek_size, '\0');
  const ssize_t size = head.empty() ? 0 : sys::recv(connection, head.data(), head.size(), MSG_PEEK);
  head.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  const auto client = net::peer_address(connection);
  const auto local = net::local_address(connection);
  try {
    const auto slot = pick_.slot({client ? *client : Address{}, local ? *local : Address{}, head});
    const auto& all = users().all();
    const auto filled = std::find_if(all.begin(), all.end(), [&](const auto& user) {
      return user.second.peer->slot() == slot && !user.second.held;
    });
    return filled == all.end() ? 0 : filled->first;
  } catch (...) {
    // It leaves the loop in a turn of its own; the connection goes to any worker.
    loop().post([thrown = std::current_exception()] { std::rethrow_exception(thrown); });
    return 0;
  }
}

}  // namespace cohort::cluster
