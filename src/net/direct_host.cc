#include "net/direct_host.h"

#include <algorithm>
#include <optional>

#include "net/accept_loop.h"
#include "net/bind.h"
#include "net/datagram.h"
#include "net/holder.h"
#include "net/inherited.h"
#include "net/sockaddr.h"
#include "net/socket_file.h"

namespace cohort::net {
namespace {

// UDP sockets are bound by their literal addresses.
Result<OwnFd> open_datagram_port(const ListenRequest& request) {
  Address address = request.address;
  if (!address.host().empty()) {
    const auto candidates = resolve(address);
    if (!candidates) return candidates.error();
    address = from_sockaddr(candidates->front());
  }
  return bind_datagram(address, address.address_type() == 6, request.ipv6_only, false);
}

Result<OwnFd> open_port(const ListenRequest& request) {
  auto fd = bind_socket(request);
  if (!fd) return fd;
  if (auto set = set_connection_options(fd->get(), request); !set) return set.error();
  if (auto listening = listen_on(fd->get(), request.backlog); !listening) {
    SocketFile{request.address}.remove();
    Error error = listening.error();
    return error_for(request.address, error.code.value());
  }
  return fd;
}

}  // namespace

// One call of `listen`: the socket, and its user as long as the user's Listener lives.
class DirectHost::Claim {
 public:
  explicit Claim(std::weak_ptr<ListenerUser> user) : user_{std::move(user)} {}
  ~Claim() { close(); }

  void open(const ListenRequest& request) {
    if (OwnFd inherited = inherited_socket(request.address, SOCK_STREAM))
      return adopt(std::move(inherited));
    auto fd = open_port(request);
    if (!fd) {
      failure_ = with_holder(fd.error(), request.address);
      return;
    }
    fd_ = std::move(*fd);
    bound_ = request.address;
    file_ = SocketFile{request.address};
  }

  // One that somebody else bound.
  void adopt(OwnFd fd) {
    adopted_ = true;
    fd_ = std::move(fd);
  }

  // Tells the user, in the turn after `listen`.
  void answer(const Loop& loop) {
    const auto user = user_.lock();
    if (closed_ || !user) return;
    if (failure_) {
      closed_ = true;
      user->listen_failed(*failure_);
      return;
    }
    if (!fd_) return;
    if (const auto address = local_address(fd_.get())) bound_ = *address;
    accepting_ =
        AcceptLoop::start(loop, std::move(fd_), user_,
                          adopted_ ? AcceptLoop::Sharing::WithOthers : AcceptLoop::Sharing::Alone);
    user->listening(bound_);
  }

  void close() {
    if (closed_) return;
    closed_ = true;
    if (fd() >= 0) file_.remove();
    fd_.reset();
    if (accepting_) accepting_->close();
  }

  void resume() {
    if (accepting_) accepting_->resume();
  }

  int fd() const { return accepting_ ? accepting_->fd() : fd_.get(); }
  std::weak_ptr<ListenerUser> user() const { return user_; }

 private:
  std::weak_ptr<ListenerUser> user_;  // OpenServers keeps it alive
  OwnFd fd_;                          // until the answer
  Address bound_;
  SocketFile file_;  // none of one that somebody else bound
  std::optional<Error> failure_;
  std::shared_ptr<AcceptLoop> accepting_;  // shared with its callback that is running
  bool adopted_ = false;
  bool closed_ = false;
};

// What the user holds. The host may be gone before it.
class DirectHost::Handle final : public Listener {
 public:
  Handle(DirectHost& host, std::weak_ptr<Claim> claim) : host_{host}, claim_{std::move(claim)} {}
  ~Handle() override {
    if (const auto claim = claim_.lock()) host_.remove(claim.get());
  }
  void close() override {
    if (const auto claim = claim_.lock()) claim->close();
  }
  void resume() override {
    if (const auto claim = claim_.lock()) claim->resume();
  }
  int native_handle() const override {
    const auto claim = claim_.lock();
    return claim ? claim->fd() : -1;
  }

 private:
  DirectHost& host_;  // lives while claim_ can be locked
  std::weak_ptr<Claim> claim_;
};

DirectHost::DirectHost(const Loop& loop) : loop_{loop} {}

DirectHost::~DirectHost() {
  claims_.clear();
  for (SocketFile& file : socket_files_) file.remove();
}

std::unique_ptr<Listener> DirectHost::listen(const ListenRequest& request,
                                             std::shared_ptr<ListenerUser> user) {
  auto claim = std::make_shared<Claim>(user);
  if (!servers_.draining()) claim->open(request);
  return add(claim, std::move(user));
}

std::unique_ptr<Listener> DirectHost::adopt(OwnFd listening, std::shared_ptr<ListenerUser> user) {
  auto claim = std::make_shared<Claim>(user);
  claim->adopt(std::move(listening));
  return add(claim, std::move(user));
}

std::unique_ptr<Listener> DirectHost::add(const std::shared_ptr<Claim>& claim,
                                          std::shared_ptr<ListenerUser> user) {
  auto handle = std::make_unique<Handle>(*this, claim);
  claims_.push_back(claim);
  if (servers_.draining()) {
    loop_.post([user] { user->drain([] {}); });
  } else {
    loop_.post([loop = loop_, weak = std::weak_ptr{claim}] {
      if (const auto opened = weak.lock()) opened->answer(loop);
    });
  }
  servers_.add(std::move(user));
  return handle;
}

Result<int> DirectHost::listening_descriptor(const ListenRequest& request) {
  const bool datagrams = request.address.is_datagram();
  if (OwnFd inherited = inherited_socket(request.address, datagrams ? SOCK_DGRAM : SOCK_STREAM))
    return descriptors_.emplace_back(std::move(inherited)).get();
  auto fd = datagrams ? open_datagram_port(request) : open_port(request);
  if (!fd) return fd.error();
  if (request.address.is_unix()) socket_files_.emplace_back(request.address);
  descriptors_.push_back(std::move(*fd));
  return descriptors_.back().get();
}

void DirectHost::remove(const Claim* claim) {
  const auto found = std::find_if(claims_.begin(), claims_.end(),
                                  [claim](const auto& entry) { return entry.get() == claim; });
  const auto user = (*found)->user().lock();
  (*found)->close();
  claims_.erase(found);
  servers_.closed(user.get());
}

}  // namespace cohort::net
