#include "cli/import_fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "cli/import_unmapped.h"
#include "cli/shell_command.h"

namespace cohort::cli {
namespace {

constexpr std::size_t kShownMax = 60;

}  // namespace

std::optional<double> number_in_field(const Value& value) {
  if (value.is_number()) return value.number_or(0);
  const std::string_view text = value.string_or("");
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_one = !text.empty() && error == std::errc{} && rest == text.data() + text.size() &&
                      std::isfinite(number);
  return is_one ? std::optional{number} : std::nullopt;
}

std::string text_in_field(const Value& value) {
  return value.is_string() ? std::string{value.string_or("")} : to_json(value);
}

std::string EcosystemField::with_value() const {
  if (value->is_object()) return given;
  const std::string json = to_json(*value);
  return given + (json.empty() || json.size() > kShownMax ? "" : " (" + json + ')');
}

EcosystemFields::EcosystemFields(const Value& value, ImportedApplication& application) {
  for (const auto& [key, field] : value.members())
    fields_.push_back({ecosystem_field(key), key, &field});
  leave_out_nothings(application);
  leave_out_twins(application);
}

const EcosystemField* EcosystemFields::find(std::string_view name) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [name](const auto& field) { return field.name == name; });
  return found == fields_.end() ? nullptr : &*found;
}
std::string EcosystemFields::text_of(std::string_view name) const {
  const EcosystemField* field = find(name);
  return field == nullptr ? "" : text_in_field(*field->value);
}

// `script` counts before `exec`, as in pm2.
void EcosystemFields::leave_out_twins(ImportedApplication& application) {
  std::stable_sort(fields_.begin(), fields_.end(), [](const auto& one, const auto& other) {
    return (one.name == one.given) > (other.name == other.given);
  });
  std::set<std::string> seen;
  std::erase_if(fields_, [&](const EcosystemField& field) {
    if (seen.insert(field.name).second) return false;
    application.remark(field.given, "left out: `" + field.name + "` is there, too");
    return true;
  });
}
// What pm2 takes as not given; and what is of JavaScript only.
void EcosystemFields::leave_out_nothings(ImportedApplication& application) {
  std::erase_if(fields_, [&](const EcosystemField& field) {
    const std::string kind = only_in_javascript(*field.value);
    if (!kind.empty())
      application.remark(field.given, "left out: it is " + kind + " in JavaScript");
    else if (field.value->is_null())
      application.remark(field.given, "left out: it is null");
    return !kind.empty() || field.value->is_null();
  });
}

std::vector<std::string> EcosystemFields::words_of(std::string_view name,
                                                   ImportedApplication& application) const {
  const EcosystemField* field = find(name);
  std::vector<std::string> words;
  if (field == nullptr) return words;
  if (!field->value->is_array()) {
    const std::string text = text_in_field(*field->value);
    if (auto split = quoted_words(text)) return std::move(*split);
    application.remark(field->with_value(), "a quote in it has no end: it is one argument");
    return {text};
  }
  for (const Value& word : field->value->elements()) {
    const std::string kind = only_in_javascript(word);
    if (kind.empty() && !word.is_null())
      words.push_back(text_in_field(word));
    else
      application.remark(field->with_value(),
                         "one left out: it is " + (kind.empty() ? "null" : kind));
  }
  return words;
}

}  // namespace cohort::cli
