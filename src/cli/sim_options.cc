// The command line of `cohort sim`. Pure.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <charconv>

#include "cli/sim.h"

namespace cohort::cli {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr unsigned kSimWorkersMax = 100;
constexpr double kSimSecondsMax = 86'400;

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
      --ready-within TIME, --prove TIME, --park TIME
                          As of cohort run: 60, 5, 0.
      --for TIME          How much of it. Default: 60.
      --json              A JSON object on each line.
  -h, --help              This text.

TIME is in seconds: 7, 7s or 0.5. Example:
  cohort sim -w 4 --crash-every 7s --for 30
)";

Answer wrong_sim(const std::string& what) {
  return {kExitPermanent, "cohort: " + what + "\nTry: cohort sim --help\n"};
}

// 7, 7s, 0.5.
std::optional<Milliseconds> time_from(std::string_view text) {
  if (text.ends_with('s')) text.remove_suffix(1);
  double seconds = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool is_number = error == std::errc{} && rest == text.data() + text.size();
  if (!is_number || !(seconds >= 0 && seconds <= kSimSecondsMax)) return std::nullopt;
  return Milliseconds{static_cast<Milliseconds::rep>(seconds * 1000)};
}

}  // namespace

std::variant<SimOptions, Answer> parse_sim(const std::vector<std::string>& arguments) {
  CLI::App app;
  app.set_help_flag();
  SimOptions options;
  std::optional<Milliseconds> next_ready_after;
  bool help = false;
  std::string problem;
  const auto time = [&](const std::string& name, auto& value) {
    app.add_option_function<std::string>(name, [&value, &problem, name](const std::string& text) {
      if (const auto read = time_from(text))
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
  time("--ready-within", options.reload.ready_within);
  time("--prove", options.reload.prove);
  time("--park", options.reload.park);
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
  options.next.ready_after = next_ready_after.value_or(options.version.ready_after);
  return options;
}

}  // namespace cohort::cli
