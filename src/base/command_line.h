// Command lines, as /proc has them and as people type them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cohort {

/// `/proc/PID/cmdline`: words that end in NUL.
std::vector<std::string> parse_words(std::string_view text);

/// As one would type it: quoted where a shell needs it.
std::string shell_word(const std::string& word);
std::string join_words(const std::vector<std::string>& words);

/// By the name of its program, without the folder: sh, dash, bash...
bool is_shell(std::string_view program);

/// `node server.js`: the program without its folder.
std::string command_text(std::vector<std::string> words);

}  // namespace cohort
