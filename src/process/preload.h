// The Preloads of this program, by their names.
#pragma once

#include <string>

#include "cohort/error.h"

namespace cohort::process {

/// Runs it, in this process. PreloadFailed: there is none of that name, or it fails.
Result<void> load(const std::string& name);

}  // namespace cohort::process
