// What somebody may have meant by a word that is not known. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cohort::cli {

/// Of those that are, the one with the fewest letters to change. `known` is not empty.
std::string nearest_to(std::string_view word, const std::vector<std::string>& known);

}  // namespace cohort::cli
