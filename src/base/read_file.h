// A file as a whole, also one of /proc.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace cohort {

/// None and errno if it cannot be opened or read to its end: a file of a process that vanishes
/// meanwhile is ESRCH, a directory EISDIR. (A `std::filebuf` would throw.) Blocks as reading does.
std::optional<std::string> read_file(const std::filesystem::path& path);

}  // namespace cohort
