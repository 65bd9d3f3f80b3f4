// What `cohort import` makes of another tool's file: applications as cohort.toml has them, and what
// is not as it was. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort::cli {

/// Something that is not as it was. Said in the file that is written, and on stderr.
struct ImportRemark {
  std::string what;  ///< `cron_restart`.
  std::string why;
};

/// A key of cohort.toml other than `program`, `args` and `env`.
struct ImportedSetting {
  std::string key;
  std::string value;
  bool in_quotes = false;
};

struct ImportedApplication {
  std::string name{};
  std::string program{};
  std::vector<std::string> args{};
  std::vector<ImportedSetting> settings{};
  std::vector<std::pair<std::string, std::string>> env{};  ///< In order, each name once.
  std::vector<ImportRemark> remarks{};

  void remark(std::string what, std::string why);
  /// A remark about `field` instead if cohort.toml would not take the value.
  void set(const std::string& field, ImportedSetting setting);
  /// Replaces an earlier one of the same name. A remark instead if no process can have it.
  void set_env(const std::string& name, const std::string& value);
  /// Empty if it is not there.
  std::string env_of(std::string_view variable) const;
};

struct Imported {
  std::vector<ImportedApplication> applications{};
  std::vector<ImportRemark> remarks{};  ///< About the file as a whole.

  /// With `wanted` as its name, if that can be one and is not taken; else a similar one, and a
  /// remark.
  void add(ImportedApplication application, const std::string& wanted);
};

/// Why nothing could be made of a file.
struct ImportProblem {
  std::string text;
};

}  // namespace cohort::cli
