// The Preloads of this program, by their names.
#pragma once

#include <string>

#include "cohort/error.h"

namespace cohort::process {

/// Runs it, in this process. PreloadFailed: there is none of that name, or it fails.
Result<void> load(const std::string& name);
/// The same, but that what was loaded is not loaded again. Any thread.
Result<void> load_once(const std::string& name);

}  // namespace cohort::process
