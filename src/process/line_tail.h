// The end of a stream of text. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::process {

class LineTail {
 public:
  static constexpr std::size_t kSizeMax = 4096;

  explicit LineTail(std::size_t size_max = kSizeMax) : size_max_{size_max} {}

  void append(std::string_view bytes);
  /// Up to `count` lines, oldest first, without their newlines; a last line that has none counts.
  /// Lines are whole, but for one that is longer than `size_max` itself, of which the end is kept.
  std::vector<std::string> last_lines(std::size_t count) const;

 private:
  std::size_t size_max_;
  std::string text_;
  bool starts_mid_line_ = false;
};

}  // namespace cohort::process
