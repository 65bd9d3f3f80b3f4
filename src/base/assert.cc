#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace cohort {

void assert_failed(const char* condition, const char* file, int line, const char* names,
                   const std::string& values) {
  std::string text =
      std::string{"cohort: "} + file + ':' + std::to_string(line) + ": " + condition + " is false";
  if (*names != '\0') text += std::string{"; "} + names + " = " + values;
  std::fputs((text + '\n').c_str(), stderr);
  std::abort();
}

}  // namespace cohort
