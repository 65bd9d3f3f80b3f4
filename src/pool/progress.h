// What a task says of its progress, told to the one who gave it.
#pragma once

#include <cstdio>
#include <exception>
#include <functional>

#include "cohort/value.h"

namespace cohort::pool {

/// What the handler throws ends nobody: it runs on a thread that others need.
inline void tell_progress(const std::function<void(const Value&)>& handler, const Value& value) {
  try {
    handler(value);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cohort: a handler of a task's progress: %s\n", error.what());
  } catch (...) {
    std::fprintf(stderr, "cohort: a handler of a task's progress threw\n");
  }
}

}  // namespace cohort::pool
