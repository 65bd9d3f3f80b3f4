#include "cli/options.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <tuple>

#include "cli/verb.h"
#include "cli/verify_reload.h"
#include "manager/runtime_directory.h"
#include "process/signals.h"

namespace cohort::cli {
namespace {

constexpr const char* kVersion = "cohort " COHORT_VERSION "\n";

constexpr const char* kHelp =
    R"(Usage: cohort run [OPTION...] PROGRAM [ARG...]
       cohort ls|status|reload|scale|stop|events|why [NAME] [OPTION...]
       cohort verify-reload [OPTION...] [NAME | -- PROGRAM [ARG...]]
       cohort --help | --version

cohort runs one server on every core: a primary process owns the port, workers
share it, and those that die are replaced.

Commands:
  run      Run PROGRAM in the foreground, on several CPUs
  ls       List what runs
  status   Show one of them: its workers, its ports
  reload   Replace its workers by new ones, and lose no request
  scale    Change how many workers it has
  stop     Stop it: what is being served finishes
  events   Show what has happened; -f goes on
  why      Show how its workers ended

  verify-reload  Reload it under load, and count the requests that are lost

Examples:
  cohort run server.js        as many workers of server.js as there are CPUs
  cohort run -w 4 ./server    four workers of a C++ program that uses cohort
)";

constexpr const char* kRunHelp =
    R"(Usage: cohort run [OPTION...] PROGRAM [ARG...]

Runs several workers of PROGRAM behind one port and replaces those that die.
PROGRAM is what a shell would run; or a script of Node (.js, .mjs, .cjs, .ts) or
a directory with a package.json, which run under node, unmodified. What follows
PROGRAM is passed to it as it is.

Options:
  -w, --workers N|auto    How many workers. auto, the default, is one for each
                          CPU that this process may use.
  -b, --balance POLICY    How connections come to the workers:
                          auto         adaptive for TCP, round-robin for Unix
                                       sockets (the default)
                          adaptive     a queue for each worker; the kernel picks
                                       one that is not blocked
                          hash         the same client, the same worker, while
                                       that one is well (for a worker's cache)
                          sticky       the same client, the same worker, or its
                                       successor: clients wait for it (for
                                       sessions, such as Socket.IO's)
                          round-robin  the primary hands each one to a free
                                       worker (Node's rr)
                          shared       the workers accept from one socket
                                       (Node's none)
      --listen ADDRESS    For a program in any language that takes its listening
                          sockets as systemd gives them (LISTEN_FDS): each
                          worker starts with one on 8000, HOST:8000,
                          [::1]:8000 or /run/a.sock. May be repeated: they are
                          descriptors 3, 4... Not with round-robin.
      --grace SECONDS     How long a stop may take; who is left then is killed.
                          Default: 25. Docker's own patience is 10.
      --stop-signal NAME  How the workers are asked to end: TERM (the default);
                          INT for programs written for pm2.
      --ready-within SECONDS  After a reload: a worker that does not listen so
                          long after its start has failed. Default: 60.
      --prove SECONDS     After a reload: how long all new workers have to serve
                          without a failure, before the old ones end.
                          Default: 5.
      --name NAME         What the other verbs, as `cohort reload`, call it.
                          Default: server, of server.js.
      --no-preload        Nothing is loaded into Node workers. Busy keep-alive
                          connections are then cut at the end of the grace time.
      --json              Events on stderr as JSON objects, one on each line.
  -h, --help              This text.
  -V, --version           The version of cohort.

Examples:
  cohort run server.js                      one worker for each CPU
  cohort run -w 4 server.js --port 3000     --port belongs to server.js
  cohort run -b shared -- ./server -v       -- ends the options of cohort
  cohort run --listen 8000 python3 app.py   app.py accepts from descriptor 3

Ctrl-C (or SIGTERM) stops gracefully: requests that are being served finish,
then the program's own handler for the signal runs. A second one stops at once.
SIGHUP reloads: new workers first; the old ones end when those have served for
5 s, or serve on if one of those fails. SIGTTIN and SIGTTOU: one worker more, or
less.

Exit codes: 0 stopped when asked to, 100 the command line or PROGRAM is wrong,
111 the workers never got ready, 128+N stopped at once by signal N.
)";

Answer usage_error(const std::string& what, const std::string& hint) {
  return {kExitPermanent, "cohort: " + what + "\n" + hint + "\n"};
}

std::string in_quotes(const std::string& word) { return '`' + word + '`'; }

const std::string kTryRunHelp = "Try: cohort run --help";

/// `-w N`: false if `text` is neither a number in the range nor `auto`.
bool read_workers(const std::string& text, std::optional<unsigned>& workers) {
  if (text == "auto") return true;
  unsigned number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end || number == 0 || number > kWorkersMax) return false;
  workers = number;
  return true;
}

/// `8000`, `:8000`, `HOST:8000`, `[::1]:8000`, or a path with a slash; nothing for anything else.
std::optional<Address> read_address(const std::string& text) {
  if (text.find('/') != std::string::npos) return Address::from_path(text);
  const std::size_t colon = text.rfind(':');
  std::string host = colon == std::string::npos ? "" : text.substr(0, colon);
  const std::string number = colon == std::string::npos ? text : text.substr(colon + 1);
  std::uint16_t port = 0;
  const char* end = number.data() + number.size();
  const auto [rest, error] = std::from_chars(number.data(), end, port);
  if (error != std::errc{} || rest != end) return std::nullopt;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.find_first_of(":[]") != std::string::npos) return std::nullopt;
  return Address{host == "*" ? "" : host, port};
}

std::optional<std::chrono::milliseconds> read_seconds(const std::string& text) {
  constexpr double kMin = 0.1, kMax = 86400;
  double seconds = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, seconds);
  if (error != std::errc{} || rest != end || !(seconds >= kMin && seconds <= kMax))
    return std::nullopt;
  return std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000)};
}

