// Where a server listens, or where a connection comes from: an IP address and port, or a Unix path.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

namespace cohort {

class Address {
 public:
  /// Any address, port 0: the system chooses.
  Address() = default;
  /// `host` is an IP literal or a name; empty means any address: `::` serving IPv4 too, or
  /// `0.0.0.0` where the machine has no IPv6 (Node's `listen(port)`). A name is resolved, blocking,
  /// when the server listens.
  Address(std::string host, std::uint16_t port) : host_{std::move(host)}, port_{port} {}
  /// A Unix domain socket. A leading NUL byte names an abstract socket (Linux).
  static Address from_path(std::string path);
  /// Where a UDP socket receives, for `cohort::Listener`. An empty host is any IPv4 address.
  static Address datagram(std::string host, std::uint16_t port);

  const std::string& host() const { return host_; }
  std::uint16_t port() const { return port_; }
  const std::string& path() const { return path_; }
  bool is_unix() const { return !path_.empty(); }
  bool is_datagram() const { return datagram_; }
  /// Node's `addressType`: 4, 6, or -1 for a Unix socket ("udp4" and "udp6" are 4 and 6). An empty
  /// host and a name count as 4.
  int address_type() const;

  friend bool operator==(const Address&, const Address&) = default;

 private:
  std::string host_;
  std::uint16_t port_ = 0;
  std::string path_;
  bool datagram_ = false;
};

/// `127.0.0.1:80`, `[::1]:80`, `*:80` for any address, or the path.
std::string to_string(const Address& address);
std::ostream& operator<<(std::ostream& out, const Address& address);

}  // namespace cohort
