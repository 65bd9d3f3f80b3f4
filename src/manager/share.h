// How many of the workers: `2`, or `25%` of them. Pure.
#pragma once

#include <optional>
#include <string_view>

namespace cohort::manager {

struct Share {
  unsigned number = 1;  ///< From 1 on.
  bool is_percent = false;

  /// Rounded up; a number of workers is as it is.
  unsigned of(unsigned all) const;
};

/// `2`, `25%`; from 1, and to 100%. Nothing: it is neither.
std::optional<Share> share_from(std::string_view text);

/// What one reload is to be like, if not as ReloadOptions has it.
struct ReloadWish {
  std::optional<Share> canary{};
  std::optional<Share> batch{};
  std::optional<Share> max_surge{};
};

}  // namespace cohort::manager
