#include "cluster/private_socket.h"

#include <cctype>
#include <string>

namespace cohort::cluster {

bool is_private(const Address& address, pid_t pid) {
  if (!address.is_unix()) return false;
  const std::string& path = address.path();
  const std::string number = std::to_string(pid);
  const auto is_digit = [&](std::size_t i) {
    return i < path.size() && std::isdigit(static_cast<unsigned char>(path[i])) != 0;
  };
  for (auto at = path.find(number); at != std::string::npos; at = path.find(number, at + 1))
    if (!is_digit(at - 1) && !is_digit(at + number.size())) return true;
  return false;
}

}  // namespace cohort::cluster
