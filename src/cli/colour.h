// Whether what we write may have colours.
#pragma once

namespace cohort::cli {

/// `fd` is a terminal that is not dumb, and NO_COLOR is not set (no-color.org).
bool wants_colour(int fd);

}  // namespace cohort::cli
