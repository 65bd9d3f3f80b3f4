// The options of `cohort run`, which are the keys of cohort.toml too: one table for both. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cli/options.h"

namespace cohort::cli {

inline constexpr const char* kVersion = "cohort " COHORT_VERSION "\n";

struct RunOption {
  enum class Kind : std::uint8_t {
    Flag,
    Once,   ///< Twice is an error.
    Last,   ///< The last one counts.
    List,   ///< All count.
    Names,  ///< All count, each with commas between. In cohort.toml a list, which may be empty.
  };
  const char* name;    ///< `workers`: of `--workers 4` and of `workers = 4`.
  const char* letter;  ///< `-w`, or empty.
  Kind kind;
  bool in_config;  ///< Whether it is a key of cohort.toml.
  /// Puts what was given into the options. If it is no good: "takes a number from 1 to 1024".
  std::optional<std::string> (*read)(const std::string& text, RunOptions& options);
};
std::span<const RunOption> run_option_table();

/// `512M`, `2G`, `2000000`: 1 MiB or more.
std::optional<std::uint64_t> size_from(std::string_view text);

/// As `--ready` takes it: `notify`, `0.5`.
std::string readiness_text(const Readiness& ready);

/// As `--when-empty` takes it: `hold=5`.
std::string when_empty_text(const std::optional<std::chrono::milliseconds>& hold);

/// Options that do not go together; nothing if they do.
std::optional<Answer> contradiction(const RunOptions& options);

/// What follows `cohort run`, sorted.
struct RunWords {
  struct Given {
    std::vector<std::string> values{};
    bool flag = false;
  };
  /// An option of another verb that takes these words too.
  struct Extra {
    const char* name;  ///< `--log`.
    bool is_flag;
    Given given{};
  };
  std::vector<Given> given;       ///< Of each option of the table.
  std::vector<std::string> rest;  ///< The program and its arguments.

  /// The last value that an option was given, which it then was not; empty: none.
  std::string take(std::string_view name);
  /// Any that is a key of cohort.toml.
  bool any_of_config() const;
};
std::variant<RunWords, Answer> read_words(const std::vector<std::string>& arguments,
                                          std::span<RunWords::Extra> extras = {});
std::variant<RunOptions, Answer> options_of(const RunWords& words);
/// For another `cohort run`.
std::vector<std::string> arguments_of(const RunWords& words);

/// What follows `cohort run`. Without a program, `program` is empty: those of cohort.toml.
std::variant<RunOptions, Answer> parse_run(const std::vector<std::string>& arguments);

}  // namespace cohort::cli
