// `cohort ls`, `status`, `events`, `why`, `reload`, `scale` and `stop`: each asks the control
// socket of an application, and shows what it answers. `cohort doctor` looks at the system instead.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/options.h"

namespace cohort::cli {

/// Nothing: `command` is none of these verbs. Pure.
std::optional<std::variant<VerbOptions, Answer>> parse_verb(
    const std::string& command, const std::vector<std::string>& arguments);

/// Does it. The exit code of the command.
int run(const VerbOptions& options);

}  // namespace cohort::cli
