// Names of signals. Pure; from any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cohort::process {

/// `SIGTERM` for 15; `signal 40` for a number without a name of its own.
std::string signal_name(int number);

/// 15 for `SIGTERM`, `TERM`, `sigterm`, `Term`. None if there is no such signal.
std::optional<int> signal_number(std::string_view name);

}  // namespace cohort::process
