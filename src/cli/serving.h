// How many of an application's workers serve, from its status (docs/control.md).
#pragma once

#include <cstdint>

#include "cohort/value.h"

namespace cohort::cli {

struct Serving {
  std::int64_t places = 0;  ///< How many are wanted.
  std::int64_t serve = 0;   ///< Of those that are kept.
  std::int64_t others = 0;  ///< That start, or end. Not who left by itself: it takes its time.
  std::int64_t closed = 0;  ///< Places whose worker is not started again.

  bool all() const { return places > closed && serve == places - closed; }
};

/// Pure.
Serving serving(const Value& status);

}  // namespace cohort::cli
