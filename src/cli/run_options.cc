#include "cli/run_options.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <utility>

#include "manager/runtime_directory.h"
#include "process/signals.h"

namespace cohort::cli {
namespace {

constexpr const char* kRunHelp =
    R"(Usage: cohort run [OPTION...] PROGRAM [ARG...]
       cohort run [--config FILE] [--only NAME]

Runs several workers of PROGRAM behind one port and replaces those that die.
PROGRAM is what a shell would run; or a script of Node (.js, .mjs, .cjs, .ts) or
a directory with a package.json, which run under node, unmodified. What follows
PROGRAM is passed to it as it is. Without PROGRAM: every application of
cohort.toml (docs/cohort-toml.md).

Options:
  -w, --workers N|auto    How many workers. Default: auto, one for each CPU.
                          Only CPUs count that this process may use.
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
      --listen ADDRESS    Each worker starts with a socket that listens there.
                          For a program in any language that takes its sockets
                          as systemd gives them (LISTEN_FDS): 8000, HOST:8000,
                          [::1]:8000 or /run/a.sock. May be repeated: they are
                          descriptors 3, 4... Not with round-robin.
      --grace SECONDS     How long a stop may take. Default: 25. Who is left
                          then is killed. Docker's own patience is 10.
      --when-empty HOW    While no worker lives: hold, hold=SECONDS or refuse.
                          Clients wait for the next one (the default), or so
                          long at most, or are refused at once.
      --lame-duck SECONDS How long a stop first goes on serving. Meanwhile
                          clients can go elsewhere. A part of the grace time.
      --stop-signal NAME  How the workers are asked to end. Default: TERM. INT
                          is for programs written for pm2.
      --ready-within SECONDS
                          How long a worker may take to listen. Default: 60.
                          After a reload: one that takes longer has failed.
      --ready HOW         When a worker is ready. Default: listening.
                          Or: message (process.send('ready')), notify (READY=1,
                          as for systemd), or SECONDS after it was started.
      --check PATH        A worker is asked in HTTP before it counts: /healthz.
                          It gets no connections, and a reload waits, until it
                          answers 2xx or 3xx.
      --prove SECONDS     How long a reload is on trial. Default: 5. So long all
                          new workers have to serve without a failure, before
                          the old ones end.
      --park SECONDS      How long old workers stay after a reload. Default: 0.
                          For `cohort rollback`.
      --once COMMAND      Runs before workers start, and before each reload. A
                          migration: if it fails, they do not start.
      --max-memory SIZE   Replaces a worker that has more: 512M, 2G. Its
                          successor serves before it ends. 512M,1G: with more
                          than 1G it is killed.
      --max-age SECONDS   The same of a worker that has lived so long.
      --max-requests N    The same of a worker that has answered so many.
      --kill-hung SECONDS Kills a worker that hangs for so long. Its loop does
                          not turn, though it has a CPU.
      --hung-stack KIND   Which stack is shown of it: native (the default), js.
                          By eu-stack or gdb; or by the debugger of Node, which
                          says where the JavaScript is.
      --admin ADDRESS     Answers probes in HTTP: /livez, /readyz, /status. 8081
                          is on every interface; 127.0.0.1:8081 is not.
      --min-ready N       /readyz wants so many that serve. Default: 1.
      --name NAME         What the other verbs call it, as `cohort reload`.
                          By itself: server, of server.js.
      --watch             Reloads when a file in the workers' directory changes.
                          For development.
      --interpreter CMD   What runs PROGRAM, a script: python3.11, bun, ruby.
                          By itself: as its name or first line says.
      --interpreter-args ARGS
                          Arguments of that, before PROGRAM: "-u -X dev".
      --cwd DIR           Where the workers run. Default: here.
      --env NAME=VALUE    A variable of the workers. May be repeated.
      --env-only A,B      The workers inherit these variables and no others.
                          Not even PATH and HOME, unless they are named.
      --user NAME|UID     The workers run as this user, with its groups.
                          And its HOME. cohort stays root, and opens the ports.
      --group NAME|GID    The group of the workers, if not the user's own.
      --no-new-privs      Nothing gives the workers more rights: no sudo.
      --config FILE       Instead of cohort.toml.
      --only NAME         Of the applications in cohort.toml, this one.
      --no-preload        Nothing is loaded into Node workers. Busy keep-alive
                          connections are then cut at the end of the grace time.
      --dry-run           Prints what would be run, and how, and runs nothing.
                          With --json as JSON. No port is opened.
      --json              Events on stderr as JSON objects, one on each line.
  -h, --help              This text.
  -V, --version           The version of cohort.

Examples:
  cohort run -w 4 server.js --port 3000     --port belongs to server.js
  cohort run --listen 8000 python3 app.py   app.py accepts from descriptor 3

Ctrl-C (or SIGTERM) stops gracefully: requests that are being served finish,
then the program's own handler for the signal runs. A second one stops at once.
SIGHUP reloads: new workers first; the old ones end when those have served for
5 s, or serve on if one of those fails. SIGTTIN and SIGTTOU: one worker more, or
less.

A worker that exits with 100 by itself is not started again before a reload.

Exit codes: 0 stopped when asked to, 100 the command line or PROGRAM is wrong,
or every worker exited with 100, 111 the workers never got ready, 128+N stopped
at once by signal N.
)";

const std::string kTryRunHelp = "Try: cohort run --help";

Answer run_usage_error(const std::string& what, const std::string& hint = kTryRunHelp) {
  return {kExitPermanent, "cohort: " + what + "\n" + hint + "\n"};
}

using Problem = std::optional<std::string>;

// A number of workers.
std::optional<unsigned> count_from(const std::string& text) {
  unsigned number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end || number == 0 || number > kWorkersMax)
    return std::nullopt;
  return number;
}

