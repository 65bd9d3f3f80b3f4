#include "cli/colour.h"

#include <cstdlib>
#include <string_view>

#include "base/sys.h"

namespace cohort::cli {

bool wants_colour(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return sys::is_terminal(fd) && (no_color == nullptr || *no_color == '\0') &&
         terminal != nullptr && std::string_view{terminal} != "dumb";
}

}  // namespace cohort::cli
