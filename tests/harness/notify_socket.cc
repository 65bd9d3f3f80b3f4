#include "harness/notify_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <regex>
#include <string_view>
#include <system_error>
#include <utility>

namespace harness {
namespace {

// What `fill` sends.
constexpr std::string_view kNothing = "X_NOTHING=1";

std::pair<sockaddr_un, socklen_t> address_of(const std::string& name) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  name.copy(address.sun_path, sizeof address.sun_path - 1);
  if (name.front() == '@') address.sun_path[0] = '\0';
  return {address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())};
}

}  // namespace

NotifySocket::NotifySocket(std::string name) : name_{std::move(name)} {
  const auto [address, size] = address_of(name_);
  fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0)
    throw std::system_error{errno, std::generic_category(), "bind " + name_};
}

NotifySocket::~NotifySocket() { ::close(fd_); }

const std::vector<std::string>& NotifySocket::messages() {
  char buffer[4096];
  for (ssize_t size = 0; (size = ::recv(fd_, buffer, sizeof buffer, 0)) >= 0;) {
    std::string text{buffer, static_cast<std::size_t>(size)};
    if (text != kNothing) messages_.push_back(std::move(text));
  }
  return messages_;
}

std::vector<std::string> NotifySocket::states() {
  std::vector<std::string> result;
  for (const std::string& message : messages())
    if (message.starts_with("READY=1") || message.starts_with("RELOADING=1") ||
        message.starts_with("STOPPING=1"))
      result.push_back(message.substr(0, message.find('=')));
  return result;
}

testing::AssertionResult NotifySocket::wait_for(const std::string& pattern, int times) {
  const std::regex regex{pattern};
  const auto seen = eventually(pattern, [&] {
    const auto& all = messages();
    return std::count_if(all.begin(), all.end(), [&](const std::string& message) {
             return std::regex_search(message, regex);
           }) >= times;
  });
  return seen ? seen : testing::AssertionFailure() << seen.message() << '\n' << transcript();
}

void NotifySocket::fill() {
  const auto [address, size] = address_of(name_);
  const int sender = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  while (::sendto(sender, kNothing.data(), kNothing.size(), 0,
                  reinterpret_cast<const sockaddr*>(&address), size) > 0) {
  }
  ::close(sender);
}

std::string NotifySocket::transcript() {
  std::string text;
  for (const std::string& message : messages()) text += "--- systemd was told\n" + message + '\n';
  return text;
}

}  // namespace harness