Problem read_workers(const std::string& text, RunOptions& options) {
  options.workers = count_from(text);
  if (options.workers || text == "auto") return std::nullopt;
  return "takes a number from 1 to " + std::to_string(kWorkersMax) + ", or auto";
}

Problem read_balance(const std::string& text, RunOptions& options) {
  options.policy = policy_from(text);
  if (options.policy) return std::nullopt;
  return "takes auto, adaptive, hash, sticky, round-robin or shared";
}

/// `8000`, `:8000`, `HOST:8000`, `[::1]:8000`, or a path with a slash; nothing for anything else.
std::optional<Address> address_from(const std::string& text) {
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

Problem read_listen(const std::string& text, RunOptions& options) {
  const auto address = address_from(text);
  if (!address) return "takes a port, HOST:PORT or a path";
  options.listen.push_back(*address);
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> seconds_from(const std::string& text) {
  constexpr double kMin = 0.1, kMax = 86400;
  double seconds = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, seconds);
  if (error != std::errc{} || rest != end || !(seconds >= kMin && seconds <= kMax))
    return std::nullopt;
  return std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000)};
}

template <auto Member>
Problem read_seconds(const std::string& text, RunOptions& options) {
  const auto time = seconds_from(text);
  if (!time) return "takes seconds, from 0.1 to 86400";
  options.*Member = *time;
  return std::nullopt;
}

template <auto Member>
Problem read_seconds_or_none(const std::string& text, RunOptions& options) {
  const auto time = text == "0" ? std::optional{std::chrono::milliseconds{0}} : seconds_from(text);
  if (!time) return "takes seconds, 0 or from 0.1 on";
  options.*Member = *time;
  return std::nullopt;
}

Problem read_admin(const std::string& text, RunOptions& options) {
  options.admin = address_from(text);
  if (options.admin && (options.admin->is_unix() || options.admin->port() != 0))
    return std::nullopt;
  return "takes a port, HOST:PORT or a path";
}

Problem read_min_ready(const std::string& text, RunOptions& options) {
  options.min_ready = count_from(text);
  if (options.min_ready) return std::nullopt;
  return "takes a number from 1 to " + std::to_string(kWorkersMax);
}

// One size, or two with a comma.
Problem read_max_memory(const std::string& text, RunOptions& options) {
  const auto comma = std::min(text.find(','), text.size());
  options.max_memory = size_from(std::string_view{text}.substr(0, comma));
  options.kill_memory.reset();
  if (!options.max_memory) return "takes a size of 1M or more, as 512M or 2G";
  if (comma == text.size()) return std::nullopt;
  options.kill_memory = size_from(std::string_view{text}.substr(comma + 1));
  if (options.kill_memory && *options.kill_memory > *options.max_memory) return std::nullopt;
  return "takes a second size that is larger than the first, as 512M,1G";
}

Problem read_max_age(const std::string& text, RunOptions& options) {
  unsigned seconds = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, seconds);
  if (error != std::errc{} || rest != end || seconds == 0) return "takes seconds, from 1 on";
  options.max_age = std::chrono::seconds{seconds};
  return std::nullopt;
}