std::optional<int> read_signal(const std::string& text) {
  const auto number = process::signal_number(text);
  if (number == SIGKILL || number == SIGSTOP) return std::nullopt;
  return number;
}

std::variant<RunOptions, Answer> parse_run(const std::vector<std::string>& arguments) {
  CLI::App app;
  app.prefix_command();  // The first word that is no option, and all that follow, are left alone.
  app.set_help_flag();
  std::string workers = "auto", policy;
  std::vector<std::string> listen;
  std::string grace, stop_signal, ready_within, prove, name;
  bool json = false, help = false, version = false, no_preload = false;
  const auto last = CLI::MultiOptionPolicy::TakeLast;
  const CLI::Option* workers_option =
      app.add_option("-w,--workers", workers)->multi_option_policy(last);
  const CLI::Option* policy_option =
      app.add_option("-b,--balance", policy)->multi_option_policy(last);
  // One value each time: the words behind it are the program's.
  app.add_option("--listen", listen)->type_size(1)->allow_extra_args(false);
  app.add_option("--grace", grace)->multi_option_policy(last);
  app.add_option("--stop-signal", stop_signal)->multi_option_policy(last);
  app.add_option("--ready-within", ready_within)->multi_option_policy(last);
  app.add_option("--prove", prove)->multi_option_policy(last);
  app.add_option("--name", name)->multi_option_policy(last);
  app.add_flag("--no-preload", no_preload);
  app.add_flag("--json", json);
  app.add_flag("-h,--help", help);
  app.add_flag("-V,--version", version);
  try {
    app.parse(std::vector<std::string>{arguments.rbegin(), arguments.rend()});
  } catch (const CLI::ArgumentMismatch&) {
    return usage_error(arguments.back() + " needs a value", kTryRunHelp);
  } catch (const CLI::ConversionError&) {
    return usage_error("--json, --no-preload, --help and --version take no value", kTryRunHelp);
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what(), kTryRunHelp);
  }
  if (help) return Answer{0, kRunHelp};
  if (version) return Answer{0, kVersion};

  std::vector<std::string> rest = app.remaining();
  if (!rest.empty() && rest.front() == "--") {
    rest.erase(rest.begin());
  } else if (!rest.empty() && rest.front().size() > 1 && rest.front().front() == '-') {
    return usage_error(in_quotes(rest.front()) + " is not an option of cohort run", kTryRunHelp);
  }
  RunOptions options{.json = json};
  if (workers_option->count() > 1) return usage_error("-w is given twice", kTryRunHelp);
  if (policy_option->count() > 1) return usage_error("-b is given twice", kTryRunHelp);
  if (!read_workers(workers, options.workers)) {
    return usage_error("-w takes a number from 1 to " + std::to_string(kWorkersMax) +
                           ", or auto; not " + in_quotes(workers),
                       kTryRunHelp);
  }
  if (policy_option->count() == 1 && !(options.policy = policy_from(policy)))
    return usage_error(
        "-b takes auto, adaptive, hash, sticky, round-robin or shared; not " + in_quotes(policy),
        kTryRunHelp);
  options.preload = !no_preload;
  options.name = name;
  if (!name.empty() && !manager::is_name(name))
    return usage_error(
        "--name takes letters, digits, `-`, `_` and `.`, at most 64; not " + in_quotes(name),
        kTryRunHelp);
  if (!grace.empty() && !(options.grace = read_seconds(grace)))
    return usage_error("--grace takes seconds, from 0.1 to 86400; not " + in_quotes(grace),
                       kTryRunHelp);
  for (const auto& [option, text, time] :
       {std::tuple{"--ready-within", &ready_within, &options.ready_within},
        std::tuple{"--prove", &prove, &options.prove}}) {
    if (text->empty()) continue;
    const auto given = read_seconds(*text);
    if (!given)
      return usage_error(
          std::string{option} + " takes seconds, from 0.1 to 86400; not " + in_quotes(*text),
          kTryRunHelp);
    *time = *given;
  }
  if (!stop_signal.empty() && !(options.stop_signal = read_signal(stop_signal)))
    return usage_error(
        "--stop-signal takes the name of a signal that a program can handle, as "
        "TERM or INT; not " +
            in_quotes(stop_signal),
        kTryRunHelp);
  for (const std::string& text : listen) {
    const auto address = read_address(text);
    if (!address)
      return usage_error("--listen takes a port, HOST:PORT or a path; not " + in_quotes(text),
                         kTryRunHelp);
    options.listen.push_back(*address);
  }
  if (!listen.empty() && options.policy == Policy::RoundRobin)
    return usage_error(
        "--listen is for programs that need not have a channel to cohort, and round-robin hands "
        "connections over that",
        "Use adaptive, hash, sticky or shared: cohort run -b adaptive --listen ...");
  if (rest.empty() || rest.front().empty()) {
    return usage_error("no program to run", "Say which: cohort run server.js");
  }
  options.program = rest.front();
  options.args.assign(rest.begin() + 1, rest.end());
  return options;
}

}  // namespace

