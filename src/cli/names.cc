#include "cli/names.h"

#include <filesystem>

#include "cli/direct_command.h"
#include "manager/runtime_directory.h"

namespace cohort::cli {

std::vector<std::string> words_of(const RunOptions& options) {
  std::vector<std::string> words{options.program};
  words.insert(words.end(), options.args.begin(), options.args.end());
  return words;
}

std::string name_of(const RunOptions& options) {
  if (!options.name.empty()) return options.name;
  std::error_code error;
  // Of `npm start` it is the directory's, as of `cohort run .`.
  const bool is_of_package = is_runner(options.program);
  const bool runs_a_script = options.program.find('/') == std::string::npos &&
                             !options.args.empty() &&
                             std::filesystem::is_regular_file(options.args.front(), error);
  const std::string program = runs_a_script   ? options.args.front()
                              : is_of_package ? "."
                                              : options.program;
  const auto path = std::filesystem::absolute(program, error);
  return manager::name_of_program(path.lexically_normal().string());
}

}  // namespace cohort::cli
