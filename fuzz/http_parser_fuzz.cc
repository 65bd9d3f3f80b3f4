// Any bytes, in any parts, through the HTTP request parser.
//
// Beyond not crashing: requests that are accepted are the same ones, with the same bodies, whether
// the bytes come at once or in parts. (Which refusal it is may depend on what was seen first.) The
// first byte of the input says where the bytes are split.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "http/parser.h"

namespace {

using cohort::http::Header;
using cohort::http::ParserLimits;
using cohort::http::RequestParser;

// Small, so that a fuzzer reaches them.
constexpr ParserLimits kLimits{.header_size_max = 256, .header_count_max = 8, .body_size_max = 64};

std::string describe(const RequestParser& parser) {
  const auto& head = parser.head();
  std::string text;
  text.append(head.method).append(" ").append(head.url);
  text.append(head.http_1_0 ? " 1.0" : " 1.1").append(head.keep_alive ? " keep\n" : " close\n");
  for (const Header& header : head.headers)
    text.append(header.name).append("=").append(header.value).append("\n");
  return text.append(parser.body());
}

// What a connection does with bytes that come in parts of the given size.
std::vector<std::string> requests_of(std::string_view bytes, std::size_t part) {
  std::vector<std::string> requests;
  RequestParser parser{kLimits};
  std::string rest;
  while (!bytes.empty()) {
    rest += bytes.substr(0, part);
    bytes.remove_prefix(std::min(part, bytes.size()));
    while (!rest.empty()) {
      if (!parser.inside_request()) parser.reset();
      const std::size_t used = parser.put(rest);
      if (used > rest.size()) std::abort();
      if (parser.state() == RequestParser::State::Failed) return requests;
      if (parser.state() == RequestParser::State::Complete) requests.push_back(describe(parser));
      rest.erase(0, used);
      if (parser.state() == RequestParser::State::NeedMore) break;
    }
    if (rest.size() > 2 * kLimits.header_size_max + part) std::abort();  // kept without a limit
  }
  return requests;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data + 1), size - 1};
  const auto whole = requests_of(bytes, bytes.size() + 1);
  for (const std::size_t part : {std::size_t{1}, std::size_t{data[0]} + 2}) {
    const auto in_parts = requests_of(bytes, part);
    if (in_parts == whole) continue;
    std::cerr << whole.size() << " requests at once, " << in_parts.size() << " in parts of " << part
              << '\n';
    std::abort();
  }
  return 0;
}
