#include "cli/help_page.h"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <utility>

namespace cohort::cli {
namespace {

constexpr int kScreenLines = 24;
constexpr std::size_t kScreenWidth = 80, kOptionColumn = 26;

std::size_t margin_of(std::string_view line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

std::vector<std::string> lines_in(std::string_view text) {
  std::istringstream in{std::string{text}};
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<HelpPage::Lines> blocks_in(std::string_view text) {
  std::vector<HelpPage::Lines> blocks;
  bool between = true;
  for (std::string& line : lines_in(text)) {
    if (std::exchange(between, line.empty()) && !line.empty()) blocks.emplace_back();
    if (!line.empty()) blocks.back().push_back(std::move(line));
  }
  return blocks;
}

// Without what all of them begin with.
HelpPage::Lines without_margin(HelpPage::Lines lines) {
  std::size_t margin = std::string::npos;
  for (const std::string& line : lines) margin = std::min(margin, margin_of(line));
  for (std::string& line : lines) line.erase(0, std::min(margin, line.size()));
  return lines;
}

// `  -w, --workers N|auto    How many workers.`
HelpOption option_of(HelpPage::Lines raw) {
  HelpOption option;
  option.raw = std::move(raw);
  std::string_view rest = option.raw.front();
  rest.remove_prefix(margin_of(rest));
  const auto word = [&rest] {
    const std::string_view one = rest.substr(0, rest.find(' '));
    rest.remove_prefix(one.size());
    return std::string{one};
  };
  option.name = word();
  if (option.name.ends_with(',')) {
    option.letter = option.name.substr(0, option.name.size() - 1);
    rest.remove_prefix(margin_of(rest));
    option.name = word();
  }
  if (margin_of(rest) == 1) {
    rest.remove_prefix(1);
    option.value = word();
  }
  rest.remove_prefix(margin_of(rest));
  option.text = without_margin({option.raw.begin() + 1, option.raw.end()});
  if (!rest.empty()) option.text.insert(option.text.begin(), std::string{rest});
  return option;
}

bool begins_option(std::string_view line) {
  const std::size_t margin = margin_of(line);
  return margin < kOptionColumn && line.substr(margin).starts_with('-');
}

void read_options(const HelpPage::Lines& lines, HelpPage& page) {
  std::vector<HelpPage::Lines> found;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].find("those of `cohort run`") != std::string::npos)
      page.takes_options_of_run = true;
    else if (found.empty() || begins_option(lines[i]))
      found.push_back({lines[i]});
    else
      found.back().push_back(lines[i]);
  }
  for (HelpPage::Lines& raw : found) page.options.push_back(option_of(std::move(raw)));
}

bool begins_list(std::string_view line) {
  const std::size_t end = line.find(' ');
  return end != 0 && end != std::string::npos && line.substr(end).starts_with("  ");
}

// Where the list below the prose begins.
std::size_t end_of_prose(const HelpPage::Lines& text) {
  for (std::size_t i = 1; i < text.size(); ++i)
    if (text[i - 1].ends_with(':') && begins_list(text[i])) return i;
  return text.size();
}

std::string joined(HelpPage::Lines::const_iterator from, HelpPage::Lines::const_iterator to) {
  std::string text;
  for (; from != to; ++from) text += (text.empty() ? "" : " ") + *from;
  return text;
}

std::vector<std::string> sentences_of(const std::string& text) {
  std::vector<std::string> sentences;
  std::size_t from = 0;
  for (auto end = text.find(". "); end != std::string::npos; end = text.find(". ", end + 1)) {
    if (std::islower(static_cast<unsigned char>(text[end + 2]))) continue;
    sentences.push_back(text.substr(from, end + 1 - from));
    from = end + 2;
  }
  sentences.push_back(text.substr(from));
  return sentences;
}

// `line`, then the text from a column on, in lines that are no wider than a screen.
std::string wrapped(std::string line, std::size_t column, const std::string& text) {
  if (column > 0) line.resize(std::max(line.size() + 1, column), ' ');
  std::string result;
  bool begun = false;
  std::istringstream words{text};
  for (std::string word; words >> word; begun = true) {
    if (begun && line.size() + 1 + word.size() > kScreenWidth) {
      result += line + '\n';
      line = std::string(column, ' ');
      begun = false;
    }
    line += (begun ? " " : "") + word;
  }
  return result + line + '\n';
}

std::string line_of(const HelpOption& option) {
  std::string line = option.letter.empty() ? "      " : "  " + option.letter + ", ";
  line += option.name + (option.value.empty() ? "" : ' ' + option.value);
  std::string text = option.summary();
  if (!option.list().empty()) {
    text += ':';
    for (const std::string& choice : option.choices()) text += ' ' + choice + ',';
    text.back() = '.';
  }
  return wrapped(std::move(line), kOptionColumn, text);
}

// `run`, of `cohort run [OPTION...]`.
std::string command_of(const HelpPage& page) {
  std::istringstream words{page.usage.front()};
  std::string cohort, command;
  words >> cohort >> command;
  return command;
}

}  // namespace