Problem read_max_requests(const std::string& text, RunOptions& options) {
  constexpr std::uint64_t kMax = 1'000'000'000'000;
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end || number == 0 || number > kMax)
    return "takes a number from 1 on";
  options.max_requests = number;
  return std::nullopt;
}

Problem read_once(const std::string& text, RunOptions& options) {
  if (text.empty()) return "takes a command";
  options.once = text;
  return std::nullopt;
}

constexpr std::pair<const char*, Readiness::By> kReadiness[] = {
    {"listening", Readiness::By::Listening},
    {"message", Readiness::By::Message},
    {"notify", Readiness::By::Notify}};

Problem read_ready(const std::string& text, RunOptions& options) {
  const auto named = std::find_if(std::begin(kReadiness), std::end(kReadiness),
                                  [&](const auto& each) { return text == each.first; });
  const auto time = seconds_from(text);
  if (named == std::end(kReadiness) && !time)
    return "takes listening, message, notify, or seconds from 0.1 to 86400";
  options.ready = time ? Readiness{Readiness::By::Time, *time} : Readiness{named->second};
  return std::nullopt;
}

Problem read_check(const std::string& text, RunOptions& options) {
  const auto is_plain = [](char c) { return c > ' ' && c != '\x7f'; };
  if (!text.starts_with('/') || !std::all_of(text.begin(), text.end(), is_plain))
    return "takes a path, as /healthz";
  options.check = text;
  return std::nullopt;
}

Problem read_hung_stack(const std::string& text, RunOptions& options) {
  options.js_stack = text == "js";
  if (options.js_stack || text == "native") return std::nullopt;
  return "takes native or js";
}

// hold, hold=5, hold=5s, refuse.
Problem read_when_empty(const std::string& text, RunOptions& options) {
  constexpr std::string_view kHold = "hold=";
  options.when_empty.reset();
  if (text == "hold") return std::nullopt;
  if (text == "refuse") {
    options.when_empty = std::chrono::milliseconds{0};
  } else if (text.starts_with(kHold)) {
    const std::string time = text.substr(kHold.size());
    options.when_empty = seconds_from(time.ends_with('s') ? time.substr(0, time.size() - 1) : time);
  }
  if (options.when_empty) return std::nullopt;
  return "takes hold, hold=SECONDS (from 0.1 to 86400) or refuse";
}

Problem read_interpreter(const std::string& text, RunOptions& options) {
  if (text.empty()) return "takes a program, as python3";
  options.interpreter = text;
  return std::nullopt;
}

Problem read_interpreter_args(const std::string& text, RunOptions& options) {
  std::istringstream words{text};
  options.interpreter_args.assign(std::istream_iterator<std::string>{words}, {});
  return std::nullopt;
}

Problem read_stop_signal(const std::string& text, RunOptions& options) {
  const auto number = process::signal_number(text);
  if (!number || number == SIGKILL || number == SIGSTOP)
    return "takes the name of a signal that a program can handle, as TERM or INT";
  options.stop_signal = number;
  return std::nullopt;
}

Problem read_name(const std::string& text, RunOptions& options) {
  if (!manager::is_name(text)) return "takes letters, digits, `-`, `_` and `.`, at most 64";
  options.name = text;
  return std::nullopt;
}

Problem read_cwd(const std::string& text, RunOptions& options) {
  if (text.empty()) return "takes a directory";
  options.cwd = text;
  return std::nullopt;
}

Problem read_env(const std::string& text, RunOptions& options) {
  const auto equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || text.find('\0') != std::string::npos)
    return "takes NAME=VALUE";
  options.env[text.substr(0, equals)] = text.substr(equals + 1);
  return std::nullopt;
}

// Empty: they inherit none.
Problem read_env_only(const std::string& text, RunOptions& options) {
  auto& names = options.env_only ? *options.env_only : options.env_only.emplace();
  for (std::size_t from = 0; !text.empty() && from <= text.size();) {
    const std::size_t end = std::min(text.find(',', from), text.size());
    const std::string name = text.substr(from, end - from);
    if (name.empty() || name.find_first_of(std::string_view{"= \t\0", 4}) != std::string::npos)
      return "takes names of variables, as PATH,LANG";
    names.push_back(name);
    from = end + 1;
  }
  return std::nullopt;
}

