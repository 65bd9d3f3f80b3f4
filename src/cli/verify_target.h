// Where the clients of `cohort verify-reload` go. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/address.h"
#include "cohort/value.h"

namespace cohort::cli {

struct Url {
  Address address;
  std::string path;  ///< Empty: none is given.
};

/// `http://HOST[:PORT][/PATH]`, `HOST:PORT[/PATH]` or `unix:/PATH.sock`; nothing for anything else.
std::optional<Url> parse_url(std::string_view text);

/// Where a client reaches what /v1/status of an application calls its ports: of `*:3000` that is
/// the loopback address. A relative path of a Unix socket is below the application's directory.
std::vector<Address> addresses_to_ask(const Value& status);

/// `localhost:3000`: of a Unix socket, `localhost`.
std::string host_header(const Address& address);

}  // namespace cohort::cli
