// The `Date` header, rendered once per second.
#pragma once

#include <array>
#include <ctime>
#include <string_view>

namespace cohort::http {

class DateLine {
 public:
  /// `Date: Sun, 22 Nov 2026 10:47:58 GMT\r\n`; valid until the next call.
  std::string_view at(std::time_t now) {
    if (now != rendered_) render(now);
    return {text_.data(), kSize};
  }

 private:
  static constexpr std::size_t kSize = 37;

  void render(std::time_t now);

  std::time_t rendered_ = -1;
  std::array<char, 80> text_{};  // room for what snprintf could print at worst
};

}  // namespace cohort::http
