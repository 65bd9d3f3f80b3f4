// The `cohort` command. Everything that it does is in src/cli, which is tested there.
#include <cstdio>
#include <string>
#include <variant>
#include <vector>

#include "cli/import.h"
#include "cli/map_command.h"
#include "cli/options.h"
#include "cli/run.h"
#include "cli/sim.h"
#include "cli/start.h"
#include "cli/unit_file.h"
#include "cli/verb.h"
#include "cli/verify_reload.h"

int main(int argc, char** argv) {
  namespace cli = cohort::cli;
  const auto parsed = cli::parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
  if (const auto* options = std::get_if<cli::RunOptions>(&parsed)) return cli::run(*options);
  if (const auto* options = std::get_if<cli::StartOptions>(&parsed)) return cli::start(*options);
  if (const auto* options = std::get_if<cli::VerbOptions>(&parsed)) return cli::run(*options);
  if (const auto* options = std::get_if<cli::UnitOptions>(&parsed)) return cli::run(*options);
  if (const auto* options = std::get_if<cli::VerifyOptions>(&parsed)) return cli::run(*options);
  if (const auto* options = std::get_if<cli::ImportOptions>(&parsed)) return cli::run(*options);
  if (const auto* options = std::get_if<cli::SimOptions>(&parsed)) return cli::run(*options);
  if (const auto* options = std::get_if<cli::MapOptions>(&parsed)) return cli::run(*options);
  const auto& answer = std::get<cli::Answer>(parsed);
  std::fputs(answer.text.c_str(), answer.code == 0 ? stdout : stderr);
  return answer.code;
}