template <auto Member>
Problem read_identity(const std::string& text, RunOptions& options) {
  if (text.empty() || text.find_first_of(std::string_view{":\n\0", 3}) != std::string::npos)
    return "takes a name or a number";
  options.*Member = text;
  return std::nullopt;
}

Problem read_config(const std::string& text, RunOptions& options) {
  if (text.empty()) return "takes a file";
  options.config = text;
  return std::nullopt;
}

Problem read_only(const std::string& text, RunOptions& options) {
  if (!manager::is_name(text)) return "takes the name of an application in cohort.toml";
  options.only = text;
  return std::nullopt;
}

using Kind = RunOption::Kind;

// In the order of the help.
constexpr RunOption kTable[] = {
    {"workers", "-w", Kind::Once, true, read_workers},
    {"balance", "-b", Kind::Once, true, read_balance},
    {"listen", "", Kind::List, true, read_listen},
    {"grace", "", Kind::Last, true, read_seconds<&RunOptions::grace>},
    {"when-empty", "", Kind::Last, true, read_when_empty},
    {"lame-duck", "", Kind::Last, true, read_seconds_or_none<&RunOptions::lame_duck>},
    {"admin", "", Kind::Last, true, read_admin},
    {"min-ready", "", Kind::Last, true, read_min_ready},
    {"max-memory", "", Kind::Last, true, read_max_memory},
    {"max-age", "", Kind::Last, true, read_max_age},
    {"max-requests", "", Kind::Last, true, read_max_requests},
    {"kill-hung", "", Kind::Last, true, read_seconds<&RunOptions::kill_hung>},
    {"hung-stack", "", Kind::Last, true, read_hung_stack},
    {"stop-signal", "", Kind::Last, true, read_stop_signal},
    {"ready-within", "", Kind::Last, true, read_seconds<&RunOptions::ready_within>},
    {"ready", "", Kind::Last, true, read_ready},
    {"check", "", Kind::Last, true, read_check},
    {"prove", "", Kind::Last, true, read_seconds<&RunOptions::prove>},
    {"park", "", Kind::Last, true, read_seconds_or_none<&RunOptions::park>},
    {"once", "", Kind::Last, true, read_once},
    {"interpreter", "", Kind::Last, true, read_interpreter},
    {"interpreter-args", "", Kind::Last, true, read_interpreter_args},
    {"cwd", "", Kind::Last, true, read_cwd},
    {"env", "", Kind::List, true, read_env},
    {"env-only", "", Kind::Names, true, read_env_only},
    {"user", "", Kind::Last, true, read_identity<&RunOptions::user>},
    {"group", "", Kind::Last, true, read_identity<&RunOptions::group>},
    {"no-new-privs", "", Kind::Flag, true,
     [](const std::string&, RunOptions& options) -> Problem {
       options.no_new_privs = true;
       return std::nullopt;
     }},
    {"no-preload", "", Kind::Flag, true,
     [](const std::string&, RunOptions& options) -> Problem {
       options.preload = false;
       return std::nullopt;
     }},
    {"watch", "", Kind::Flag, true,
     [](const std::string&, RunOptions& options) -> Problem {
       options.watch = true;
       return std::nullopt;
     }},
    {"json", "", Kind::Flag, true,
     [](const std::string&, RunOptions& options) -> Problem {
       options.json = true;
       return std::nullopt;
     }},
    {"dry-run", "", Kind::Flag, false,
     [](const std::string&, RunOptions& options) -> Problem {
       options.dry_run = true;
       return std::nullopt;
     }},
    {"name", "", Kind::Last, false, read_name},
    {"config", "", Kind::Last, false, read_config},
    {"only", "", Kind::Last, false, read_only},
};

// `-w` or `--grace`, as messages call it.
std::string spelled(const RunOption& option) {
  return *option.letter != '\0' ? option.letter : std::string{"--"} + option.name;
}

std::string names_for_parser(const RunOption& option) {
  const std::string name = std::string{"--"} + option.name;
  return *option.letter != '\0' ? std::string{option.letter} + ',' + name : name;
}

