// A Procfile, as applications of cohort.toml: each line `name: command` is one. Pure.
#pragma once

#include <string_view>

#include "cli/import_model.h"

namespace cohort::cli {

/// `has_dot_env`: there is a file .env beside it, which Procfile runners read.
Imported import_procfile(std::string_view text, bool has_dot_env = false);

}  // namespace cohort::cli
