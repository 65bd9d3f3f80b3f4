// The header lines of a response, kept as they will be sent: no allocation per header. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cohort::http {

class Fields {
 public:
  /// Names and values have been checked: what is added here is sent.
  void append(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  bool has(std::string_view name) const { return find(name, 0) != kNpos; }
  /// The first value; empty if there is none.
  std::string_view get(std::string_view name) const;
  void clear() { lines_.clear(); }

  /// `Name: value\r\n`, each.
  std::string_view lines() const { return lines_; }

 private:
  static constexpr std::size_t kNpos = std::string::npos;

  std::size_t find(std::string_view name, std::size_t from) const;

  std::string lines_;
};

}  // namespace cohort::http