std::optional<Answer> read_given(const RunOption& option, const RunWords::Given& given,
                                 RunOptions& options) {
  if (option.kind == Kind::Once && given.values.size() > 1)
    return run_usage_error(spelled(option) + " is given twice");
  if (given.flag) (void)option.read({}, options);
  const bool only_last = option.kind == Kind::Last && !given.values.empty();
  for (std::size_t i = only_last ? given.values.size() - 1 : 0; i < given.values.size(); ++i)
    if (const auto problem = option.read(given.values[i], options))
      return run_usage_error(spelled(option) + ' ' + *problem + "; not `" + given.values[i] + '`');
  return std::nullopt;
}

// --json, where it says how a plan is printed: cohort.toml has it for the events.
bool is_of_plan(const RunWords& words, const RunOption& option) {
  if (option.name != std::string_view{"json"}) return false;
  for (std::size_t i = 0; i < std::size(kTable); ++i)
    if (kTable[i].name == std::string_view{"dry-run"}) return words.given[i].flag;
  return false;
}

// Without a program: of cohort.toml.
std::optional<Answer> of_config_only(const RunWords& words) {
  for (std::size_t i = 0; i < std::size(kTable); ++i) {
    const RunWords::Given& given = words.given[i];
    const std::string_view name = kTable[i].name;
    const bool is_of_file =
        name == "config" || name == "only" || name == "dry-run" || is_of_plan(words, kTable[i]);
    if (is_of_file || (given.values.empty() && !given.flag)) continue;
    return run_usage_error(
        "no program to run, and " + spelled(kTable[i]) + " is of no use without one",
        "Say which: cohort run " + spelled(kTable[i]) +
            (given.flag ? "" : ' ' + given.values.back()) +
            " server.js; cohort.toml has options for each application");
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> size_from(std::string_view text) {
  constexpr std::uint64_t kMin = 1 << 20, kMax = std::uint64_t{1} << 50;
  std::uint64_t size = 0;
  const char* end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, size);
  const std::string_view units = "KMGT";
  const auto shift = unit == end ? 0 : units.find(*unit) + 1;
  const bool is_size = error == std::errc{} && end - unit <= 1 && shift <= units.size();
  const bool fits = is_size && size <= kMax >> (10 * shift);
  if (!fits || size << (10 * shift) < kMin) return std::nullopt;
  return size << (10 * shift);
}

std::string readiness_text(const Readiness& ready) {
  for (const auto& [name, by] : kReadiness)
    if (ready.by == by) return name;
  std::ostringstream seconds;
  seconds << std::chrono::duration<double>(ready.after).count();
  return seconds.str();
}

std::string when_empty_text(const std::optional<std::chrono::milliseconds>& hold) {
  if (!hold || hold->count() == 0) return hold ? "refuse" : "hold";
  std::ostringstream text;
  text << "hold=" << std::chrono::duration<double>(*hold).count();
  return text.str();
}

std::span<const RunOption> run_option_table() { return kTable; }

std::optional<Answer> contradiction(const RunOptions& options) {
  if (options.min_ready && !options.admin)
    return run_usage_error("--min-ready is for /readyz, which needs --admin",
                           "Say where: cohort run --admin 8081 ...");
  if (options.js_stack && !options.kill_hung)
    return run_usage_error("--hung-stack is of a worker that --kill-hung kills",
                           "Say after how long: cohort run --kill-hung 30 --hung-stack js ...");
  if (options.lame_duck >= options.grace.value_or(kGraceDefault))
    return run_usage_error(
        "--lame-duck is a part of the time of --grace (25 by default), so it has to be less",
        "Raise that: cohort run --grace ...");
  if (options.ready.by == Readiness::By::Time && options.ready.after >= options.ready_within)
    return run_usage_error("with --ready " + readiness_text(options.ready) +
                               " no worker is ready within --ready-within (60 by default)",
                           "Raise that: cohort run --ready-within ...");
  if (!options.interpreter_args.empty() && options.interpreter.empty())
    return run_usage_error("--interpreter-args is of no use without --interpreter",
                           "Say of what: cohort run --interpreter python3 ...");
  const bool of_one_socket = options.policy == Policy::Shared ||
                             std::any_of(options.listen.begin(), options.listen.end(),
                                         [](const Address& address) { return address.is_unix(); });
  if (!options.listen.empty() && of_one_socket && !options.check.empty())
    return run_usage_error(
        "--check asks one worker, and under --listen with -b shared, or on a Unix socket, they "
        "accept from one socket",
        "Use another policy, and a port: cohort run -b adaptive --listen 8000 --check ...");
  if (options.listen.empty() || options.policy != Policy::RoundRobin) return std::nullopt;
  return run_usage_error(
      "--listen is for programs that need not have a channel to cohort, and round-robin hands "
      "connections over that",
      "Use adaptive, hash, sticky or shared: cohort run -b adaptive --listen ...");
}

std::variant<RunWords, Answer> read_words(const std::vector<std::string>& arguments,
                                          std::span<RunWords::Extra> extras) {
  CLI::App app;
  app.prefix_command();  // The first word that is no option, and all that follow, are left alone.
  app.set_help_flag();
  RunWords words;
  words.given.resize(std::size(kTable));
  bool help = false, version = false;
  const auto add = [&app](const std::string& names, bool is_flag, RunWords::Given& given) {
    if (is_flag)
      app.add_flag(names, given.flag);
    else  // One value each time: the words behind it are the program's.
      app.add_option(names, given.values)->type_size(1)->allow_extra_args(false);
  };
  for (std::size_t i = 0; i < std::size(kTable); ++i)
    add(names_for_parser(kTable[i]), kTable[i].kind == Kind::Flag, words.given[i]);
  for (RunWords::Extra& extra : extras) add(extra.name, extra.is_flag, extra.given);
  app.add_flag("-h,--help", help);
  app.add_flag("-V,--version", version);
  try {
    app.parse(std::vector<std::string>{arguments.rbegin(), arguments.rend()});
  } catch (const CLI::ArgumentMismatch&) {
    return run_usage_error(arguments.back() + " needs a value");
  } catch (const CLI::ConversionError&) {
    return run_usage_error(
        "--json, --watch, --no-preload, --no-new-privs, --dry-run, --help and --version take no "
        "value");
  } catch (const CLI::ParseError& error) {
    return run_usage_error(error.what());
  }
  if (help) return Answer{0, kRunHelp};
  if (version) return Answer{0, kVersion};
  words.rest = app.remaining();
  if (!words.rest.empty() && words.rest.front() == "--") {
    words.rest.erase(words.rest.begin());
    if (words.rest.empty()) words.rest.emplace_back();  // A program is meant, and missing.
  } else if (!words.rest.empty() && words.rest.front().size() > 1 &&
             words.rest.front().front() == '-') {
    return run_usage_error('`' + words.rest.front() + "` is not an option of cohort run");
  }
  return words;
}

std::string RunWords::take(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kTable); ++i)
    if (kTable[i].name == name && !given[i].values.empty())
      return std::exchange(given[i].values, {}).back();
  return {};
}

