#include "cli/start.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include "base/sys.h"
#include "cli/config_file.h"
#include "cli/control_client.h"
#include "cli/fail.h"
#include "cli/names.h"
#include "cli/plan.h"
#include "cli/report.h"
#include "cli/run_options.h"
#include "cli/serving.h"
#include "cohort/child_process.h"
#include "manager/runtime_directory.h"
#include "manager/service_manager.h"

namespace cohort::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kPause = 50ms;
constexpr int kLinesSaid = 24;

constexpr const char* kStartHelp =
    R"(Usage: cohort start [OPTION...] PROGRAM [ARG...]
       cohort start [OPTION...] [NAME...]

Does what `cohort run` does, in the background. Returns when the workers serve,
or says why they do not; then nothing is left running. With names of
applications in cohort.toml, those; without, all of them.

Options:
      --log FILE          Where the workers' output and the events go. Default:
                          NAME.log in $XDG_STATE_HOME/cohort, of root in
                          /var/log/cohort, else in ~/.local/state/cohort.
      --no-wait           Return at once.
  -h, --help              This text.
      and those of `cohort run` (cohort run --help)

Exit codes: 0 it serves, 100 the command line or PROGRAM is wrong, or the name
is taken, 111 it does not serve.
)";

std::string log_directory() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/')
    return std::string{state} + "/cohort";
  if (::geteuid() == 0) return "/var/log/cohort";
  const char* home = std::getenv("HOME");
  return std::string{home != nullptr ? home : ""} + "/.local/state/cohort";
}

std::string log_of(const StartOptions& options, const std::string& name) {
  return options.log.empty() ? log_directory() + '/' + name + ".log" : options.log;
}

// What was added to a file since it had this size: the end of that.
std::string end_of(const std::string& path, off_t before) {
  constexpr off_t kMost = 64 * 1024;
  const OwnFd file = sys::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  struct stat now{};
  if (!file || ::fstat(file.get(), &now) != 0 || !S_ISREG(now.st_mode)) return {};
  const off_t from = std::max(before, now.st_size - kMost);
  std::string text(static_cast<std::size_t>(std::max<off_t>(now.st_size - from, 0)), '\0');
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), from);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return text;
}

// One application, and the process that runs it.
struct Launch {
  std::string name;
  std::vector<std::string> words;
  RunOptions run;
  std::string log{};
  off_t log_before = 0;
  std::optional<ChildProcess> process{};
  std::optional<Exit> exit{};
  std::string failed{};  ///< There is no process, and why.
};

std::variant<std::vector<Launch>, ConfigProblem> launches_of_config(
    const StartOptions& options, const std::vector<RunOptions>& all) {
  std::vector<std::string> names = options.rest;
  if (!options.run.only.empty()) names.push_back(options.run.only);
  std::vector<Launch> launches;
  for (const RunOptions& each : all)
    if (names.empty() || std::find(names.begin(), names.end(), each.name) != names.end())
      launches.push_back({each.name, {"run", "--config", each.config, "--only", each.name}, each});
  for (const std::string& name : names) {
    const auto one = read_application(all.front().config, name);
    if (const auto* problem = std::get_if<ConfigProblem>(&one)) return *problem;
  }
  return launches;
}

// Words that are all names in cohort.toml are not a program.
bool are_names(const std::vector<std::string>& words, const std::vector<RunOptions>& all) {
  return std::all_of(words.begin(), words.end(), [&](const std::string& word) {
    return std::any_of(all.begin(), all.end(), [&](const auto& each) { return each.name == word; });
  });
}

Launch launch_of_program(const StartOptions& options) {
  Launch launch{name_of(options.run), {"run"}, options.run};
  launch.run.config.clear();  // It is none of those in there.
  // Else a second one would run, under another name.
  if (options.run.name.empty()) launch.words.insert(launch.words.end(), {"--name", launch.name});
  launch.words.insert(launch.words.end(), options.words.begin(), options.words.end());
  return launch;
}

