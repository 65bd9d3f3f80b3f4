// Which program `cohort run PROGRAM` means, and how it is run.
//
// As a shell finds it: a path as it is given, else PATH; what only the working directory has is
// found last, but a script by its name first. Never beside the `cohort` command: that is the
// library's own lookup (process/program.h). docs/cohort-run.md has the table.
//
// Reads the file system, and may ask `node` what it can (some 50 ms, blocking): call it before
// there is anything to serve.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "process/program.h"

namespace cohort::cli {

/// Why it cannot be run, and what to type instead.
struct CannotRun {
  std::string text;
};

std::variant<process::Program, CannotRun> program_of(const std::string& name);

/// The same under an interpreter of the user's choice, with these arguments before it. It has to be
/// there, and nothing of it is read.
std::variant<process::Program, CannotRun> program_under(const std::string& interpreter,
                                                        const std::vector<std::string>& args,
                                                        const std::string& script);

/// What npm installed for whoever works in `directory`: node_modules/.bin/NAME there or above.
std::optional<std::filesystem::path> in_node_modules(std::filesystem::path directory,
                                                     const std::string& name);

/// The options by which node itself runs what this `tsx` would: `tsx` starts the program as a
/// process of its own, which shares no port. Empty: there are none.
std::vector<std::string> options_of_tsx(const std::filesystem::path& tsx);

enum class Language { None, JavaScript, TypeScript, Jsx };

/// By the name's end, in any spelling: `.js`, `.MJS`, `.ts`, `.tsx`...
Language language_of(std::string_view name);

/// `#!/usr/bin/env -S node -r x`: the interpreter and its one argument, as the kernel takes them.
/// Empty if the text begins otherwise.
std::vector<std::string> parse_interpreter(std::string_view text);

/// What a package.json says; empty where it does not.
struct Package {
  std::string main;
  std::string start;  ///< Of `scripts`.
};
/// Nothing if it is no JSON.
std::optional<Package> parse_package(std::string_view text);

}  // namespace cohort::cli
