#include "cluster/notify_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/sys.h"

namespace cohort::cluster {
namespace {

// systemd takes as much.
constexpr std::size_t kMessageMax = 4096;
// In one turn; who floods the socket waits.
constexpr int kMessagesMax = 16;

bool may_speak(const msghdr& message, std::optional<uid_t> user) {
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS)
    return false;
  ucred sender{};
  std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
  return sender.uid == 0 || sender.uid == ::geteuid() || sender.uid == user;
}

// Of `\0abcde` with its length; `@abcde` is how it is written.
std::string name_of(const sockaddr_storage& address, socklen_t size) {
  const auto* const bytes = reinterpret_cast<const char*>(&address);
  std::string name{bytes + offsetof(sockaddr_un, sun_path), bytes + size};
  name.front() = '@';
  return name;
}

}  // namespace

Result<std::unique_ptr<NotifySocket>> NotifySocket::open(
    const Loop& loop, std::optional<uid_t> user, std::function<void(std::string_view)> said) {
  OwnFd fd = sys::socket(AF_UNIX, SOCK_DGRAM, 0);
  if (!fd) return system_error(errno, "socket", "NOTIFY_SOCKET");
  if (sys::set_int_option(fd.get(), SOL_SOCKET, SO_PASSCRED, 1) == -1)
    return system_error(errno, "setsockopt", "NOTIFY_SOCKET");
  const sockaddr_un any{.sun_family = AF_UNIX, .sun_path = {}};
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (sys::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any.sun_family) == -1 ||
      sys::getsockname(fd.get(), bound, size) == -1)
    return system_error(errno, "bind", "NOTIFY_SOCKET");
  return std::unique_ptr<NotifySocket>{
      new NotifySocket{loop, std::move(fd), name_of(bound, size), user, std::move(said)}};
}

NotifySocket::NotifySocket(const Loop& loop, OwnFd fd, std::string name, std::optional<uid_t> user,
                           std::function<void(std::string_view)> said)
    : name_{std::move(name)}, user_{user}, said_{std::move(said)}, watch_{loop, std::move(fd)} {
  watch_.set_ref(false);  // the process keeps the loop running
  wait();
}

void NotifySocket::wait() {
  watch_.wait_readable([this] { read(); });
}

void NotifySocket::read() {
  wait();  // before it says anything: this object may be gone then
  std::array<char, kMessageMax> text;
  std::string all;
  for (int i = 0; i < kMessagesMax; ++i) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
    iovec part{.iov_base = text.data(), .iov_len = text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = sys::recvmsg(watch_.fd(), message, MSG_DONTWAIT);
    if (size < 0) break;
    if (may_speak(message, user_))
      all.append(text.data(), static_cast<std::size_t>(size)).push_back('\n');
  }
  const auto said = said_;  // for the same reason
  for (std::size_t at = 0, end = 0; (end = all.find('\n', at)) != all.npos; at = end + 1)
    if (end > at) said(std::string_view{all}.substr(at, end - at));
}

}  // namespace cohort::cluster
