// What a reload finds changed in how `cohort run` was told to run an application.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"

namespace cohort::cli {

/// For people, one each: `workers 2 -> 4`. Of variables only the names: values may be secrets.
/// What a reload cannot change says when it counts. Pure.
std::vector<std::string> changes(const RunOptions& was, const RunOptions& is);

}  // namespace cohort::cli
