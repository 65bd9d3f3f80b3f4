// The command line of `cohort verify-reload`. Pure.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "cli/verify_reload.h"
#include "cli/verify_target.h"
#include "manager/runtime_directory.h"

namespace cohort::cli {
namespace {

constexpr int kReloadsMax = 10'000, kConnectionsMax = 1'000;
constexpr int kStatusMin = 200, kStatusMax = 599;

constexpr const char* kVerifyHelp =
    R"(Usage: cohort verify-reload [OPTION...] [NAME]
       cohort verify-reload [OPTION...] -- PROGRAM [ARG...]

Reloads an application again and again under load, and counts the requests that
are lost. Clients of five kinds never send a request twice: a connection for
each GET; keep-alive GETs; keep-alive POSTs, whose body comes in two parts; slow
readers; and those that connect, wait, then send. A kind that the server answers
with an error (as POST with 404) is left out, and the report says so.

NAME is what `cohort ls` shows; it may be left out where only one runs. Behind
-- are the words of `cohort run`, its options too: that is started, and stopped.

Options:
      --reloads N      How many, one after the other. Default: 20.
      --connections N  How many at a time, shared by the kinds. Default: 16.
      --path PATH      What is asked for. Default: /.
      --url URL        http://HOST:PORT or unix:/PATH. Default: where it serves.
      --expect CODE    The only status that is good. Default: any 2xx or 3xx.
      --json           The report as one JSON object.
  -h, --help           This text.

Exit codes: 0 nothing was lost, 100 the command line is wrong or there is no
such application, 111 a request was lost or a reload failed, 130 Ctrl-C.
)";

Answer wrong(const std::string& what) {
  return {kExitPermanent, "cohort: " + what + "\nTry: cohort verify-reload --help\n"};
}

bool is_within(int number, int least, int most) { return number >= least && number <= most; }

}  // namespace

std::variant<VerifyOptions, Answer> parse_verify(const std::vector<std::string>& arguments) {
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  CLI::App app;
  app.set_help_flag();
  VerifyOptions options;
  std::vector<std::string> names;
  std::string url;
  int expect = 0;
  bool help = false;
  app.add_option("name", names);
  app.add_option("--reloads", options.reloads);
  app.add_option("--connections", options.connections);
  const CLI::Option* path = app.add_option("--path", options.path);
  app.add_option("--url", url);
  const CLI::Option* expected = app.add_option("--expect", expect);
  app.add_flag("--json", options.json);
  app.add_flag("-h,--help", help);
  try {
    app.parse(std::vector<std::string>{std::make_reverse_iterator(dashes), arguments.rend()});
  } catch (const CLI::ParseError& error) {
    return wrong(error.what());
  }
  if (help) return Answer{0, kVerifyHelp};
  if (names.size() > 1)
    return wrong("one application at a time (a program to run comes behind --)");
  if (!names.empty()) options.name = names.front();
  if (!options.name.empty() && !manager::is_name(options.name))
    return wrong('`' + options.name + "` is no name of an application");
  if (!is_within(options.reloads, 1, kReloadsMax)) return wrong("--reloads takes 1 to 10000");
  if (!is_within(options.connections, 1, kConnectionsMax))
    return wrong("--connections takes 1 to 1000");
  if (expected->count() > 0 && !is_within(expect, kStatusMin, kStatusMax))
    return wrong("--expect takes a status, 200 to 599");
  if (expected->count() > 0) options.expect = expect;
  if (url.starts_with("https:"))
    return wrong("--url cannot be https: name the port behind what ends TLS");
  if (!url.empty()) {
    const auto parsed = parse_url(url);
    if (!parsed) return wrong("--url takes http://HOST:PORT or unix:/PATH, not `" + url + '`');
    options.address = parsed->address;
    if (path->count() == 0 && !parsed->path.empty()) options.path = parsed->path;
  }
  if (!options.path.starts_with('/') || options.path.find_first_of(" \r\n") != std::string::npos)
    return wrong("--path begins with a slash, and has no blanks");
  if (dashes == arguments.end()) return options;
  if (!options.name.empty()) return wrong("either NAME, or -- PROGRAM");
  options.run.assign(dashes, arguments.end());
  options.run.front() = "run";
  auto run = parse_command_line(options.run);
  if (auto* answer = std::get_if<Answer>(&run)) return std::move(*answer);
  if (std::get<RunOptions>(run).dry_run) return wrong("--dry-run behind -- would start nothing");
  if (std::get<RunOptions>(run).program.empty()) return wrong("no program to run behind --");
  return options;
}

}  // namespace cohort::cli