bool RunWords::any_of_config() const {
  for (std::size_t i = 0; i < std::size(kTable); ++i)
    if (kTable[i].in_config && !is_of_plan(*this, kTable[i]) &&
        (given[i].flag || !given[i].values.empty()))
      return true;
  return false;
}

std::variant<RunOptions, Answer> options_of(const RunWords& words) {
  RunOptions options;
  for (std::size_t i = 0; i < std::size(kTable); ++i)
    if (auto problem = read_given(kTable[i], words.given[i], options)) return std::move(*problem);
  if (auto problem = contradiction(options)) return std::move(*problem);
  if (words.rest.empty()) {
    if (auto problem = of_config_only(words)) return std::move(*problem);
    return options;
  }
  if (words.rest.front().empty())
    return run_usage_error("no program to run", "Say which: cohort run server.js");
  if (!options.config.empty() || !options.only.empty())
    return run_usage_error("--config and --only are for `cohort run` without PROGRAM");
  options.program = words.rest.front();
  options.args.assign(words.rest.begin() + 1, words.rest.end());
  return options;
}

std::vector<std::string> arguments_of(const RunWords& words) {
  std::vector<std::string> arguments;
  for (std::size_t i = 0; i < std::size(kTable); ++i) {
    const std::string name = std::string{"--"} + kTable[i].name;
    if (words.given[i].flag) arguments.push_back(name);
    for (const std::string& value : words.given[i].values)
      arguments.insert(arguments.end(), {name, value});
  }
  if (!words.rest.empty()) arguments.emplace_back("--");
  arguments.insert(arguments.end(), words.rest.begin(), words.rest.end());
  return arguments;
}

std::variant<RunOptions, Answer> parse_run(const std::vector<std::string>& arguments) {
  auto words = read_words(arguments);
  if (auto* answer = std::get_if<Answer>(&words)) return std::move(*answer);
  return options_of(std::get<RunWords>(words));
}

}  // namespace cohort::cli
