#include "cli/options.h"

#include <utility>

#include "base/sys.h"
#include "cli/completion.h"
#include "cli/help_page.h"
#include "cli/import.h"
#include "cli/manual.h"
#include "cli/map_command.h"
#include "cli/run_options.h"
#include "cli/sim.h"
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
       cohort COMMAND --help

cohort runs one server on every core: a primary process owns the port, workers
share it, and those that die are replaced.

Commands:
  run            Run PROGRAM in the foreground, on several CPUs
  start          The same in the background
  ls             List what runs
  status         Show one of them: its workers, its ports
  reload         Replace its workers by new ones, and lose no request
  rollback       Back to the workers before the last reload
  scale          Change how many workers it has
  recycle        Replace one worker
  restart        Stop it and start it again
  stop           Stop it: what is being served finishes
  kill           Send a signal to one worker
  events         Show what has happened; -f goes on
  why            Show how its workers ended
  doctor         Check what this machine, container and user allow
  systemd        Print a unit file: a service that runs PROGRAM so
  import         Make a cohort.toml of a pm2 ecosystem file or a Procfile
  verify-reload  Reload it under load, and count the requests that are lost
  sim            What it would do with workers that crash, in virtual time
  map            Run a command for each line, over all CPUs
  help           Show all of a command's help, as text or as a man page
  completion     Print what completes these words in bash, zsh or fish

Examples:
  cohort run server.js        as many workers of server.js as there are CPUs
  cohort run -w 4 ./server    four workers of a C++ program that uses cohort
)";

constexpr const char* kHelpOfHelp =
    R"(Usage: cohort help [COMMAND] [--man]

Shows all that there is to say about a command, where --help is cut to a screen;
or about cohort.toml. The man pages are the same text.

Options:
      --man               As the source of a man page: | man -l -
  -h, --help              This text.
)";

constexpr const char* kHelpOfCompletion =
    R"(Usage: cohort completion bash|zsh|fish

Prints a script that completes commands, options and applications in a shell.
`make install` puts it where the shell finds it; else:

  bash   source <(cohort completion bash)
  zsh    source <(cohort completion zsh)
  fish   cohort completion fish | source

Options:
  -h, --help              This text.
)";

constexpr const char* kConfig = "cohort.toml";

Answer usage_error(const std::string& what, const std::string& hint) {
  return {kExitPermanent, "cohort: " + what + "\n" + hint + "\n"};
}

std::string in_quotes(const std::string& word) { return '`' + word + '`'; }

using Parsed = std::variant<RunOptions, StartOptions, VerbOptions, UnitOptions, VerifyOptions,
                            ImportOptions, SimOptions, MapOptions, Answer>;

template <class Options>
Parsed widened(std::variant<Options, Answer> parsed) {
  return std::visit([](auto& one) -> Parsed { return std::move(one); }, parsed);
}

Parsed parse_help_words(std::vector<std::string> words);
Parsed parse_completion(const std::vector<std::string>& words);

bool asks_help(const std::string& word) { return word == "--help" || word == "-h"; }

std::optional<Parsed> parse_command(const std::string& command,
                                    const std::vector<std::string>& rest) {
  if (command == "run") return widened(parse_run(rest));
  if (command == "start") return widened(parse_start(rest));
  if (command == "systemd") return widened(parse_unit(rest));
  if (command == "import") return widened(parse_import(rest));
  if (command == "sim") return widened(parse_sim(rest));
  if (command == "map") return widened(parse_map(rest, sys::is_terminal));
  if (command == "verify-reload") return widened(parse_verify(rest));
  if (auto parsed = parse_verb(command, rest)) return widened(*std::move(parsed));
  if (command == "help") return parse_help_words(rest);
  if (command == "completion") return parse_completion(rest);
  return std::nullopt;
}

// All that it says of itself.
std::optional<std::string> whole_help(const std::string& command) {
  if (command.empty()) return kHelp;
  if (command == kConfig) {
    std::vector<std::string> keys;
    for (const RunOption& option : run_option_table())
      if (option.in_config) keys.push_back(std::string{"--"} + option.name);
    return help_of_config(*whole_help("run"), keys);
  }
  const auto parsed = parse_command(command, {"--help"});
  if (!parsed) return std::nullopt;
  return std::get<Answer>(*parsed).text;
}

std::string man_page_of(const std::string& command) {
  const HelpPage page = parse_help(*whole_help(command));
  ManTitle title{.name = "cohort",
                 .summary = "run one server on every core",
                 .version = "cohort " COHORT_VERSION};
  if (command == kConfig) {
    title.name = kConfig;
    title.section = 5;
    title.summary = "the applications of a folder, for cohort";
  }
  for (const HelpCommand& each : commands_of(parse_help(kHelp))) {
    if (each.name != command) continue;
    title.name = "cohort-" + command;
    title.summary = each.summary;
  }
  return man_page(title, page);
}

Parsed parse_help_words(std::vector<std::string> words) {
  const bool man = std::erase(words, "--man") > 0;
  if (!words.empty() && asks_help(words.front())) return Answer{0, kHelpOfHelp};
  if (words.size() > 1) return usage_error("one command at a time", "Try: cohort help --help");
  const std::string command = words.empty() ? "" : words.front();
  const auto help = whole_help(command);
  if (!help)
    return usage_error(in_quotes(command) + " is not a command of cohort", "Try: cohort --help");
  return Answer{0, man ? man_page_of(command) : *help};
}

Parsed parse_completion(const std::vector<std::string>& words) {
  const std::string shell = words.empty() ? "" : words.front();
  if (asks_help(shell)) return Answer{0, kHelpOfCompletion};
  std::vector<Completed> commands;
  for (const HelpCommand& each : commands_of(parse_help(kHelp)))
    commands.push_back({each.name, each.summary, parse_help(*whole_help(each.name))});
  if (words.size() == 1 && shell == "bash") return Answer{0, bash_completion(commands)};
  if (words.size() == 1 && shell == "zsh") return Answer{0, zsh_completion(commands)};
  if (words.size() == 1 && shell == "fish") return Answer{0, fish_completion(commands)};
  return usage_error("for which shell? bash, zsh or fish", "Try: cohort completion --help");
}

}  // namespace

std::variant<RunOptions, StartOptions, VerbOptions, UnitOptions, VerifyOptions, ImportOptions,
             SimOptions, MapOptions, Answer>
parse_command_line(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    return usage_error("no command", "Try: cohort run server.js, or cohort --help");
  }
  const std::string& command = arguments.front();
  const std::vector<std::string> rest{arguments.begin() + 1, arguments.end()};
  if (asks_help(command)) return Answer{0, kHelp};
  if (auto parsed = parse_command(command, rest)) {
    // What was asked for by --help; `cohort help` gives all.
    auto* answer = std::get_if<Answer>(&*parsed);
    if (answer != nullptr && answer->code == 0 && command != "help" && command != "completion")
      answer->text = for_screen(answer->text);
    return *std::move(parsed);
  }
  if (command == "--version" || command == "-V") return Answer{0, kVersion};
  if (command.front() == '-') {
    return usage_error(in_quotes(command) + " is not an option of cohort", "Try: cohort --help");
  }
  return usage_error(in_quotes(command) + " is not a command of cohort",
                     "To run a program: cohort run " + command + " (see cohort --help)");
}

}  // namespace cohort::cli
