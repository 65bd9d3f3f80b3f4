// The fields of one application of a pm2 ecosystem file, by the names of pm2's schema. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/import_model.h"
#include "cohort/value.h"

namespace cohort::cli {

struct EcosystemField {
  std::string name;    ///< pm2's own.
  std::string given;   ///< As it is spelled in the file.
  const Value* value;  ///< Neither null nor only in JavaScript.

  /// `cron_restart ("0 4 * * *")`, so that the value is not lost; without one that is long.
  std::string with_value() const;
};

/// pm2 takes numbers as texts, too.
std::optional<double> number_in_field(const Value& value);
/// A text as it is, else JSON.
std::string text_in_field(const Value& value);

/// They refer to the value of the application, which has to outlive them.
class EcosystemFields {
 public:
  /// What is there twice, is null or cannot be in JSON is left out, and `application` has a remark.
  EcosystemFields(const Value& value, ImportedApplication& application);

  /// Null: it is not there.
  const EcosystemField* find(std::string_view name) const;
  /// Empty if it is not there.
  std::string text_of(std::string_view name) const;
  /// A list, or a text that is split at blanks as pm2 does.
  std::vector<std::string> words_of(std::string_view name, ImportedApplication& application) const;
  const std::vector<EcosystemField>& all() const { return fields_; }

 private:
  void leave_out_twins(ImportedApplication& application);
  void leave_out_nothings(ImportedApplication& application);

  std::vector<EcosystemField> fields_;
};

}  // namespace cohort::cli
