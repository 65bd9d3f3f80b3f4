#include "base/assert.h"

#include <cstdlib>

#include "base/shared_output.h"

namespace cohort {

void assert_failed(const char* condition, const char* file, int line, const char* names,
                   const std::string& values) {
  std::string text =
      std::string{"cohort: "} + file + ':' + std::to_string(line) + ": " + condition + " is false";
  if (*names != '\0') text += std::string{"; "} + names + " = " + values;
  write_to_stderr(text + '\n');
  std::abort();
}

}  // namespace cohort
