#include "cluster/wire.h"

#include <limits>

namespace cohort::cluster {
namespace {

constexpr std::int64_t kFlagIpv6Only = 1;      // UV_TCP_IPV6ONLY, UV_UDP_IPV6ONLY
constexpr std::int64_t kFlagReuseAddress = 4;  // UV_UDP_REUSEADDR
constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::min();

Error malformed(const char* what) {
  return make_error(Errc::MalformedMessage, "queryServer", what);
}

bool parse_type(const Value& type, QueryServer& query) {
  if (type == 4 || type == 6) {
    query.type = SocketType::Tcp;
    query.v6 = type == 6;
  } else if (type == -1) {
    query.type = SocketType::Unix;
  } else if (type == "udp4") {
    query.type = SocketType::Udp4;
  } else if (type == "udp6") {
    query.type = SocketType::Udp6;
    query.v6 = true;
  } else {
    return type.is_undefined() || type.is_null();  // with an fd, nobody says
  }
  return true;
}

Value type_value(const QueryServer& query) {
  switch (query.type) {
    case SocketType::Unix:
      return -1;
    case SocketType::Udp4:
      return "udp4";
    case SocketType::Udp6:
      return "udp6";
    case SocketType::Tcp:
      break;
  }
  return query.v6 ? 6 : 4;
}

std::string text(const Value& value) {
  if (value.is_string()) return std::string(value.string_or(""));
  return value.is_undefined() ? "undefined" : to_json(value);
}

// Node's workers make every path absolute, an abstract name too: `/where/they/are/\0name`.
std::string without_folder(const std::string& path) {
  const auto nul = path.find('\0');
  return nul == std::string::npos ? path : path.substr(nul);
}

}  // namespace

std::string QueryServer::key() const {
  std::string key = address.value_or("null");
  key += ':' + (fd ? "null" : std::to_string(port));
  key += ':' + text(type_value(*this));
  key += ':' + (fd ? std::to_string(*fd) : "undefined");
  return port == 0 || is_datagram() ? key + ':' + std::to_string(index) : key;
}

Address QueryServer::listen_address() const {
  if (type == SocketType::Unix) return Address::from_path(address.value_or(""));
  const auto number = static_cast<std::uint16_t>(port);
  if (is_datagram()) return Address::datagram(address.value_or(""), number);
  return {address.value_or(""), number};
}

Result<QueryServer> parse_query_server(const Value& message) {
  QueryServer query;
  query.seq = message["seq"].int64_or(kNone);
  if (query.seq == kNone) return malformed("no seq");
  query.index = message["index"].int64_or(0);
  query.data = message["data"];
  if (!parse_type(message["addressType"], query)) return malformed("unknown addressType");

  const Value& fd = message["fd"];
  if (fd.is_number() && fd.int64_or(-1) >= 0)
    query.fd = static_cast<int>(std::min<std::int64_t>(fd.int64_or(-1), 1 << 30));
  const Value& address = message["address"];
  if (address.is_string()) query.address = std::string(address.string_or(""));
  if (query.type == SocketType::Unix && !query.address && !query.fd) return malformed("no path");
  if (query.type == SocketType::Unix && query.address) {
    std::string path = without_folder(*query.address);
    query.padded_too = path.size() < query.address->size();
    query.address = std::move(path);
  }

  query.port = message["port"].int64_or(0);
  if (message["port"].is_string()) return malformed("port is not a number");
  if (query.type != SocketType::Unix && (query.port < 0 || query.port > 65535))
    return malformed("port out of range");

  const std::int64_t flags = message["flags"].int64_or(0);
  query.wishes.ipv6_only = (flags & kFlagIpv6Only) != 0;
  query.wishes.reuse_address = (flags & kFlagReuseAddress) != 0;
  const std::int64_t backlog = message["backlog"].int64_or(0);  // `false` counts as 0
  query.wishes.backlog = backlog > 0 && backlog < 1 << 20 ? static_cast<int>(backlog) : 0;
  query.accepts_only = message["acceptsOnly"].bool_or(false);
  query.wishes.defer_accept = message["deferAccept"].bool_or(false);
  query.connections_max = message["maxConnections"].int64_or(0);
  query.wishes.readable_all = message["readableAll"].bool_or(false);
  query.wishes.writable_all = message["writableAll"].bool_or(false);
  return query;
}

Value make_query_server(const QueryServer& query) {
  Value message = cluster_message("queryServer");
  message["index"] = query.index;
  message["data"] = query.data.is_undefined() ? Value(nullptr) : query.data;
  message["address"] = query.address ? Value(*query.address) : Value(nullptr);
  message["port"] = query.port;
  message["addressType"] = type_value(query);
  message["flags"] = query.wishes.ipv6_only ? kFlagIpv6Only : 0;
  message["backlog"] = query.wishes.backlog;
  if (query.accepts_only) message["acceptsOnly"] = true;
  if (query.wishes.defer_accept) message["deferAccept"] = true;
  if (query.wishes.readable_all) message["readableAll"] = true;
  if (query.wishes.writable_all) message["writableAll"] = true;
  return message;
}

Address parse_listening(const Value& message) {
  const Value& host = message["address"];
  if (message["addressType"] == -1)
    return Address::from_path(without_folder(std::string(host.string_or(""))));
  const std::int64_t port = message["port"].int64_or(0);
  const auto number = static_cast<std::uint16_t>(port >= 0 && port <= 65535 ? port : 0);
  std::string name{host.string_or("")};
  const bool datagram = message["addressType"] == "udp4" || message["addressType"] == "udp6";
  return datagram ? Address::datagram(std::move(name), number) : Address{std::move(name), number};
}

Value make_sockname(const Address& bound) {
  if (bound.is_unix()) return {};
  Value sockname = Value::object();
  sockname["address"] = bound.host();
  sockname["family"] = bound.address_type() == 6 ? "IPv6" : "IPv4";
  sockname["port"] = bound.port();
  return sockname;
}

Address parse_sockname(const Value& sockname) {
  const std::int64_t port = sockname["port"].int64_or(0);
  const bool valid = port >= 0 && port <= 65535;
  return {std::string(sockname["address"].string_or("")),
          static_cast<std::uint16_t>(valid ? port : 0)};
}

Value cluster_message(std::string_view act) {
  Value message = Value::object();
  message["cmd"] = "NODE_CLUSTER";
  if (!act.empty()) message["act"] = act;
  return message;
}

}  // namespace cohort::cluster
