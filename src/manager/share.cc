#include "manager/share.h"

#include <charconv>
#include <cstdint>

namespace cohort::manager {
namespace {

constexpr unsigned kHundred = 100;

}  // namespace

unsigned Share::of(unsigned all) const {
  if (!is_percent) return number;
  const auto parts = std::uint64_t{all} * number;
  return static_cast<unsigned>((parts + kHundred - 1) / kHundred);
}

std::optional<Share> share_from(std::string_view text) {
  Share share;
  share.is_percent = text.ends_with('%');
  if (share.is_percent) text.remove_suffix(1);
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), share.number);
  if (error != std::errc{} || rest != text.data() + text.size() || share.number == 0)
    return std::nullopt;
  if (share.is_percent && share.number > kHundred) return std::nullopt;
  return share;
}

}  // namespace cohort::manager
