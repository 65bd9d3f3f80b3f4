#include "cli/shell_command.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace cohort::cli {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kSeveralCommands = "|&;()\n`";
constexpr std::string_view kExpanded = "<>$*?[]";

// What is no program, or no program that could stand behind `exec`.
constexpr std::array<std::string_view, 20> kOfShell{
    ".",  "!",   "[",     "{",     "case", "cd",    "command", "eval", "exec",   "export",
    "if", "for", "until", "while", "set",  "unset", "source",  "trap", "ulimit", "umask"};

bool is_one_of(std::string_view word, const auto& list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool may_be_in_variable(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// `$PORT` at the front; `$` for `$(`, `${`...
std::string_view variable_at(std::string_view text) {
  std::size_t end = 1;
  while (end < text.size() && may_be_in_variable(text[end])) ++end;
  return text.substr(0, end);
}

// `&&` at the front, or the one character.
std::string_view operator_at(std::string_view text) {
  const bool doubled = text.size() > 1 && text[0] == text[1] && (text[0] == '&' || text[0] == '|');
  return text.substr(0, doubled ? 2 : 1);
}

class CommandScan {
 public:
  explicit CommandScan(std::string_view text) : text_{text} {
    for (; at_ < text_.size(); ++at_) step();
    if (quote_ != 0) needs("a quote without an end");
  }

  struct Word {
    std::string text{};
    std::size_t begin = 0;
  };
  std::vector<Word> words{};
  std::string special{};  ///< The first thing that only a shell understands.
  bool several = false;   ///< More than one command.

  bool has_open_quote() const { return quote_ != 0; }

 private:
  void step() {
    const char c = text_[at_];
    if (quote_ == '\'') return c == quote_ ? void(quote_ = 0) : add(c);
    if (c == '\\' && text_.substr(at_ + 1).starts_with('\n')) needs("a second line");
    if (c == '\\' && escapes_next()) return add(text_[++at_]);
    if (quote_ == '"') return in_double_quotes(c);
    if (kBlanks.find(c) != kBlanks.npos) return void(in_word_ = false);
    if (c == '\'' || c == '"') {
      begin_word();
      return void(quote_ = c);
    }
    if (kSeveralCommands.find(c) != kSeveralCommands.npos) {
      several = true;
      needs(operator_at(text_.substr(at_)));
    }
    const bool begins = !in_word_ || (c == '~' && (text_[at_ - 1] == '=' || text_[at_ - 1] == ':'));
    if (kExpanded.find(c) != kExpanded.npos || (begins && c == '~') || (!in_word_ && c == '#'))
      needs(variable_or_char());
    add(c);
  }
  void in_double_quotes(char c) {
    if (c == '"') return void(quote_ = 0);
    if (c == '`') several = true;
    if (c == '$' || c == '`') needs(variable_or_char());
    add(c);
  }
  bool escapes_next() const {
    constexpr std::string_view kInQuotes = "\"\\$`";
    if (at_ + 1 == text_.size()) return false;
    return quote_ == 0 || kInQuotes.find(text_[at_ + 1]) != kInQuotes.npos;
  }
  std::string_view variable_or_char() const {
    return text_[at_] == '$' ? variable_at(text_.substr(at_)) : text_.substr(at_, 1);
  }
  void needs(std::string_view what) {
    if (special.empty()) special = what == "\n" ? "a second line" : what;
  }
  void begin_word() {
    if (!in_word_) words.push_back({.begin = at_});
    in_word_ = true;
  }
  void add(char c) {
    begin_word();
    words.back().text += c;
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  bool in_word_ = false;
  char quote_ = 0;
};

}  // namespace

bool is_assignment(std::string_view word) {
  std::size_t end = 0;
  while (end < word.size() && may_be_in_variable(word[end])) ++end;
  return end > 0 && end < word.size() && word[end] == '=' &&
         std::isdigit(static_cast<unsigned char>(word[0])) == 0;
}

std::optional<std::vector<std::string>> quoted_words(std::string_view text) {
  CommandScan scan{text};
  if (scan.has_open_quote()) return std::nullopt;
  std::vector<std::string> words;
  for (auto& word : scan.words) words.push_back(std::move(word.text));
  return words;
}

ShellCommand read_shell_command(std::string_view text) {
  CommandScan scan{text};
  ShellCommand command;
  auto first = scan.words.begin();
  while (first != scan.words.end() && is_assignment(text.substr(first->begin))) ++first;
  if (first == scan.words.end() && scan.special.empty()) return command;
  const bool has_assignment = first != scan.words.begin();
  // `exec node server.js` needs no shell: that is how it is run anyway.
  const bool has_exec =
      first != scan.words.end() && first->text == "exec" && scan.words.end() - first > 1;
  if (has_exec) ++first;
  if (first != scan.words.end() && is_one_of(first->text, kOfShell)) {
    if (scan.special.empty()) scan.special = first->text;
    scan.several = true;
  }
  if (!scan.special.empty()) {
    const bool becomes_it = !scan.several && !scan.has_open_quote() && !has_assignment && !has_exec;
    command.needs_shell = scan.special;
    command.words = {"sh", "-c", (becomes_it ? "exec " : "") + std::string{text}};
    return command;
  }
  for (auto word = scan.words.begin(); word != first; ++word) {
    const std::size_t equals = word->text.find('=');
    if (equals != std::string::npos)  // else it is `exec`
      command.env.emplace_back(word->text.substr(0, equals), word->text.substr(equals + 1));
  }
  for (; first != scan.words.end(); ++first) command.words.push_back(std::move(first->text));
  return command;
}

}  // namespace cohort::cli
