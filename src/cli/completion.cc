#include "cli/completion.h"

#include <algorithm>
#include <cctype>
#include <sstream>

namespace cohort::cli {
namespace {

using Commands = std::vector<Completed>;

// What a command takes besides options.
struct Operands {
  enum class Kind { Words, Names, NamesOrProgram, Program, Files };
  Kind kind = Kind::Words;
  std::string words{};
};

std::string spaced(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string names_in(const Commands& commands) {
  std::vector<std::string> names;
  for (const Completed& each : commands) names.push_back(each.name);
  return spaced(names);
}

// `bash|zsh|fish`.
bool is_choice(const std::string& word) {
  const auto is_part = [](unsigned char c) { return std::islower(c) != 0 || c == '|'; };
  return word.find('|') != std::string::npos && std::all_of(word.begin(), word.end(), is_part);
}

Operands operands_of(const HelpPage& page, const Commands& commands) {
  Operands operands;
  bool names = false, program = false, files = false;
  for (const std::string& usage : page.usage) {
    std::istringstream in{usage};
    for (std::string word; in >> word;) {
      names = names || word == "[NAME]";
      program = program || word == "PROGRAM";
      files = files || word.find("FILE") != std::string::npos;
      if (word == "[COMMAND]") operands.words = names_in(commands);
      if (is_choice(word)) operands.words = word;
    }
  }
  std::replace(operands.words.begin(), operands.words.end(), '|', ' ');
  if (program)
    operands.kind = names ? Operands::Kind::NamesOrProgram : Operands::Kind::Program;
  else if (names)
    operands.kind = Operands::Kind::Names;
  else if (files && operands.words.empty())
    operands.kind = Operands::Kind::Files;
  return operands;
}

std::string bash_operands(const Operands& operands) {
  switch (operands.kind) {
    case Operands::Kind::Names:
      return "names";
    case Operands::Kind::NamesOrProgram:
      return "names-or-program";
    case Operands::Kind::Program:
      return "program";
    case Operands::Kind::Files:
      return "files";
    default:
      return operands.words;
  }
}

// Its own, and those of `cohort run` if it takes them.
std::vector<HelpOption> options_of_command(const Completed& command, const Commands& commands) {
  std::vector<HelpOption> all = command.page.options;
  if (!command.page.takes_options_of_run) return all;
  for (const Completed& run : commands)
    if (run.name == "run")
      std::copy_if(run.page.options.begin(), run.page.options.end(), std::back_inserter(all),
                   [&](const auto& each) { return command.page.option(each.name) == nullptr; });
  return all;
}

enum class ValueKind { Words, Files, Directories, Anything };

ValueKind value_kind(const HelpOption& option) {
  if (!option.choices().empty()) return ValueKind::Words;
  if (option.value == "FILE" || option.value == "ADDRESS") return ValueKind::Files;
  return option.value == "DIR" ? ValueKind::Directories : ValueKind::Anything;
}

// Each option that takes a value once, whatever command it is of.
std::vector<HelpOption> valued(const Commands& commands) {
  std::vector<HelpOption> all;
  for (const Completed& command : commands)
    for (const HelpOption& option : command.page.options)
      if (!option.value.empty() && std::none_of(all.begin(), all.end(), [&](const auto& each) {
            return each.name == option.name;
          }))
        all.push_back(option);
  return all;
}

// `-w | --workers`.
std::string pattern_of(const HelpOption& option) {
  return option.letter.empty() ? option.name : option.letter + " | " + option.name;
}

std::string patterns(const std::vector<HelpOption>& options) {
  std::string text;
  for (const HelpOption& option : options) text += (text.empty() ? "" : " | ") + pattern_of(option);
  return text;
}

std::string bash_options(const Completed& command, const Commands& commands, bool has_program) {
  std::vector<std::string> names;
  for (const HelpOption& option : options_of_command(command, commands))
    names.push_back(option.name);
  if (has_program) names.emplace_back("--");
  return spaced(names);
}

std::string bash_value(const HelpOption& option) {
  switch (value_kind(option)) {
    case ValueKind::Words:
      return "_cohort_reply '" + spaced(option.choices()) + "'";
    case ValueKind::Files:
      return "compopt -o default";
    case ValueKind::Directories:
      return "mapfile -t COMPREPLY < <(compgen -d -- \"$current\")";
    default:
      return ":";
  }
}

// `text` where `@what@` stands.
void put(std::string& script, const std::string& what, const std::string& text) {
  const std::string mark = '@' + what + '@';
  for (auto at = script.find(mark); at != std::string::npos; at = script.find(mark, at))
    script.replace(at, mark.size(), text), at += text.size();
}

constexpr const char* kBash =
    R"sh(# Completion of `cohort` for bash, printed by `cohort completion bash`.
_cohort_takes() {
  case $1 in
@commands@    *) options= operands= ;;
  esac
}
_cohort_names() { cohort ls 2>/dev/null | awk 'NR > 1 { print $1 }'; }
_cohort_reply() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}"); }
_cohort() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local options operands ended= kinds=-f i=2
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    _cohort_reply '@names@ --help --version'
    return
  fi
  _cohort_takes "${COMP_WORDS[1]}"
  if [[ $operands == names-or-program ]]; then
    while ((i < COMP_CWORD)) && [[ ${COMP_WORDS[i]} != -- ]]; do ((i++)); done
    if ((i < COMP_CWORD)); then # what follows are words of `cohort run`
      ((i++))
      _cohort_takes run
    fi
  fi
  if [[ $operands == program ]]; then
    for (( ; i < COMP_CWORD; i++)); do
      case ${COMP_WORDS[i]} in
        @valued@) ((i++)) ;;
        --)
          ended=yes
          ((i + 1 < COMP_CWORD)) && { compopt -o default; return; }
          ;;
        -*) ;;
        *) compopt -o default; return ;; # behind PROGRAM: its own arguments
      esac
    done
  fi
  case $previous in
