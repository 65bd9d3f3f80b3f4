#include "cli/options.h"

#include "cli/import.h"
#include "cli/run_options.h"
#include "cli/start.h"
#include "cli/unit_file.h"
#include "cli/verb.h"
#include "cli/verify_reload.h"

namespace cohort::cli {
namespace {

constexpr const char* kHelp =
    R"(Usage: cohort run|start [OPTION...] PROGRAM [ARG...]
       cohort run|start               the applications of cohort.toml
       cohort ls|status|reload|scale|stop|events|why... [NAME] [OPTION...]
       cohort systemd [OPTION...] PROGRAM [ARG...]
       cohort verify-reload [OPTION...] [NAME | -- PROGRAM [ARG...]]
       cohort import [OPTION...] [FILE]
       cohort doctor [--json]
       cohort --help | --version

cohort runs one server on every core: a primary process owns the port, workers
share it, and those that die are replaced.

Commands:
  run      Run PROGRAM in the foreground, on several CPUs
  start    The same in the background
  ls       List what runs
  status   Show one of them: its workers, its ports
  reload   Replace its workers by new ones, and lose no request
  scale    Change how many workers it has
  recycle  Replace one worker
  restart  Stop it and start it again
  stop     Stop it: what is being served finishes
  kill     Send a signal to one worker
  events   Show what has happened; -f goes on
  why      Show how its workers ended
  doctor   Check what this machine, container and user allow
  systemd  Print a unit file: a service that runs PROGRAM so
  import   Make a cohort.toml of a pm2 ecosystem file or a Procfile

  verify-reload  Reload it under load, and count the requests that are lost

Examples:
  cohort run server.js        as many workers of server.js as there are CPUs
  cohort run -w 4 ./server    four workers of a C++ program that uses cohort
)";

Answer usage_error(const std::string& what, const std::string& hint) {
  return {kExitPermanent, "cohort: " + what + "\n" + hint + "\n"};
}

std::string in_quotes(const std::string& word) { return '`' + word + '`'; }

using Parsed = std::variant<RunOptions, StartOptions, VerbOptions, UnitOptions, VerifyOptions,
                            ImportOptions, Answer>;

template <class Options>
Parsed widened(std::variant<Options, Answer> parsed) {
  return std::visit([](auto& one) -> Parsed { return std::move(one); }, parsed);
}

}  // namespace

std::variant<RunOptions, StartOptions, VerbOptions, UnitOptions, VerifyOptions, ImportOptions,
             Answer>
parse_command_line(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    return usage_error("no command", "Try: cohort run server.js, or cohort --help");
  }
  const std::string& command = arguments.front();
  const std::vector<std::string> rest{arguments.begin() + 1, arguments.end()};
  if (command == "run") return widened(parse_run(rest));
  if (command == "start") return widened(parse_start(rest));
  if (command == "systemd") return widened(parse_unit(rest));
  if (command == "import") return widened(parse_import(rest));
  if (command == "verify-reload") return widened(parse_verify(rest));
  if (auto parsed = parse_verb(command, rest)) return widened(*std::move(parsed));
  if (command == "--help" || command == "-h" || command == "help") return Answer{0, kHelp};
  if (command == "--version" || command == "-V") return Answer{0, kVersion};
  if (command.front() == '-') {
    return usage_error(in_quotes(command) + " is not an option of cohort", "Try: cohort --help");
  }
  return usage_error(in_quotes(command) + " is not a command of cohort",
                     "To run a program: cohort run " + command + " (see cohort --help)");
}

}  // namespace cohort::cli
