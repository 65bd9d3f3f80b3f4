// What must be so, whatever users, workers and clients do. If it is not, the program has a bug, and
// going on would hide it: it aborts, and says what was wrong and with which values.
//
//   COHORT_ASSERT(slot < sockets_.size(), slot, sockets_.size());
//
// Never about what came from outside: that is validated, and whoever sent it is dropped.
#pragma once

#include <sstream>
#include <string>
#include <utility>

namespace cohort {

/// `FILE:LINE: COND is false; slot, sockets_.size() = 3, 2`, then abort.
[[noreturn]] void assert_failed(const char* condition, const char* file, int line,
                                const char* names, const std::string& values);

template <class... Values>
std::string assert_values(const Values&... values) {
  std::ostringstream text;
  [[maybe_unused]] const char* between = "";
  ((text << std::exchange(between, ", ") << values), ...);
  return text.str();
}

}  // namespace cohort

#define COHORT_ASSERT(condition, ...)                                                  \
  ((condition) ? static_cast<void>(0)                                                  \
               : ::cohort::assert_failed(#condition, __FILE__, __LINE__, #__VA_ARGS__, \
                                         ::cohort::assert_values(__VA_ARGS__)))

namespace cohort {

/// The value of a key that the map has.
template <class Map, class Key>
auto& known(Map& map, const Key& key) {
  const auto found = map.find(key);
  COHORT_ASSERT(found != map.end(), key);
  return found->second;
}

}  // namespace cohort