@values@    *)
      case $operands in
        program | files)
          if [[ $current == -* && -z $ended ]]; then
            _cohort_reply "$options"
          else
            compopt -o filenames
            [[ $operands == program ]] && kinds=-fc
            mapfile -t COMPREPLY < <(compgen "$kinds" -- "$current" | sort -u)
          fi
          ;;
        names | names-or-program) _cohort_reply "$(_cohort_names) $options" ;;
        *) _cohort_reply "$operands $options" ;;
      esac
      ;;
  esac
}
complete -F _cohort cohort
)sh";

// In single quotes, where these letters mean something before the shell sees them, too.
std::string zsh_text(const std::string& text, std::string_view special) {
  std::string result;
  for (const char c : text) {
    if (c == '\'')
      result += "'\\''";
    else if (special.find(c) != std::string_view::npos)
      result += {'\\', c};
    else
      result += c;
  }
  return result;
}

std::string zsh_value(const HelpOption& option) {
  const std::string what = ':' + zsh_text(option.value, ":\\") + ':';
  switch (value_kind(option)) {
    case ValueKind::Words:
      return what + '(' + spaced(option.choices()) + ')';
    case ValueKind::Files:
      return what + "_files";
    case ValueKind::Directories:
      return what + "_files -/";
    default:
      return what + ' ';
  }
}

std::string zsh_option(const HelpOption& option) {
  const bool repeated = option.prose().find("May be repeated") != std::string::npos;
  const bool has_value = !option.value.empty();
  const std::string name = option.name + (has_value ? "=" : "");
  const std::string rest =
      '[' + zsh_text(option.summary(), "[]:\\") + ']' + (has_value ? zsh_value(option) : "") + '\'';
  if (option.letter.empty()) return std::string{"'"} + (repeated ? "*" : "") + name + rest;
  const std::string before = repeated ? "'*'" : "'(" + option.letter + ' ' + option.name + ")'";
  return before + '{' + option.letter + (has_value ? "+" : "") + ',' + name + "}'" + rest;
}

std::string zsh_operands(const Operands& operands) {
  switch (operands.kind) {
    case Operands::Kind::Names:
      return "'1:application:_cohort_names'";
    case Operands::Kind::NamesOrProgram:
      return "'1:application:_cohort_names' '*:argument:_files'";
    case Operands::Kind::Program:
      return "'1:program:_files' '*::argument:_files'";
    case Operands::Kind::Files:
      return "'*:file:_files'";
    default:
      return operands.words.empty() ? "" : "'1:word:(" + operands.words + ")'";
  }
}

std::string zsh_command(const Completed& command, const Commands& commands) {
  const Operands operands = operands_of(command.page, commands);
  // Behind PROGRAM: its own arguments.
  const bool program = operands.kind == Operands::Kind::Program;
  std::string text = "        " + command.name + ")\n          _arguments -S " +
                     (program ? "-A '-*' " : "") + ": \\\n";
  for (const HelpOption& option : options_of_command(command, commands))
    text += "            " + zsh_option(option) + " \\\n";
  const std::string rest = zsh_operands(operands);
  return text + "            " + (rest.empty() ? "" : rest + ' ') + "&& ret=0\n          ;;\n";
}

constexpr const char* kZsh = R"sh(#compdef cohort
# Completion of `cohort` for zsh, printed by `cohort completion zsh`.
_cohort_names() {
  local -a names
  names=(${(f)"$(cohort ls 2>/dev/null | awk 'NR > 1 { print $1 }')"})
  _describe application names
}
_cohort() {
  local curcontext="$curcontext" state line ret=1
  typeset -A opt_args
  _arguments -C '(- *)--help[The commands.]' '(- *)--version[The version of cohort.]' \
    '1: :->command' '*:: :->words' && ret=0
  case $state in
    command)
      local -a commands
      commands=(
@names@      )
      _describe command commands && ret=0
      ;;
    words)
      case $line[1] in
