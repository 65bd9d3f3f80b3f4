// The command line of `cohort sim`. Pure.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/sim.h"
#include "cli/sim_policy.h"

namespace cohort::cli {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr unsigned kSimWorkersMax = 100;

constexpr const char* kSimHelp =
    R"(Usage: cohort sim [OPTION...]

What would the supervisor do? The rules of `cohort run` decide, in virtual time.
Nothing is started: the workers are made up, and behave as the options say.

Options:
  -w, --workers N         How many. Default: 2.
      --ready-after TIME  How long one takes to listen. Default: 0.5.
      --crash-every TIME  How long one lives. Default: for ever.
      --exit-code N       With which it then exits. Default: 1. 100: not again.
      --reload-at TIME    A reload begins then. Default: none.
      --next-ready-after TIME, --next-crash-every TIME
                          The same of the version that is reloaded to.
      --ends-after TIME   How long one takes to end. Default: 0.2.
      --policy RULES      The rules to try: 'backoff=1s..30s canary=25%'.
                          NAME=VALUE, with blanks between.
                          ready-within, prove, park, grace: as of cohort run.
                          canary, batch, max-surge: as of cohort reload; 1, 1
                          and any.
                          backoff=100ms..10s: from the first death of a slot
                          on, doubling.
                          healthy=10: who lived so long has the shortest again.
                          tries=5: it gives up when so many have died, and none
                          was ever ready.
      --ready-within TIME, --prove TIME, --park TIME
                          As of cohort run: 60, 5, 0. They count before
                          --policy.
      --for TIME          How much of it. Default: 60.
      --json              A JSON object on each line.
  -h, --help              This text.

TIME is in seconds: 7, 7s or 0.5; or 100ms. Example:
  cohort sim -w 4 --crash-every 7s --policy 'backoff=1s..30s' --for 90
)";

Answer wrong_sim(const std::string& what) {
  return {kExitPermanent, "cohort: " + what + "\nTry: cohort sim --help\n"};
}

}  // namespace

std::variant<SimOptions, Answer> parse_sim(const std::vector<std::string>& arguments) {
  CLI::App app;
  app.set_help_flag();
  SimOptions options;
  std::optional<Milliseconds> next_ready_after, ready_within, prove, park;
  bool help = false;
  std::string policy, problem;
  const auto time = [&](const std::string& name, auto& value) {
    app.add_option_function<std::string>(name, [&value, &problem, name](const std::string& text) {
      if (const auto read = sim_time_from(text))
        value = *read;
      else if (problem.empty())
        problem = name + " takes seconds, from 0 to 86400; not `" + text + '`';
    });
  };
  app.add_option("-w,--workers", options.workers);
  time("--ready-after", options.version.ready_after);
  time("--crash-every", options.version.crash_every);
  app.add_option("--exit-code", options.exit_code);
  time("--reload-at", options.reload_at);
  time("--next-ready-after", next_ready_after);
  time("--next-crash-every", options.next.crash_every);
  time("--ends-after", options.ends_after);
  app.add_option("--policy", policy);
  time("--ready-within", ready_within);
  time("--prove", prove);
  time("--park", park);
  time("--for", options.length);
  app.add_flag("--json", options.json);
  app.add_flag("-h,--help", help);
  try {
    app.parse(std::vector<std::string>{arguments.rbegin(), arguments.rend()});
  } catch (const CLI::ParseError& error) {
    return wrong_sim(error.what());
  }
  if (help) return Answer{0, kSimHelp};
  if (!problem.empty()) return wrong_sim(problem);
  if (options.workers < 1 || options.workers > kSimWorkersMax)
    return wrong_sim("--workers takes 1 to " + std::to_string(kSimWorkersMax));
  if (options.exit_code < 0 || options.exit_code > 255)
    return wrong_sim("--exit-code takes 0 to 255");
  if (const auto wrong = read_sim_policy(policy, options)) return wrong_sim(*wrong);
  options.reload.ready_within = ready_within.value_or(options.reload.ready_within);
  options.reload.prove = prove.value_or(options.reload.prove);
  options.reload.park = park.value_or(options.reload.park);
  options.next.ready_after = next_ready_after.value_or(options.version.ready_after);
  return options;
}

}  // namespace cohort::cli
