// How the command says that something went wrong.
#pragma once

#include <string>

namespace cohort::cli {

/// `cohort: TEXT` on stderr. The exit code that was given.
int fail(int code, const std::string& text);

}  // namespace cohort::cli