@commands@      esac
      ;;
  esac
  return ret
}
if [ "$funcstack[1]" = _cohort ]; then
  _cohort "$@"
else
  compdef _cohort cohort
fi
)sh";

std::string fish_text(const std::string& text) {
  std::string result = "'";
  for (const char c : text)
    result += c == '\'' || c == '\\' ? std::string{'\\', c} : std::string{c};
  return result + '\'';
}

std::string fish_value(const HelpOption& option) {
  if (option.value.empty()) return {};
  switch (value_kind(option)) {
    case ValueKind::Words:
      return " -x -a '" + spaced(option.choices()) + "'";
    case ValueKind::Files:
      return " -r -F";
    case ValueKind::Directories:
      return " -x -a '(__fish_complete_directories)'";
    default:
      return " -x";
  }
}

std::string fish_command(const Completed& command, const Commands& commands) {
  const std::string begin = "complete -c cohort -n '";
  std::string text;
  for (const HelpOption& option : options_of_command(command, commands)) {
    text += begin + "__cohort_options_of " + command.name + '\'';
    if (!option.letter.empty()) text += " -s " + option.letter.substr(1);
    text += " -l " + option.name.substr(2) + fish_value(option) + " -d " +
            fish_text(option.summary()) + '\n';
  }
  const Operands operands = operands_of(command.page, commands);
  const std::string is_it = begin + "__cohort_is " + command.name + '\'';
  using Kind = Operands::Kind;
  if (operands.kind == Kind::Names || operands.kind == Kind::NamesOrProgram)
    text += is_it + " -a '(__cohort_names)' -d application\n";
  if (operands.kind == Kind::Program || operands.kind == Kind::NamesOrProgram ||
      operands.kind == Kind::Files)
    text += is_it + " -F\n";
  if (!operands.words.empty()) text += is_it + " -a '" + operands.words + "'\n";
  return text;
}

constexpr const char* kFish =
    R"sh(# Completion of `cohort` for fish, printed by `cohort completion fish`.
function __cohort_names
    cohort ls 2>/dev/null | awk 'NR > 1 { print $1 }'
end
function __cohort_is
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end
# Behind PROGRAM, or --, come words that are not ours.
function __cohort_options_of
    __cohort_is $argv; or return 1
    set -l words (commandline -opc)
    set -l is_value no
    set -e words[1..2]
    for word in $words
        if test $is_value = yes
            set is_value no
        else if contains -- $word @valued@
            set is_value yes
        else if test "$word" = --
            return 1
        else if not string match -q -- '-*' "$word"
            contains -- $argv[1] @programs@; and return 1
        end
    end
    return 0
end
complete -c cohort -f
complete -c cohort -n 'test (count (commandline -opc)) -eq 1' -l help -d 'The commands.'
complete -c cohort -n 'test (count (commandline -opc)) -eq 1' -l version -d 'The version of cohort.'
@names@@commands@)sh";

}  // namespace

std::string bash_completion(const Commands& commands) {
  std::string script = kBash, cases, values;
  for (const Completed& each : commands) {
    const std::string operands = bash_operands(operands_of(each.page, commands));
    const bool has_program = operands == "program" || operands == "names-or-program";
    cases += "    " + each.name + ") options='" + bash_options(each, commands, has_program) +
             "' operands='" + operands + "' ;;\n";
  }
  for (const HelpOption& option : valued(commands))
    values += "    " + pattern_of(option) + ") " + bash_value(option) + " ;;\n";
  put(script, "commands", cases);
  put(script, "names", names_in(commands));
  put(script, "valued", patterns(valued(commands)));
  put(script, "values", values);
  return script;
}

std::string zsh_completion(const Commands& commands) {
  std::string script = kZsh, names, cases;
  for (const Completed& each : commands) {
    names += "        '" + each.name + ':' + zsh_text(each.summary, ":\\") + "'\n";
    cases += zsh_command(each, commands);
  }
  put(script, "names", names);
  put(script, "commands", cases);
  return script;
}

std::string fish_completion(const Commands& commands) {
  std::string script = kFish, names, lines, with_value, programs;
  for (const Completed& each : commands) {
    names += "complete -c cohort -n 'test (count (commandline -opc)) -eq 1' -a " + each.name +
             " -d " + fish_text(each.summary) + '\n';
    lines += fish_command(each, commands);
    if (operands_of(each.page, commands).kind == Operands::Kind::Program)
      programs += (programs.empty() ? "" : " ") + each.name;
  }
  for (const HelpOption& option : valued(commands))
    with_value += (with_value.empty() ? "" : " ") +
                  (option.letter.empty() ? option.name : option.letter + ' ' + option.name);
  put(script, "names", names);
  put(script, "commands", lines);
  put(script, "valued", with_value);
  put(script, "programs", programs);
  return script;
}

}  // namespace cohort::cli