std::string HelpOption::prose() const {
  return joined(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end_of_prose(text)));
}

std::vector<std::string> HelpOption::list() const {
  return {text.begin() + static_cast<std::ptrdiff_t>(end_of_prose(text)), text.end()};
}

std::string HelpOption::summary() const {
  const auto sentences = sentences_of(prose());
  std::string all = sentences.front();
  if (all.ends_with(':')) all.pop_back();
  for (std::size_t i = 1; i < sentences.size(); ++i)
    if (sentences[i].starts_with("Default: ")) all += ' ' + sentences[i];
  return all;
}

std::vector<std::string> HelpOption::choices() const {
  std::vector<std::string> words;
  for (const std::string& line : list())
    if (begins_list(line)) words.push_back(line.substr(0, line.find(' ')));
  std::istringstream parts{value};
  for (std::string part; value.find('|') != std::string::npos && std::getline(parts, part, '|');)
    if (std::islower(static_cast<unsigned char>(part.front()))) words.push_back(part);
  return words;
}

const HelpOption* HelpPage::option(std::string_view name) const {
  const auto found = std::find_if(options.begin(), options.end(),
                                  [&](const HelpOption& each) { return each.name == name; });
  return found == options.end() ? nullptr : &*found;
}

HelpPage parse_help(std::string_view text) {
  constexpr std::string_view kUsage = "Usage: ";
  HelpPage page;
  for (HelpPage::Lines& block : blocks_in(text)) {
    const std::string first = block.front();
    if (first.starts_with(kUsage)) {
      for (const std::string& line : block) page.usage.push_back(line.substr(kUsage.size()));
    } else if (first == "Options:") {
      read_options(block, page);
    } else if (first == "Commands:" || first.starts_with("Example")) {
      block.erase(block.begin());
      (first == "Commands:" ? page.commands : page.examples) = without_margin(std::move(block));
    } else if (first.starts_with("Exit codes:")) {
      page.exit_codes = std::move(block);
    } else {
      page.paragraphs.push_back(std::move(block));
    }
  }
  return page;
}

std::vector<HelpCommand> commands_of(const HelpPage& page) {
  std::vector<HelpCommand> commands;
  for (const std::string& line : page.commands) {
    const std::size_t end = std::min(line.find(' '), line.size());
    commands.push_back({line.substr(0, end), line.substr(end + margin_of(line.substr(end)))});
  }
  return commands;
}

std::string for_screen(const std::string& text) {
  if (std::count(text.begin(), text.end(), '\n') <= kScreenLines) return text;
  const HelpPage page = parse_help(text);
  std::string shown;
  for (const std::string& line : page.usage)
    shown += (shown.empty() ? "Usage: " : "       ") + line + '\n';
  if (!page.paragraphs.empty()) {
    const auto& first = page.paragraphs.front();
    shown += '\n' + wrapped({}, 0, sentences_of(joined(first.begin(), first.end())).front());
  }
  shown += "\nOptions:\n";
  for (const HelpOption& option : page.options) shown += line_of(option);
  if (page.takes_options_of_run) shown += "      and those of `cohort run` (cohort run --help)\n";
  if (!page.examples.empty()) shown += "\nExamples:\n";
  for (const std::string& line : page.examples) shown += "  " + line + '\n';
  const std::string command = command_of(page);
  return shown + "\nAll of it, and the exit codes: cohort help " + command + ", or man cohort-" +
         command + '\n';
}

std::string help_of_config(std::string_view help_of_run, const std::vector<std::string>& keys) {
  std::string text =
      R"(Usage: cohort.toml

The applications of a folder. Each table is one, and its name is what the verbs
call it. `cohort start` starts them in the background, `cohort run` runs them in
the foreground, and a reload reads the file again.

  [shop]
  program = "server.js"
  args = ["--port", 3000]
  workers = 4
  env = {NODE_ENV = "production"}

program is what `cohort run PROGRAM` takes: a script, a program, a directory. It
has to be there. args are its arguments.

All other keys are these options of `cohort run`, without the dashes: grace = 30
is --grace 30. Those that take no value are true or false here. Those that may
be repeated take a list, and env also a table. cwd is the folder of the file by
itself, and counts from there.

Options:
)";
  for (const HelpOption& option : parse_help(help_of_run).options)
    if (std::find(keys.begin(), keys.end(), option.name) != keys.end())
      for (const std::string& line : option.raw) text += line + '\n';
  return text;
}

}  // namespace cohort::cli
