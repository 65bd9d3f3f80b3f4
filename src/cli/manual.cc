#include "cli/manual.h"

#include <algorithm>
#include <cctype>

namespace cohort::cli {
namespace {

std::string request(const std::string& name, const std::string& text = {}) {
  return '.' + name + (text.empty() ? "" : ' ' + text) + '\n';
}

std::string roff_lines(const HelpPage::Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += roff(line) + '\n';
  return text;
}

// Lines that stay as they are.
std::string as_typed(const HelpPage::Lines& lines) {
  return request("nf") + roff_lines(lines) + request("fi");
}

std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }

// `cohort run [OPTION...] PROGRAM`: the words that are typed as they are come first.
std::string synopsis(const std::string& usage) {
  std::size_t end = 0;
  while (end < usage.size() && (std::islower(static_cast<unsigned char>(usage[end])) != 0 ||
                                usage[end] == ' ' || usage[end] == '-' || usage[end] == '|'))
    ++end;
  while (end > 0 && end < usage.size() && usage[end - 1] == ' ') --end;
  return bold(usage.substr(0, end)) + roff(usage.substr(end)) + '\n';
}

std::string option_text(const HelpOption& option) {
  std::string text = request("TP");
  if (!option.letter.empty()) text += bold(option.letter) + ", ";
  text += bold(option.name);
  if (!option.value.empty()) text += " \\fI" + roff(option.value) + "\\fR";
  text += '\n' + roff(option.prose()) + '\n';
  const auto list = option.list();
  return list.empty() ? text : text + as_typed(list);
}

std::string description_text(const HelpPage& page) {
  std::string text;
  for (const HelpPage::Lines& lines : page.paragraphs) {
    if (!text.empty()) text += request("PP");
    text += lines.front().starts_with(' ') ? as_typed(lines) : roff_lines(lines);
  }
  return text;
}

std::string command_texts(const HelpPage& page) {
  std::string text;
  for (const HelpCommand& command : commands_of(page))
    text += request("TP") + "\\fBcohort\\-" + roff(command.name) + "\\fR(1)\n" +
            roff(command.summary) + '\n';
  return text;
}

}  // namespace

std::string roff(std::string_view text) {
  std::string result = text.starts_with('.') || text.starts_with('\'') ? "\\&" : "";
  for (const char c : text) {
    if (c == '\\')
      result += "\\e";
    else if (c == '-')
      result += "\\-";
    else if (c == '`')
      result += "\\(ga";
    else if (c == '\'')
      result += "\\(aq";
    else if (c == '~')
      result += "\\(ti";
    else if (c == '^')
      result += "\\(ha";
    else
      result += c;
  }
  return result;
}

std::string man_page(const ManTitle& title, const HelpPage& page) {
  std::string upper = title.name;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string text = request("TH", roff(upper) + ' ' + std::to_string(title.section) + " \"\" \"" +
                                       roff(title.version) + "\" cohort") +
                     request("SH", "NAME") + roff(title.name) + " \\- " + roff(title.summary) +
                     '\n';
  if (title.section == 1) {
    text += request("SH", "SYNOPSIS") + request("nf");
    for (const std::string& usage : page.usage) text += synopsis(usage);
    text += request("fi");
  }
  text += request("SH", "DESCRIPTION") + description_text(page);
  if (!page.commands.empty()) text += request("SH", "COMMANDS") + command_texts(page);
  if (!page.options.empty() || page.takes_options_of_run) text += request("SH", "OPTIONS");
  for (const HelpOption& option : page.options) text += option_text(option);
  if (page.takes_options_of_run) text += request("PP") + "And those of \\fBcohort\\-run\\fR(1).\n";
  if (!page.exit_codes.empty()) text += request("SH", "EXIT STATUS") + roff_lines(page.exit_codes);
  if (!page.examples.empty()) text += request("SH", "EXAMPLES") + as_typed(page.examples);
  return text + request("SH", "SEE ALSO") +
         "\\fBcohort\\fR(1), \\fBcohort\\-run\\fR(1), \\fBcohort.toml\\fR(5)\n";
}

}  // namespace cohort::cli
