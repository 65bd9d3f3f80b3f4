#include "http/fields.h"

#include "http/text.h"

namespace cohort::http {

void Fields::append(std::string_view name, std::string_view value) {
  lines_.append(name).append(": ").append(value).append("\r\n");
}

void Fields::remove(std::string_view name) {
  for (std::size_t at = 0; (at = find(name, at)) != kNpos;)
    lines_.erase(at, lines_.find('\n', at) + 1 - at);
}

std::string_view Fields::get(std::string_view name) const {
  const std::size_t at = find(name, 0);
  if (at == kNpos) return {};
  const std::size_t value = at + name.size() + 2;
  return std::string_view{lines_}.substr(value, lines_.find('\r', value) - value);
}

// The offset of the first line of that name at or after the line that begins at `from`.
std::size_t Fields::find(std::string_view name, std::size_t from) const {
  for (std::size_t at = from; at < lines_.size(); at = lines_.find('\n', at) + 1) {
    const auto line = std::string_view{lines_}.substr(at);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        equals_ignoring_case(line.substr(0, name.size()), name))
      return at;
  }
  return kNpos;
}

}  // namespace cohort::http
