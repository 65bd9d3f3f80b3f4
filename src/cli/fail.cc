#include "cli/fail.h"

#include <cstdio>

namespace cohort::cli {

int fail(int code, const std::string& text) {
  std::fputs(("cohort: " + text + '\n').c_str(), stderr);
  return code;
}

}  // namespace cohort::cli
