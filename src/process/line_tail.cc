#include "process/line_tail.h"

#include <algorithm>

namespace cohort::process {

void LineTail::append(std::string_view bytes) {
  // One more than the limit: whether the byte before the rest ends a line decides.
  text_ += bytes.substr(bytes.size() - std::min(bytes.size(), size_max_ + 1));
  if (text_.size() <= size_max_) return;
  const std::size_t cut = text_.size() - size_max_;
  starts_mid_line_ = text_[cut - 1] != '\n';
  text_.erase(0, cut);
}

std::vector<std::string> LineTail::last_lines(std::size_t count) const {
  std::string_view rest = text_;
  if (starts_mid_line_) {
    const std::size_t newline = rest.find('\n');
    if (newline != rest.npos && newline + 1 < rest.size()) rest.remove_prefix(newline + 1);
  }
  if (rest.ends_with('\n'))
    rest.remove_suffix(1);
  else if (rest.empty())
    return {};
  std::vector<std::string> lines;
  for (bool more = true; more && lines.size() < count;) {
    const std::size_t newline = rest.rfind('\n');
    more = newline != rest.npos;
    lines.emplace_back(more ? rest.substr(newline + 1) : rest);
    rest = rest.substr(0, more ? newline : 0);
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

}  // namespace cohort::process
