// Whether what people read is coloured.
#pragma once

namespace cohort::cli {

/// On a terminal that can, unless NO_COLOR says otherwise.
bool wants_colour(int fd);

}  // namespace cohort::cli
