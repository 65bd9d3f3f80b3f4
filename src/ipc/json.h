// JSON as JavaScript reads and writes it, to and from `cohort::Value`.
//
// Pure. A JsonParser keeps its memory from one text to the next; one thread at a time. What the
// text may be and what becomes of it: `parse_json` and `append_json` in cohort/value.h.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "cohort/error.h"
#include "cohort/value.h"

namespace cohort::ipc {

/// Arrays and objects within each other: beyond, neither parsed nor printed. Both recurse.
inline constexpr std::size_t kJsonDepthMax = 1000;

class JsonParser {
 public:
  JsonParser();
  ~JsonParser();
  JsonParser(JsonParser&&) noexcept;
  JsonParser& operator=(JsonParser&&) noexcept;

  /// One JSON value with nothing but white space around it, else MalformedMessage.
  Result<Value> parse(std::string_view text);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cohort::ipc
