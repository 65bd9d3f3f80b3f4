#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/import.h"

namespace cohort::cli {
namespace {

constexpr const char* kImportHelp =
    R"(Usage: cohort import [-o FILE] [--env NAME] [FILE]

Prints a cohort.toml that runs what FILE describes: a pm2 ecosystem file
(ecosystem.config.js, .cjs, .mjs or .json), or a Procfile. Without FILE: the one
in this folder. What has no counterpart is named with the reason, in the result
and on stderr; nothing is left out in silence.

Options:
  -o, --output FILE       Writes it there, if that is not there yet.
      --force             Replaces what is there.
      --env NAME          Takes env_NAME too, as pm2 start --env NAME does.
  -h, --help              This text.

A file in JavaScript is run by the `node` of PATH.

Examples:
  cohort import -o cohort.toml && cohort start
  cohort import --env production ecosystem.config.js

Exit codes: 0 done, 100 the command line or FILE is wrong, 111 it cannot be
written.
)";

Answer import_usage_error(const std::string& what) {
  return {kExitPermanent, "cohort: " + what + "\nTry: cohort import --help\n"};
}

}  // namespace

std::variant<ImportOptions, Answer> parse_import(const std::vector<std::string>& arguments) {
  CLI::App app;
  app.set_help_flag();
  ImportOptions options;
  std::vector<std::string> files;
  bool help = false;
  app.add_option("file", files);
  app.add_option("-o,--output", options.output);
  app.add_option("--env", options.env);
  app.add_flag("--force", options.force);
  app.add_flag("-h,--help", help);
  try {
    app.parse(std::vector<std::string>{arguments.rbegin(), arguments.rend()});
  } catch (const CLI::ParseError& error) {
    return import_usage_error(error.what());
  }
  if (help) return Answer{0, kImportHelp};
  if (files.size() > 1) return import_usage_error("one file at a time");
  if (!files.empty()) options.file = files.front();
  if (options.force && options.output.empty())
    return import_usage_error("--force is for --output, which is not there");
  return options;
}

}  // namespace cohort::cli
