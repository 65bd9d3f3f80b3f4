// The command of `cohort map`, with places for a job's arguments: GNU parallel's replacement
// strings.
//
//   {}    the argument; of several, all     {1} {2}    the first, the second
//   {.}   without its extension             {1.} {1/} {1//} {1/.}    of one of them
//   {/}   without its directory             {#}    the number of the job, from 1
//   {//}  its directory, or `.`             {%}    the number of its place, 1 to the number of jobs
//   at once
//   {/.}  without both
//
// A command of several words is a program and its arguments: no shell is there. A command that is
// one word is a text as for a shell, and is given to one if it needs it: then arguments are its
// positional parameters, which no shell reads as a command, whatever they contain.
//
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cohort/error.h"

namespace cohort::map {

/// What goes into a template.
struct JobArguments {
  std::uint64_t number = 0;  ///< Of the job, from 1.
  unsigned place = 0;        ///< One of those that run at once, from 1.
  std::vector<std::string> values{};
};

class CommandTemplate {
 public:
  /// `each_in_context` (-X): a word is repeated for each argument, with what stands around it. Else
  /// several arguments are one word there, with blanks between them, unless `{}` is all of the
  /// word. InvalidArgument: no word; `each_in_context` of a text.
  /// `takes_arguments`: they come last if the template has no place for them.
  static Result<CommandTemplate> parse(const std::vector<std::string>& words, bool each_in_context,
                                       bool takes_arguments = true);

  bool needs_shell() const { return is_shell_; }
  /// What is executed. Of arguments that a template names and the job does not have: an empty text.
  std::vector<std::string> argv(const JobArguments& job) const;
  /// The same for a person, and for a shell: each word in quotes where it needs them.
  std::string shown(const JobArguments& job) const;

 private:
  enum class Part : std::uint8_t {
    Whole,
    NoExtension,
    Base,
    Directory,
    BaseNoExtension,
    Job,
    Place
  };
  enum class Quotes : std::uint8_t { None, Single, Double };
  struct Slot {
    Part part = Part::Whole;
    unsigned index = 0;            // of the argument, from 1; 0: all
    Quotes within = Quotes::None;  // of a text for a shell
  };
  using Piece = std::variant<std::string, Slot>;
  using Word = std::vector<Piece>;

  static std::optional<Slot> slot_at(std::string_view text, std::size_t& length);
  static Word word_of(std::string_view text);
  static Word text_of(std::string_view text);
  static bool has_slot(const Word& word);
  static std::vector<std::string> values_of(const Slot& slot, const JobArguments& job);
  static std::string joined(const Word& word, const JobArguments& job);
  static std::vector<std::string> shell_argv(const Word& text, const JobArguments& job);
  void expand(const Word& word, const JobArguments& job, std::vector<std::string>& argv) const;

  std::vector<Word> words_;  // of a shell: its text is the only one
  bool is_shell_ = false;
  bool each_in_context_ = false;
};

/// In single quotes, if a shell would read it otherwise as it stands.
std::string shell_quoted(std::string_view word);

}  // namespace cohort::map
