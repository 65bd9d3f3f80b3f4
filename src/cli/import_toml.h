// What `cohort import` found, as the text of a cohort.toml. Pure.
#pragma once

#include <string>
#include <string_view>

#include "cli/import_model.h"

namespace cohort::cli {

/// A basic string of TOML, with its quotes. Bytes that are not UTF-8 become U+FFFD.
std::string toml_string(std::string_view text);

/// `source` is the file that it comes from. cohort's own reader takes the text.
std::string toml_text(const Imported& imported, const std::string& source);

/// The remarks, a line for each, for stderr.
std::string remarks_text(const Imported& imported);

}  // namespace cohort::cli
