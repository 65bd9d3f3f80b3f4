#include "map/command_template.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

namespace cohort::map {
namespace {

// What is special to a shell wherever it stands, and what it is called as a command without being a
// program.
constexpr std::string_view kSpecial = "|&;<>()$`\\\"'*?[]#~=%!{}\n";
constexpr std::string_view kBuiltins[] = {
    ":",     ".",    "alias",    "bg",     "break",   "cd",      "command", "continue",
    "eval",  "exec", "exit",     "export", "fg",      "getopts", "hash",    "jobs",
    "local", "read", "readonly", "return", "set",     "shift",   "source",  "times",
    "trap",  "type", "ulimit",   "umask",  "unalias", "unset",   "wait"};

bool is_plain(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= '0' && byte <= '9') ||
         std::string_view{"_-./,:+@^"}.find(byte) != std::string_view::npos;
}

std::string base_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == path.npos ? path : path.substr(slash + 1);
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// `.x` at the end, of a name that has something behind its last dot.
std::string without_extension(const std::string& path) {
  const auto dot = path.rfind('.');
  if (dot == path.npos || dot + 1 == path.size() || path.find('/', dot) != path.npos) return path;
  return path.substr(0, dot);
}

std::vector<std::string> words_at_blanks(std::string_view text) {
  std::vector<std::string> words;
  while (true) {
    const auto begin = text.find_first_not_of(" \t");
    if (begin == text.npos) return words;
    const auto end = std::min(text.find_first_of(" \t", begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    text.remove_prefix(end);
  }
}

}  // namespace

std::string shell_quoted(std::string_view word) {
  if (!word.empty() && std::all_of(word.begin(), word.end(), is_plain)) return std::string{word};
  std::string quoted = "'";
  for (const char byte : word) byte == '\'' ? quoted += "'\\''" : quoted += byte;
  return quoted + '\'';
}

// `{}`, `{2/.}`, `{#}` at the beginning of a text.
std::optional<CommandTemplate::Slot> CommandTemplate::slot_at(std::string_view text,
                                                              std::size_t& length) {
  if (!text.starts_with('{')) return std::nullopt;
  const auto end = text.find('}');
  if (end == text.npos) return std::nullopt;
  std::string_view within = text.substr(1, end - 1);
  length = end + 1;
  Slot slot;
  const auto [rest, error] =
      std::from_chars(within.data(), within.data() + within.size(), slot.index);
  const bool is_numbered = error == std::errc{};
  if (is_numbered && slot.index == 0) return std::nullopt;
  within.remove_prefix(static_cast<std::size_t>(rest - within.data()));
  constexpr std::pair<std::string_view, Part> kParts[] = {
      {"", Part::Whole},       {".", Part::NoExtension},      {"/", Part::Base},
      {"//", Part::Directory}, {"/.", Part::BaseNoExtension}, {"#", Part::Job},
      {"%", Part::Place}};
  const auto found = std::find_if(std::begin(kParts), std::end(kParts),
                                  [&](const auto& each) { return each.first == within; });
  if (found == std::end(kParts)) return std::nullopt;
  slot.part = found->second;
  const bool is_count = slot.part == Part::Job || slot.part == Part::Place;
  return is_numbered && is_count ? std::nullopt : std::optional{slot};
}

CommandTemplate::Word CommandTemplate::word_of(std::string_view text) {
  Word word;
  std::string plain;
  while (!text.empty()) {
    std::size_t length = 1;
    if (const auto slot = slot_at(text, length)) {
      if (!plain.empty()) word.emplace_back(std::exchange(plain, {}));
      word.emplace_back(*slot);
    } else {
      plain += text.front();
      length = 1;
    }
    text.remove_prefix(length);
  }
  if (!plain.empty() || word.empty()) word.emplace_back(std::move(plain));
  return word;
}

// The same, and what quotes each slot is within: `$(` and `(` begin a text of their own.
CommandTemplate::Word CommandTemplate::text_of(std::string_view text) {
  Word word;
  std::string plain;
  std::vector<Quotes> within{Quotes::None};
  while (!text.empty()) {
    std::size_t length = 1;
    if (auto slot = slot_at(text, length)) {
      slot->within = within.back();
      if (!plain.empty()) word.emplace_back(std::exchange(plain, {}));
      word.emplace_back(*slot);
      text.remove_prefix(length);
      continue;
    }
    length = 1;
    const char byte = text.front();
    Quotes& now = within.back();
    if (byte == '\\' && now != Quotes::Single)
      length = std::min<std::size_t>(2, text.size());
    else if (byte == '\'' && now != Quotes::Double)
      now = now == Quotes::Single ? Quotes::None : Quotes::Single;
    else if (byte == '"' && now != Quotes::Single)
      now = now == Quotes::Double ? Quotes::None : Quotes::Double;
    else if (text.starts_with("$(") && now != Quotes::Single)
      within.push_back(Quotes::None), length = 2;
    else if (byte == '(' && now == Quotes::None)
      within.push_back(Quotes::None);
    else if (byte == ')' && now == Quotes::None && within.size() > 1)
      within.pop_back();
    plain += text.substr(0, length);
    text.remove_prefix(length);
  }
  if (!plain.empty()) word.emplace_back(std::move(plain));
  return word;
}

bool CommandTemplate::has_slot(const Word& word) {
  return std::any_of(word.begin(), word.end(),
                     [](const Piece& piece) { return std::holds_alternative<Slot>(piece); });
}

Result<CommandTemplate> CommandTemplate::parse(const std::vector<std::string>& words,
                                               bool each_in_context, bool takes_arguments) {
  const auto wrong = [](const char* what) {
    return make_error(Errc::InvalidArgument, "read the command", what);
  };
  CommandTemplate result;
  result.each_in_context_ = each_in_context;
  std::vector<std::string> program = words;
  if (words.size() == 1) {
    // What stands in the slots matters to no shell.
    std::string rest;
    for (const Piece& piece : word_of(words.front()))
      if (const auto* plain = std::get_if<std::string>(&piece))
        rest += *plain;
      else
        rest += 'x';
    program = words_at_blanks(words.front());
    const bool is_builtin =
        !program.empty() && std::find(std::begin(kBuiltins), std::end(kBuiltins),
                                      program.front()) != std::end(kBuiltins);
    result.is_shell_ = is_builtin || rest.find_first_of(kSpecial) != rest.npos;
  }
  if (program.empty() || program.front().empty()) return wrong("there is none");
  if (result.is_shell_ && each_in_context)
    return wrong("-X repeats words: give the command as several, or leave -X out");

  if (result.is_shell_)
    result.words_.push_back(text_of(words.front()));
  else
    for (const std::string& word : program) result.words_.push_back(word_of(word));
  if (!takes_arguments || std::any_of(result.words_.begin(), result.words_.end(), has_slot))
    return result;
  if (result.is_shell_)
    result.words_.front().insert(result.words_.front().end(),
                                 {Piece{std::string{" "}}, Piece{Slot{}}});
  else
    result.words_.push_back(Word{Slot{}});
  return result;
}

std::vector<std::string> CommandTemplate::values_of(const Slot& slot, const JobArguments& job) {
  if (slot.part == Part::Job) return {std::to_string(job.number)};
  if (slot.part == Part::Place) return {std::to_string(job.place)};
  std::vector<std::string> values = job.values;
  if (slot.index > 0)
    values = {slot.index <= values.size() ? values[slot.index - 1] : std::string{}};
  for (std::string& value : values) {
    if (slot.part == Part::Directory) value = directory_of(value);
    if (slot.part == Part::Base || slot.part == Part::BaseNoExtension) value = base_of(value);
    if (slot.part == Part::NoExtension || slot.part == Part::BaseNoExtension)
      value = without_extension(value);
  }
  return values;
}

std::string CommandTemplate::joined(const Word& word, const JobArguments& job) {
  std::string text;
  for (const Piece& piece : word) {
    if (const auto* plain = std::get_if<std::string>(&piece)) {
      text += *plain;
      continue;
    }
    const char* between = "";
    for (const std::string& value : values_of(std::get<Slot>(piece), job)) {
      text += between + value;
      between = " ";
    }
  }
  return text;
}

void CommandTemplate::expand(const Word& word, const JobArguments& job,
                             std::vector<std::string>& argv) const {
  const auto of_all = [](const Piece& piece) {
    const auto* slot = std::get_if<Slot>(&piece);
    return slot != nullptr && slot->index == 0 && slot->part != Part::Job &&
           slot->part != Part::Place;
  };
  if (word.size() == 1 && of_all(word.front())) {
    for (std::string& value : values_of(std::get<Slot>(word.front()), job))
      argv.push_back(std::move(value));
  } else if (each_in_context_ && std::any_of(word.begin(), word.end(), of_all)) {
    for (const std::string& value : job.values)
      argv.push_back(joined(word, {job.number, job.place, {value}}));
  } else {
    argv.push_back(joined(word, job));
  }
}

// The arguments never are part of the text: `"$1"` is one word of one command, whatever it has.
std::vector<std::string> CommandTemplate::shell_argv(const Word& text, const JobArguments& job) {
  std::vector<std::string> parameters;
  std::string script;
  for (const Piece& piece : text) {
    if (const auto* plain = std::get_if<std::string>(&piece)) {
      script += *plain;
      continue;
    }
    const Slot& slot = std::get<Slot>(piece);
    const char* between = "";
    for (std::string& value : values_of(slot, job)) {
      parameters.push_back(std::move(value));
      const std::string name = "${" + std::to_string(parameters.size()) + '}';
      script += between;
      switch (slot.within) {
        case Quotes::None:
          script += '"' + name + '"';
          break;
        case Quotes::Single:
          script += "'\"" + name + "\"'";
          break;
        case Quotes::Double:
          script += name;
          break;
      }
      between = " ";
    }
  }
  std::vector<std::string> argv{"sh", "-c", std::move(script), "sh"};
  std::move(parameters.begin(), parameters.end(), std::back_inserter(argv));
  return argv;
}

std::vector<std::string> CommandTemplate::argv(const JobArguments& job) const {
  if (is_shell_) return shell_argv(words_.front(), job);
  std::vector<std::string> argv;
  for (const Word& word : words_) expand(word, job, argv);
  return argv;
}

std::string CommandTemplate::shown(const JobArguments& job) const {
  std::string text;
  if (is_shell_) {
    for (const Piece& piece : words_.front()) {
      const auto* plain = std::get_if<std::string>(&piece);
      if (plain != nullptr) {
        text += *plain;
        continue;
      }
      Slot slot = std::get<Slot>(piece);
      const char* between = "";
      for (const std::string& value : values_of(slot, job)) {
        text += between + (slot.within == Quotes::None ? shell_quoted(value) : value);
        between = " ";
      }
    }
    return text;
  }
  for (const std::string& word : argv(job)) text += (text.empty() ? "" : " ") + shell_quoted(word);
  return text;
}

}  // namespace cohort::map
