// What completes `cohort` in a shell, made of the help of its commands. Pure.
//
// What follows PROGRAM is the program's own: files. Where one option has no value, and an option of
// another command has the same name, that has none either.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/help_page.h"

namespace cohort::cli {

struct Completed {
  std::string name, summary;  ///< Of the command.
  HelpPage page;
};

std::string bash_completion(const std::vector<Completed>& commands);
std::string zsh_completion(const std::vector<Completed>& commands);
std::string fish_completion(const std::vector<Completed>& commands);

}  // namespace cohort::cli