std::variant<std::vector<Launch>, ConfigProblem> launches_of(const StartOptions& options) {
  auto read = read_config_file(options.run.config);
  const auto* all = std::get_if<std::vector<RunOptions>>(&read);
  if (all != nullptr && are_names(options.rest, *all)) {
    if (options.of_run)
      return ConfigProblem{"applications of cohort.toml have their options there: start " +
                           (options.rest.empty() ? "them" : options.rest.front()) +
                           " without any of `cohort run`"};
    return launches_of_config(options, *all);
  }
  const bool has_file = !options.run.config.empty() || ::access("cohort.toml", F_OK) == 0;
  // Else a program that is called so would be taken for it.
  const bool may_be_name = options.rest.size() == 1 && manager::is_name(options.rest.front()) &&
                           ::access(options.rest.front().c_str(), F_OK) != 0;
  if (all == nullptr && has_file && (options.rest.empty() || may_be_name))
    return std::get<ConfigProblem>(std::move(read));
  if (all != nullptr && !options.run.config.empty() && !options.rest.empty()) {
    const auto one = read_application(options.run.config, options.rest.front());
    if (const auto* problem = std::get_if<ConfigProblem>(&one)) return *problem;
  }
  if (!options.run.program.empty()) return std::vector{launch_of_program(options)};
  if (!has_file)
    return ConfigProblem{
        "no program to start, and there is no cohort.toml here\n"
        "Say which: cohort start server.js"};
  return std::get<ConfigProblem>(std::move(read));
}

class Starter {
 public:
  Starter(const StartOptions& options, std::vector<Launch> launches)
      : options_{options}, launches_{std::move(launches)} {}

  int run() {
    // Who starts has said whether it serves; one that is started has systemd no more to speak to.
    (void)manager::take_service_wishes();
    if (const auto made = manager::make_directory(directory_); !made)
      return fail(kExitPermanent, "no place for a control socket: " + made.error().message() +
                                      "; another one: COHORT_RUNTIME_DIR=DIR cohort start ...");
    for (Launch& each : launches_)
      if (const auto code = begin(each)) return *code;
    io_.poll();
    int code = 0;
    for (Launch& each : launches_) {
      const int one = options_.wait || !each.failed.empty() ? wait(each) : 0;
      if (!options_.wait && one == 0)
        std::printf("%s is starting; log: %s\n", each.name.c_str(), each.log.c_str());
      if (code == 0) code = one;
    }
    return code;
  }

 private:
  std::optional<int> begin(Launch& launch) {
    launch.log = log_of(options_, launch.name);
    std::error_code error;
    if (options_.log.empty()) fs::create_directories(log_directory(), error);
    const OwnFd log = sys::open(launch.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0640);
    if (!log)
      return fail(kExitPermanent, launch.log + ": " + std::generic_category().message(errno) +
                                      "; another place: cohort start --log FILE");
    struct stat before{};
    if (::fstat(log.get(), &before) == 0) launch.log_before = before.st_size;
    launch.process = spawn(
        io_, "/proc/self/exe", launch.words,
        {.argv0 = "cohort", .stdio = {Stdio::Ignore, log.get(), log.get()}, .detached = true});
    launch.process->on_exit([&launch](const Exit& exit) { launch.exit = exit; });
    launch.process->on_error([&launch](const Error& why) { launch.failed = why.message(); });
    return std::nullopt;
  }

  // Of the process that we started, and of no other which has the name.
  std::optional<Value> status_of(const Launch& launch) const {
    auto answered = ask(directory_, launch.name, "GET", "/v1/status");
    if (!answered || answered->status != 200 || answered->peer != launch.process->pid())
      return std::nullopt;
    return std::move(answered->body);
  }

  int wait(Launch& launch) {
    auto begun = Clock::now();
    while (!launch.exit && launch.failed.empty()) {
      io_.restart();
      io_.run_for(kPause);
      const auto now = status_of(launch);
      if (now && serving(*now).all()) return serves(launch, *now);
      // What --once does takes as long as it takes.
      if (now && serving(*now).places == 0) begun = Clock::now();
      if (Clock::now() - begun > launch.run.ready_within) return give_up(launch);
    }
    return did_not_start(launch);
  }

