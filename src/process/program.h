// Which file a name means, and how it is run.
//
// Reads the file system each time: what is on disk now is what runs. From any thread.
#pragma once

#include <string>
#include <vector>

#include "cohort/error.h"

namespace cohort::process {

struct Program {
  /// Absolute path of what to execute.
  std::string file;
  /// Arguments before the user's own: the script's path, if `file` is its interpreter.
  std::vector<std::string> leading_args;

  friend bool operator==(const Program&, const Program&) = default;
};

/// Looks `name` up beside the running program, then in the working directory, then in PATH (the
/// last not if it contains a slash); `./x`, `../x` mean the working directory only, `/x` itself. A
/// name that ends in .js, .mjs or .cjs is a script: it needs no permission to execute, and runs
/// under `node`. Errors: ENOENT, or EACCES for one that was found but may not be executed; ENOENT
/// with a detail of its own if a script was found but `node` was not.
Result<Program> resolve_program(const std::string& name);

/// The path of this program's file, as it is on disk now: after a rebuild or an upgrade, the new
/// one.
Result<std::string> running_program();

}  // namespace cohort::process
