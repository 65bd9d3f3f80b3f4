#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <iterator>
#include <string_view>

#include "cli/verb.h"
#include "manager/runtime_directory.h"
#include "manager/share.h"

namespace cohort::cli {
namespace {

using Verb = VerbOptions::Verb;

struct Row {
  const char* name;
  Verb verb;
  const char* help;
  const char* options = "";  ///< Its own; those of all come behind them.
};

constexpr const char* kOptionsOfAll =
    R"(      --json              The answer as JSON.
  -h, --help              This text.
)";

constexpr const char* kNoWait = "      --no-wait           Return at once.\n";

constexpr const char* kCommon =
    R"(
NAME is what `cohort ls` shows; it may be left out where only one runs.
Exit codes: 0 done, 100 the command line is wrong or there is no such
application, 111 it did not work out.
)";

constexpr const char* kCommonOfDoctor =
    R"(
Exit codes: 0 there is no problem, 100 the command line is wrong, 111 there is
a problem.
)";

constexpr Row kVerbs[] = {
    {"ls", Verb::Ls, R"(Usage: cohort ls [--json]

Lists the applications of this user that run under cohort.
)"},
    {"status", Verb::Status, R"(Usage: cohort status [NAME] [--json]

Shows an application: its workers, its ports, a reload that is under way.
)"},
    {"events", Verb::Events, R"(Usage: cohort events [NAME] [-f] [-n 20] [--json]

Shows what has happened to an application.
)",
     R"(  -f, --follow            Go on as it happens.
  -n, --last N            The last so many. Default: 20.
)"},
    {"why", Verb::Why, R"(Usage: cohort why [NAME] [--slot N] [-n 20] [--json]

Shows how the last workers of an application ended, and what they wrote to
stderr before that.
)",
     R"(      --slot N            Only those in this slot.
  -n, --last N            The last so many. Default: 20.
)"},
    {"rollback", Verb::Rollback, R"(Usage: cohort rollback [NAME] [--no-wait] [--json]

Goes back to the workers before the last reload, at once: they are there for the
time that `cohort run --park SECONDS` gives them. A reload that is under way is
given up.
)",
     kNoWait},
    {"reload", Verb::Reload, R"(Usage: cohort reload [NAME] [OPTION...]

Replaces every worker of an application by a new one, as SIGHUP does. Waits for
the verdict: 0 the new ones serve; 111 one of them failed, and the old ones
serve on. Ctrl-C stops the waiting, not the reload.
)",
     R"(      --canary N|N%       So many workers first; the others when these serve.
                          Default: 1.
      --batch N|N%        Then so many at a time. Default: one for each CPU.
      --max-surge N|N%    At most so many more workers than before meanwhile:
                          those that are replaced end to make room. Default: as
                          many as there is memory for.
      --dry-run           Only say what has changed since the last one.
      --no-wait           Return at once.
)"},
    {"scale", Verb::Scale, R"(Usage: cohort scale [NAME] N|+N|-N|auto [--no-wait] [--json]

Changes how many workers an application has. Waits until they serve, and those
that are too many have ended. auto: one for each CPU that it may use, also when
that changes.
)",
     kNoWait},
    {"restart", Verb::Restart, R"(Usage: cohort restart [NAME] [--no-wait] [--json]

Stops an application and starts it again, as it was started, in the same
process. For what a reload cannot change: its ports, its policy, cohort itself.
Meanwhile nobody is served; `cohort reload` is without that.
)",
     kNoWait},
    {"recycle", Verb::Recycle, R"(Usage: cohort recycle [NAME] SLOT [--no-wait] [--json]

Replaces one worker by a new one, and loses no request.
)",
     kNoWait},
    {"kill", Verb::Kill, R"(Usage: cohort kill [NAME] SLOT [--signal TERM] [--json]

Sends a signal to one worker. If it ends of that, it is replaced.
)",
     "      --signal NAME       Which one. Default: TERM.\n"},
    {"stop", Verb::Stop, R"(Usage: cohort stop [NAME] [--no-wait] [--json]

Stops an application: requests that are being served finish. Waits for its end.
)",
     kNoWait},
    {"doctor", Verb::Doctor, R"(Usage: cohort doctor [--json]

Checks what this kernel, container and user allow, and says what to do. Run it
where cohort run will run: in the same container, as the same user. It asks no
application, and changes none.

  ok       nothing to do
  note     cohort works; this could be better
  warning  something will be missed
  problem  cohort cannot run properly
)"},
};

