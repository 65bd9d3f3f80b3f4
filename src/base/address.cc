#include "cohort/address.h"

#include <arpa/inet.h>

#include <ostream>

namespace cohort {

Address Address::from_path(std::string path) {
  Address address;
  address.path_ = std::move(path);
  return address;
}

Address Address::datagram(std::string host, std::uint16_t port) {
  Address address{std::move(host), port};
  address.datagram_ = true;
  return address;
}

int Address::address_type() const {
  if (is_unix()) return -1;
  in6_addr v6{};
  return ::inet_pton(AF_INET6, host_.substr(0, host_.find('%')).c_str(), &v6) == 1 ? 6 : 4;
}

std::string to_string(const Address& address) {
  if (address.is_unix())
    return address.path()[0] == '\0' ? '@' + address.path().substr(1) : address.path();
  const std::string port = std::to_string(address.port());
  if (address.host().empty()) return "*:" + port;
  if (address.host().find(':') != std::string::npos) return '[' + address.host() + "]:" + port;
  return address.host() + ':' + port;
}

std::ostream& operator<<(std::ostream& out, const Address& address) {
  return out << to_string(address);
}

}  // namespace cohort
