#include "base/command_line.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

namespace cohort {

std::vector<std::string> parse_words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\0'), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

std::string shell_word(const std::string& word) {
  constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
  if (!word.empty() && word.find_first_not_of(kSafe) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + '\'';
}

std::string join_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ' ';
    text += shell_word(word);
  }
  return text;
}

bool is_shell(std::string_view program) {
  constexpr std::string_view kShells[] = {"sh", "dash", "bash", "zsh", "ksh", "ash", "busybox"};
  return std::find(std::begin(kShells), std::end(kShells), program) != std::end(kShells);
}

std::string command_text(std::vector<std::string> words) {
  if (!words.empty())
    if (std::string name = std::filesystem::path{words.front()}.filename(); !name.empty())
      words.front() = std::move(name);
  return join_words(words);
}

}  // namespace cohort
