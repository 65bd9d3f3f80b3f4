// The help of a command, taken apart. The texts that are written beside each parser are the source;
// what `--help` shows, man pages (manual.h) and completions (completion.h) are made of them, so
// that they cannot say anything else. Pure.
//
//   Usage: cohort run [OPTION...] PROGRAM [ARG...]
//
//   Paragraphs.
//
//   Options:
//     -w, --workers N|auto    What it does. The first sentence, and those that
//                             begin with Default:, are what --help shows.
//         --watch             Two blanks or more: it takes no value.
//         and those of `cohort run` (cohort run --help)
//
//   Commands: and Examples: are lists; Exit codes: is a paragraph.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::cli {

struct HelpOption {
  std::string letter;             ///< `-w`, or empty.
  std::string name;               ///< `--workers`.
  std::string value;              ///< `N|auto`, or empty: it takes none.
  std::vector<std::string> text;  ///< Its lines, without the margin.
  std::vector<std::string> raw;   ///< As they are in the help.

  /// The prose of `text`, without a list below it, as one line.
  std::string prose() const;
  /// The list below it: `sticky       the same client...`.
  std::vector<std::string> list() const;
  /// The first sentence, and `Default: 25.`.
  std::string summary() const;
  /// The words that may stand for the value: `auto` of `N|auto`, or those of the list.
  std::vector<std::string> choices() const;
};

struct HelpPage {
  using Lines = std::vector<std::string>;

  Lines usage;                      ///< `cohort run [OPTION...] PROGRAM [ARG...]`.
  std::vector<Lines> paragraphs;    ///< In order, and those behind the options too.
  std::vector<HelpOption> options;  ///< Its own.
  bool takes_options_of_run = false;
  Lines commands, examples, exit_codes;  ///< Lines of a list without its margin.

  const HelpOption* option(std::string_view name) const;
};
HelpPage parse_help(std::string_view text);

/// One line of Commands:, `run      Run PROGRAM in the foreground`.
struct HelpCommand {
  std::string name, summary;
};
std::vector<HelpCommand> commands_of(const HelpPage& page);

/// What `--help` shows of it: all if that is no more than 24 lines; else the beginning, the options
/// with their summaries, the examples, and where the rest is.
std::string for_screen(const std::string& text);

/// The help of cohort.toml, whose keys are options of `cohort run`, from that one's.
std::string help_of_config(std::string_view help_of_run, const std::vector<std::string>& keys);

}  // namespace cohort::cli