std::variant<RunOptions, VerbOptions, VerifyOptions, Answer> parse_command_line(
    const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    return usage_error("no command", "Try: cohort run server.js, or cohort --help");
  }
  const std::string& command = arguments.front();
  const std::vector<std::string> rest{arguments.begin() + 1, arguments.end()};
  if (command == "run") {
    auto parsed = parse_run(rest);
    if (auto* options = std::get_if<RunOptions>(&parsed)) return std::move(*options);
    return std::get<Answer>(std::move(parsed));
  }
  if (command == "verify-reload") {
    auto parsed = parse_verify(rest);
    if (auto* options = std::get_if<VerifyOptions>(&parsed)) return std::move(*options);
    return std::get<Answer>(std::move(parsed));
  }
  if (auto parsed = parse_verb(command, rest)) {
    if (auto* options = std::get_if<VerbOptions>(&*parsed)) return std::move(*options);
    return std::get<Answer>(std::move(*parsed));
  }
  if (command == "--help" || command == "-h" || command == "help") return Answer{0, kHelp};
  if (command == "--version" || command == "-V") return Answer{0, kVersion};
  if (command.front() == '-') {
    return usage_error(in_quotes(command) + " is not an option of cohort", "Try: cohort --help");
  }
  return usage_error(in_quotes(command) + " is not a command of cohort",
                     "To run a program: cohort run " + command + " (see cohort --help)");
}

}  // namespace cohort::cli
