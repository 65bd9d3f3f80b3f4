// A man page, made of the help of a command: what man(7) calls for, in the order that it wants.
// Pure.
#pragma once

#include <string>

#include "cli/help_page.h"

namespace cohort::cli {

struct ManTitle {
  std::string name;  ///< `cohort-run`.
  int section = 1;
  std::string summary;  ///< One line.
  std::string version;  ///< `cohort 0.1.0`.
};
std::string man_page(const ManTitle& title, const HelpPage& page);

/// A line of text as roff takes it: nothing in it is a request or an escape.
std::string roff(std::string_view text);

}  // namespace cohort::cli
