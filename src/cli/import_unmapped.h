// The fields of a pm2 ecosystem file that have no key in cohort.toml, and why. docs/from-pm2.md has
// the same for people. Pure.
#pragma once

#include <string>
#include <string_view>

#include "cohort/value.h"

namespace cohort::cli {

struct UnmappedField {
  const char* name;
  /// The values, as JSON with `|` between them, that ask for what cohort does anyway; empty: none.
  const char* as_here;
  const char* why;  ///< {name}: of the application; {value}: of the field.
};

/// Null: there is no such field.
const UnmappedField* unmapped_field(std::string_view name);

bool asks_for_what_is_here(const UnmappedField& field, const Value& value);
std::string why_unmapped(const UnmappedField& field, const Value& value, const std::string& name);

/// The name in pm2's schema: `cron` is `cron_restart`, and `maxRestarts` is `max_restarts`. Of what
/// is not known the same.
std::string ecosystem_field(const std::string& given);

/// A value of a file that is JavaScript and cannot be in JSON, as the import's own node writes it:
/// `{"cohort:javascript": "function"}`.
inline constexpr const char* kOnlyInJavaScript = "cohort:javascript";
/// `function`, `undefined`...; empty if it is none of those.
std::string only_in_javascript(const Value& value);

}  // namespace cohort::cli