  static int serves(const Launch& launch, const Value& now) {
    const auto [places, serve, others, closed] = serving(now);
    std::string text =
        launch.name + " serves: " + std::to_string(serve) + (serve == 1 ? " worker" : " workers");
    if (closed > 0)
      text += " of " + std::to_string(places) + " (the others ended with exit code 100)";
    for (const Value& port : now["ports"].elements())
      text += ", " + std::string{port["address"].string_or("")};
    text += " (pid " + std::to_string(now["pid"].int64_or(0)) + "); log: " + launch.log + '\n';
    std::fputs(text.c_str(), stdout);
    return 0;
  }

  int give_up(Launch& launch) {
    // It has its grace time, and then some.
    const auto until = Clock::now() + launch.run.grace.value_or(kGraceDefault) + 5s;
    launch.process->kill(SIGTERM);
    while (!launch.exit && Clock::now() < until) {
      io_.restart();
      io_.run_for(kPause);
    }
    if (!launch.exit) launch.process->kill(SIGKILL);
    return fail(
        kExitTemporary,
        launch.name + " did not serve within " +
            std::to_string(
                std::chrono::duration_cast<std::chrono::seconds>(launch.run.ready_within).count()) +
            " s (--ready-within), and is stopped" + said(launch));
  }

  int did_not_start(const Launch& launch) const {
    if (!launch.failed.empty())
      return fail(kExitTemporary, launch.name + " did not start: " + launch.failed);
    const bool permanent = launch.exit->code() == kExitPermanent;
    return fail(permanent ? kExitPermanent : kExitTemporary,
                launch.name + " did not start" + said(launch));
  }

  // What it wrote, the end of it.
  static std::string said(const Launch& launch) {
    std::string text = end_of(launch.log, launch.log_before);
    while (text.ends_with('\n')) text.pop_back();
    auto from = text.size();
    for (auto lines = kLinesSaid; lines > 0 && from != std::string::npos; --lines)
      from = from == 0 ? std::string::npos : text.rfind('\n', from - 1);
    if (from != std::string::npos) text.erase(0, from + 1);
    if (text.empty()) return "; log: " + launch.log;
    std::string lines = ":\n  ";
    for (const char c : text) lines += c == '\n' ? "\n  " : std::string{c};
    return lines + "\nlog: " + launch.log;
  }

  const StartOptions& options_;
  const std::string directory_ = manager::runtime_directory(manager::surroundings());
  boost::asio::io_context io_;
  std::vector<Launch> launches_;
};

}  // namespace

std::variant<StartOptions, Answer> parse_start(const std::vector<std::string>& arguments) {
  RunWords::Extra extras[] = {{"--log", false}, {"--no-wait", true}};
  auto words = read_words(arguments, extras);
  if (auto* answer = std::get_if<Answer>(&words)) {
    if (answer->code == 0 && answer->text.starts_with("Usage")) return Answer{0, kStartHelp};
    return std::move(*answer);
  }
  auto& sorted = std::get<RunWords>(words);
  const std::string config = sorted.take("config");
  auto options = options_of(sorted);
  if (auto* answer = std::get_if<Answer>(&options)) return std::move(*answer);
  std::get<RunOptions>(options).config = config;
  return StartOptions{.run = std::get<RunOptions>(std::move(options)),
                      .words = arguments_of(sorted),
                      .rest = sorted.rest,
                      .of_run = sorted.any_of_config(),
                      .log = extras[0].given.values.empty() ? "" : extras[0].given.values.back(),
                      .wait = !extras[1].given.flag};
}

int start(const StartOptions& options) {
  auto launches = launches_of(options);
  if (const auto* problem = std::get_if<ConfigProblem>(&launches))
    return fail(kExitPermanent, problem->text);
  if (options.run.dry_run) {
    std::vector<Planned> all;
    for (const Launch& each : std::get<std::vector<Launch>>(launches))
      all.push_back({each.run, each.name, log_of(options, each.name)});
    return print_plans(all, options.run.json);
  }
  return Starter{options, std::get<std::vector<Launch>>(std::move(launches))}.run();
}

}  // namespace cohort::cli
