// The tasks of this program, by name. Filled before `main`, read by any thread afterwards.
#pragma once

#include <string_view>

#include "cohort/pool.h"

namespace cohort::pool {

/// Null: there is none of that name.
const detail::NamedTask* find_task(std::string_view name);

}  // namespace cohort::pool
