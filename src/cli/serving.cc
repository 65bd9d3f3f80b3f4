#include "cli/serving.h"

namespace cohort::cli {

Serving serving(const Value& status) {
  Serving result{.places = status["places"].int64_or(0)};
  for (const Value& worker : status["workers"].elements())
    if (!worker["leaves"].bool_or(false))
      ++(worker["serves"].bool_or(false) ? result.serve : result.others);
  result.closed = static_cast<std::int64_t>(status["closed"].elements().size());
  return result;
}

}  // namespace cohort::cli