std::string help_of(const Row& row) {
  return std::string{row.help} + "\nOptions:\n" + row.options + kOptionsOfAll +
         (row.verb == Verb::Doctor ? kCommonOfDoctor : kCommon);
}

Answer usage_error(const std::string& what, const Row& row) {
  return {kExitPermanent,
          "cohort: " + what + "\nTry: cohort " + std::string{row.name} + " --help\n"};
}

// `4`, `+1`, `-1`.
bool is_number_of_workers(std::string_view text) {
  if (text == "auto") return true;
  constexpr std::size_t kDigitsMax = 9;
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text.size() <= kDigitsMax &&
         text.find_first_not_of("0123456789") == text.npos;
}

std::optional<int> slot_from(const std::string& text) {
  int slot = -1;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), slot);
  const bool is_one = error == std::errc{} && rest == text.data() + text.size() && slot >= 0;
  return is_one ? std::optional{slot} : std::nullopt;
}

std::variant<VerbOptions, Answer> parse(const Row& row, std::vector<std::string> arguments) {
  // `-1` is a number of workers and no option, wherever it stands.
  std::string workers;
  const auto found = std::find_if(arguments.rbegin(), arguments.rend(), is_number_of_workers);
  if (row.verb == Verb::Scale && found != arguments.rend()) {
    workers = *found;
    arguments.erase(std::next(found).base());
  }
  CLI::App app;
  app.set_help_flag();
  VerbOptions options{.verb = row.verb, .workers = workers, .last = 20};
  std::vector<std::string> names;
  bool help = false, no_wait = false;
  int slot = -1;
  const bool is_of_slot = row.verb == Verb::Recycle || row.verb == Verb::Kill;
  const bool waits = row.verb >= Verb::Reload && row.verb != Verb::Kill;
  app.add_flag("--json", options.json);
  app.add_flag("-h,--help", help);
  const bool asks_one = row.verb != Verb::Ls && row.verb != Verb::Doctor;
  if (asks_one) app.add_option("name", names);
  if (row.verb == Verb::Events) app.add_flag("-f,--follow", options.follow);
  if (row.verb == Verb::Events || row.verb == Verb::Why) app.add_option("-n,--last", options.last);
  if (row.verb == Verb::Why) app.add_option("--slot", slot);
  if (row.verb == Verb::Kill) app.add_option("--signal", options.signal);
  if (row.verb == Verb::Reload) {
    app.add_flag("--dry-run", options.dry_run);
    app.add_option("--canary", options.canary);
    app.add_option("--batch", options.batch);
    app.add_option("--max-surge", options.max_surge);
  }
  if (waits) app.add_flag("--no-wait", no_wait);
  try {
    app.parse(std::vector<std::string>{arguments.rbegin(), arguments.rend()});
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what(), row);
  }
  if (help) return Answer{0, help_of(row)};
  if (is_of_slot) {
    const auto number = names.empty() ? std::nullopt : slot_from(names.back());
    if (!number) return usage_error("which slot? `cohort status` shows them: 0, 1...", row);
    slot = *number;
    names.pop_back();
  }
  if (names.size() > 1) return usage_error("one application at a time", row);
  if (!names.empty()) options.name = names.front();
  if (!options.name.empty() && !manager::is_name(options.name))
    return usage_error('`' + options.name + "` is no name of an application", row);
  if (row.verb == Verb::Scale && workers.empty())
    return usage_error("how many workers? 4, +1, -1 or auto", row);
  for (const std::string& share : {options.canary, options.batch, options.max_surge})
    if (!share.empty() && !manager::share_from(share))
      return usage_error('`' + share + "` is neither a number of workers from 1 on nor 1% to 100%",
                         row);
  if (slot >= 0) options.slot = slot;
  options.wait = !no_wait;
  return options;
}

}  // namespace

std::optional<std::variant<VerbOptions, Answer>> parse_verb(
    const std::string& command, const std::vector<std::string>& arguments) {
  for (const Row& row : kVerbs)
    if (command == row.name) return parse(row, arguments);
  return std::nullopt;
}

}  // namespace cohort::cli
