#include "cli/verify_target.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace cohort::cli {
namespace {

constexpr std::uint16_t kHttpPort = 80;

// `HOST:PORT`, `[::1]:PORT`, `*:PORT`.
std::optional<Address> parse_host_and_port(std::string_view text) {
  const auto colon = text.find(':', text.starts_with('[') ? text.find(']') : 0);
  std::string_view host = text.substr(0, colon);
  std::uint16_t port = kHttpPort;
  if (colon != text.npos) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, port);
    if (error != std::errc{} || rest != end || port == 0) return std::nullopt;
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) return std::nullopt;
  return Address{std::string{host}, port};
}

Address to_ask(std::string_view address, const std::string& directory) {
  if (address.starts_with('@')) return Address::from_path('\0' + std::string{address.substr(1)});
  if (address.starts_with('/')) return Address::from_path(std::string{address});
  const auto found = parse_host_and_port(address);
  if (address.find(':') == address.npos || !found)
    return Address::from_path(directory + '/' + std::string{address});
  const std::string& host = found->host();
  const bool any = host == "*" || host == "0.0.0.0" || host == "::";
  return any ? Address{"localhost", found->port()} : *found;
}

}  // namespace

std::optional<Url> parse_url(std::string_view text) {
  constexpr std::string_view kUnix = "unix:", kHttp = "http://";
  if (text.starts_with(kUnix)) {
    text.remove_prefix(kUnix.size());
    if (text.empty()) return std::nullopt;
    return Url{Address::from_path(std::string{text}), {}};
  }
  if (text.starts_with(kHttp)) text.remove_prefix(kHttp.size());
  const auto slash = std::min(text.find('/'), text.size());
  const auto address = parse_host_and_port(text.substr(0, slash));
  if (!address) return std::nullopt;
  return Url{*address, std::string{text.substr(slash)}};
}

std::vector<Address> addresses_to_ask(const Value& status) {
  std::vector<Address> all;
  const std::string directory{status["directory"].string_or("")};
  for (const Value& port : status["ports"].elements())
    if (const auto address = port["address"].string_or(""); !address.empty())
      all.push_back(to_ask(address, directory));
  return all;
}

std::string host_header(const Address& address) {
  return address.is_unix() ? "localhost" : to_string(address);
}

}  // namespace cohort::cli
