// The rules that `cohort sim --policy` tries, as one text:
//
//     backoff=100ms..30s tries=3 prove=10 canary=1 batch=25%
//
// NAME=VALUE, separated by blanks or commas. What is an option of `cohort run` or `cohort reload`
// is called as there; the others are fixed in `cohort run`. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "cli/options.h"

namespace cohort::cli {

/// `7`, `7s`, `0.5`, `100ms`: 0 to a day.
std::optional<std::chrono::milliseconds> sim_time_from(std::string_view text);

/// Into the rules of `options`, of which `workers` is known. What is wrong with it, or nothing.
std::optional<std::string> read_sim_policy(std::string_view text, SimOptions& options);

}  // namespace cohort::cli
