// The program that `cohort run` runs, as the file system has it at this moment.
#pragma once

#include <filesystem>
#include <variant>

#include "cli/operator.h"
#include "cli/program_of.h"

namespace cohort::cli {

/// PWD, if it names this directory: as the shell came here. Asked once, while it does. Empty: it is
/// gone.
const std::filesystem::path& way_here();

/// As program_of, which it asks; and the working directory, through the links by which the command
/// was started there: a deployment that points `current` at another folder is seen.
std::variant<ProgramNow, CannotRun> program_now(const RunOptions& options);
/// The options as cohort.toml has them by now, if they are from there.
std::variant<RunOptions, CannotRun> options_now(const RunOptions& options);

}  // namespace cohort::cli
