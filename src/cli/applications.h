// Which applications of this user run, and which of them a verb means. Blocks: it asks each.
#pragma once

#include <sys/types.h>

#include <string>
#include <variant>
#include <vector>

#include "cli/options.h"
#include "cohort/value.h"

namespace cohort::cli {

struct Running {
  std::string directory, name;
  Value status;   ///< Undefined: it does not answer.
  pid_t pid = 0;  ///< Of its primary; 0 if it does not answer.
};

/// Those that live, of this name if one was given.
std::vector<Running> applications(const std::string& wanted = {});
/// The one of this name, or the only one; or why that is not clear.
std::variant<Running, Answer> find_application(const std::string& name);

/// Of what /v1/status gave: each place has a worker that serves, and nobody else is there.
bool is_settled(const Value& status);

/// What to say of one that does not answer.
Answer does_not_answer(const std::string& name);

}  // namespace cohort::cli
