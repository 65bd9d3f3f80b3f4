#include "cli/unit_file.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "base/command_line.h"
#include "cli/config_file.h"
#include "cli/fail.h"
#include "cli/names.h"
#include "cli/program_now.h"
#include "cli/run_options.h"
#include "process/program.h"

namespace cohort::cli {
namespace {

constexpr const char* kSystemdHelp =
    R"(Usage: cohort systemd [--user-unit] [OPTION...] PROGRAM [ARG...]
       cohort systemd [--user-unit] --only NAME

Prints the unit file of a service of systemd that runs, in this directory:
cohort run [OPTION...] PROGRAM [ARG...]. With --only: an application of
cohort.toml.

Options:
      --user-unit         For `systemctl --user`. It is the first word.
  -h, --help              This text.
      and those of `cohort run` (cohort run --help)

systemd is told when all workers serve, of reloads and of the stop; and it
starts the service again when the primary hangs.

Example:
  cohort systemd -w 4 server.js | sudo tee /etc/systemd/system/server.service
  sudo systemctl daemon-reload && sudo systemctl enable --now server
)";

constexpr std::chrono::milliseconds kGraceOfTheLibrary{25'000};
constexpr int kAfterGraceSeconds = 5;

// Where nothing is quoted, only specifiers are special.
std::string without_specifiers(std::string_view text) {
  std::string result;
  for (const char c : text) result += c == '%' ? "%%" : std::string(1, c);
  return result;
}

std::string escaped(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (c == '"' || c == '\\') return {'\\', c};
  if (c == '%') return "%%";
  if (byte >= 0x20 && byte != 0x7f) return {c};
  char text[5];
  std::snprintf(text, sizeof text, "\\x%02x", byte);
  return text;
}

std::string command_line_of(const UnitOptions& options, const UnitPlace& place) {
  std::string line = unit_word(place.cohort) + " run";
  for (const std::string& word : options.words) line += ' ' + unit_argument(word);
  return line;
}

// What is there would be hidden from the service.
bool uses_tmp(const UnitOptions& options, const UnitPlace& place) {
  const auto names_it = [](const std::string& text) {
    return (text + '/').find("/tmp/") != std::string::npos;
  };
  return names_it(place.directory) ||
         std::any_of(options.words.begin(), options.words.end(), names_it);
}

int stop_seconds(const RunOptions& options) {
  const auto grace = options.grace.value_or(kGraceOfTheLibrary);
  return static_cast<int>(std::chrono::ceil<std::chrono::seconds>(grace).count()) +
         kAfterGraceSeconds;
}

std::string setting(std::string_view name, std::string_view value) {
  return std::string{name} + '=' + std::string{value} + '\n';
}

// How it is run here: the command, the directory, and what its lookup depends on.
std::string command_settings(const UnitOptions& options, const UnitPlace& place) {
  return setting("ExecStart", command_line_of(options, place)) +
         setting("ExecReload", "/bin/kill -HUP $MAINPID") +
         setting("WorkingDirectory", without_specifiers(place.directory)) +
         "# As in the shell: a link on the way is followed anew by each reload; `node` is "
         "found.\n" +
         setting("Environment", unit_word("PWD=" + place.directory)) +
         setting("Environment", unit_word("PATH=" + place.path));
}

std::string end_settings(const RunOptions& options) {
  return "# The workers are asked to end by cohort; systemd kills what is left.\n" +
         setting("KillMode", "mixed") +
         setting("TimeoutStopSec", std::to_string(stop_seconds(options))) +
         setting("WatchdogSec", "10s") + setting("Restart", "on-failure") +
         "# Not so fast that systemd gives up.\n" + setting("RestartSec", "3s") +
         "# The command line or the program is wrong.\n" +
         setting("RestartPreventExitStatus", std::to_string(kExitPermanent));
}

std::string memory_settings(const RunOptions& options) {
  if (!options.max_memory) return {};
  return "# So that each worker has a cgroup of its own, with the limits of --max-memory.\n" +
         setting("Delegate", "memory");
}

// The control socket is where `cohort ls` of the same user looks; root's is /run/cohort anyway. The
// directory stays when one service stops: others of the user are in it.
std::string user_settings(const RunOptions& options, const UnitPlace& place) {
  if (place.uid == 0 && !options.user.empty())
    return "# Root opens the ports; the workers are of the user of --user.\n";
  if (place.uid == 0)
    return "# A user of its own is better than root: cohort systemd, as that user.\n";
  const std::string directory = "cohort-" + std::to_string(place.uid);
  return setting("User", place.user) + setting("RuntimeDirectory", directory) +
         setting("RuntimeDirectoryMode", "0700") + setting("RuntimeDirectoryPreserve", "yes") +
         setting("Environment", "COHORT_RUNTIME_DIR=/run/" + directory) +
         "# For the shortest queue by eBPF, and for ports below 1024; the workers have them, "
         "too.\n" +
         setting("#AmbientCapabilities", "CAP_BPF CAP_PERFMON") +
         setting("#AmbientCapabilities", "CAP_NET_BIND_SERVICE");
}

std::string user_name(uid_t uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry == nullptr ? std::to_string(uid) : entry->pw_name;
}

}  // namespace

std::variant<UnitOptions, Answer> parse_unit(std::vector<std::string> words) {
  const bool for_user = !words.empty() && words.front() == "--user-unit";
  if (for_user) words.erase(words.begin());
  auto parsed = parse_run(words);
  if (auto* answer = std::get_if<Answer>(&parsed))
    return answer->code == 0 && answer->text.starts_with("Usage") ? Answer{0, kSystemdHelp}
                                                                  : std::move(*answer);
  auto& run = std::get<RunOptions>(parsed);
  if (run.dry_run)
    return Answer{kExitPermanent,
                  "cohort: --dry-run is for `cohort run` and `cohort start`: cohort systemd only "
                  "prints\nTry: cohort systemd --help\n"};
  if (run.program.empty() && run.only.empty())
    return Answer{kExitPermanent,
                  "cohort: no program to run\nSay which: cohort systemd server.js, or cohort "
                  "systemd --only NAME of cohort.toml\n"};
  return UnitOptions{.run = std::move(run), .words = std::move(words), .for_user = for_user};
}

std::string unit_word(std::string_view word) {
  std::string quoted;
  for (const char c : word) quoted += escaped(c);
  const bool plain = !word.empty() && quoted.find_first_of(" '\"\\;") == std::string::npos;
  return plain ? quoted : '"' + quoted + '"';
}

std::string unit_argument(std::string_view word) {
  std::string doubled;
  for (const char c : unit_word(word)) doubled += c == '$' ? "$$" : std::string(1, c);
  return doubled;
}

std::string unit_text(const UnitOptions& options, const std::string& name, const UnitPlace& place) {
  const bool of_system = !options.for_user;
  const std::string folder = of_system ? "/etc/systemd/system/" : "~/.config/systemd/user/";
  const std::string systemctl = of_system ? "systemctl " : "systemctl --user ";
  std::string text =
      "# " + folder + name + ".service\n# " + systemctl + "daemon-reload && " + systemctl +
      "enable --now " + name + "\n[Unit]\n" +
      setting("Description", without_specifiers(command_text(words_of(options.run))));
  if (of_system) text += setting("After", "network.target");
  text +=
      "\n[Service]\n"
      "# systemd >= 253: notify-reload, without ExecReload. A reload then waits for its "
      "verdict.\n" +
      setting("Type", "notify") + setting("NotifyAccess", "main") +
      command_settings(options, place) + end_settings(options.run) + memory_settings(options.run) +
      setting("LimitNOFILE", "65536") + setting("NoNewPrivileges", "yes");
  if (of_system && !uses_tmp(options, place)) text += setting("PrivateTmp", "yes");
  if (of_system) text += setting("ProtectSystem", "full") + user_settings(options.run, place);
  return text + "\n[Install]\n" +
         setting("WantedBy", of_system ? "multi-user.target" : "default.target");
}

int run(UnitOptions options) {
  if (options.run.program.empty()) {
    auto application = read_application(options.run.config, options.run.only);
    if (const auto* problem = std::get_if<ConfigProblem>(&application))
      return fail(kExitPermanent, problem->text);
    options.run = std::get<RunOptions>(std::move(application));
  }
  const auto cohort = process::running_program();
  if (!cohort) return fail(kExitTemporary, "where this program is cannot be read in /proc");
  const char* path = std::getenv("PATH");
  const UnitPlace place{.cohort = *cohort,
                        .directory = way_here().string(),
                        .path = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path,
                        .uid = ::geteuid(),
                        .user = user_name(::geteuid())};
  std::fputs(unit_text(options, name_of(options.run), place).c_str(), stdout);
  return 0;
}

}  // namespace cohort::cli
