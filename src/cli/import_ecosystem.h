// A pm2 ecosystem file, as applications of cohort.toml. Every field is mapped, or named with the
// reason why not. docs/from-pm2.md has the table; pm2's lib/API/schema.json the fields. Pure.
#pragma once

#include <string>
#include <variant>

#include "cli/import_model.h"
#include "cohort/value.h"

namespace cohort::cli {

struct ImportContext {
  std::string env{};  ///< `production`, for env_production; empty: `env` alone.
  std::string
      folder{};        ///< Of the file, without links: what is below it is written relative to it.
  std::string home{};  ///< What `~` is.
};

/// `file`: what the file exports, with `kOnlyInJavaScript` for what JSON has not.
std::variant<Imported, ImportProblem> import_ecosystem(const Value& file,
                                                       const ImportContext& context);

}  // namespace cohort::cli
