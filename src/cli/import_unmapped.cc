#include "cli/import_unmapped.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace cohort::cli {
namespace {

constexpr const char* kOfTheCloud =
    "left out: it is for pm2's cloud, or its probes inside the program";
constexpr const char* kOfDeployment = "left out: what a deployment does is the deployment's matter";
constexpr const char* kBackoff =
    "left out: a worker that died is replaced after 100 ms, doubling to 10 s";
constexpr const char* kGivingUp =
    "left out: five deaths without any worker that was ever ready end it; later it is tried for "
    "ever";
constexpr const char* kOfWatch =
    "left out: watch settles for 200 ms, and never looks at node_modules, hidden files and logs";
constexpr const char* kOfTime =
    "left out: a program's lines are its own; `cohort events` has the time of cohort's";
constexpr const char* kOfLog =
    "not here but where it is started: cohort start --log {value} {name}";

constexpr UnmappedField kUnmapped[] = {
    {"name_prefix", "", "left out: write it into the name, as [prefix-{name}]"},
    {"namespace", "\"default\"", "left out: a COHORT_RUNTIME_DIR for each keeps groups apart"},
    {"filter_env", "false|[]", "left out: env-only names those that the workers inherit instead"},
    {"install_url", "", kOfDeployment},
    {"out_file", "", kOfLog},
    {"error_file", "",
     "left out: stdout and stderr of all workers are one log (cohort start --log)"},
    {"log_file", "false", kOfLog},
    {"merge_logs", "true", "left out: one log has the lines of all workers"},
    {"disable_logs", "false",
     "not here but where it is started: cohort start --log /dev/null {name}"},
    {"log_date_format", "", kOfTime},
    {"time", "false", kOfTime},
    {"pid_file", "", "left out: `cohort status --json` has the pid"},
    {"restart_delay", "", kBackoff},
    {"exp_backoff_restart_delay", "", kBackoff},
    {"disable_source_map_support", "true",
     "left out: source maps are only on if NODE_OPTIONS says so"},
    {"shutdown_with_message", "false", "left out: workers are told by a signal, TERM or INT"},
    {"kill_retry_time", "", "left out: whoever is left at the end of `grace` is killed once"},
    {"cron_restart", "0|\"0\"|\"\"|false",
     "left out: cohort has no timer. In a crontab: {value} cohort reload {name}; or max-age = "
     "86400"},
    {"vizion", "false", kOfDeployment},
    {"post_update", "", kOfDeployment},
    {"autostart", "true",
     "left out: `cohort start` starts all of the file, `cohort start NAME` one"},
    {"autorestart", "true",
     "left out: cohort replaces a worker that ends. What ends by itself is a job: cron, or a "
     "oneshot of systemd"},
    {"stop_exit_codes", "[]",
     "left out: a worker that exits with 100 is not started again, and no other code means that"},
    {"watch_delay", "", kOfWatch},
    {"ignore_watch", "", kOfWatch},
    {"watch_options", "", kOfWatch},
    {"min_uptime", "", kGivingUp},
    {"max_restarts", "", kGivingUp},
    {"force", "false", "left out: one name is one application; a second one needs another"},
    {"execute_command", "false", "left out: the script is run as it is given"},
    {"increment_var", "",
     "left out: NODE_APP_INSTANCE counts the workers from 0, and so does COHORT_SLOT"},
    {"instance_var", "\"NODE_APP_INSTANCE\"",
     "left out: it is NODE_APP_INSTANCE, from 0 on; the program has to read that"},
    {"treekill", "true", "left out: what a worker started always ends with it"},
    {"v8", "false", kOfTheCloud},
    {"event_loop_inspector", "false", kOfTheCloud},
    {"deep_monitoring", "false", kOfTheCloud},
    {"trace", "false", kOfTheCloud},
    {"disable_trace", "true", kOfTheCloud},
    {"pmx", "false", kOfTheCloud},
    {"automation", "false", kOfTheCloud},
    {"io", "", kOfTheCloud},
    {"write", "false", "left out: cohort never writes to your configuration"},
    {"windowsHide", "", "left out: it is for Windows"},
};

// Other names of pm2 for its fields, beside those in camel case.
constexpr std::pair<const char*, const char*> kAliases[] = {
    {"exec", "script"},
    {"cmd", "script"},
    {"command", "script"},
    {"interpreter", "exec_interpreter"},
    {"interpreter_args", "node_args"},
    {"out", "out_file"},
    {"output", "out_file"},
    {"out_log", "out_file"},
    {"error", "error_file"},
    {"err", "error_file"},
    {"err_file", "error_file"},
    {"err_log", "error_file"},
    {"log", "log_file"},
    {"pid", "pid_file"},
    {"cron", "cron_restart"},
    {"combine_logs", "merge_logs"},
    {"user", "uid"},
};

std::string in_snake_case(const std::string& name) {
  std::string snake;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isupper(byte) != 0) snake += '_';
    snake += static_cast<char>(std::tolower(byte));
  }
  return snake;
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += with.size())
    text.replace(at, what.size(), with);
}

}  // namespace

const UnmappedField* unmapped_field(std::string_view name) {
  const auto* found = std::find_if(std::begin(kUnmapped), std::end(kUnmapped),
                                   [name](const auto& field) { return name == field.name; });
  return found == std::end(kUnmapped) ? nullptr : found;
}

bool asks_for_what_is_here(const UnmappedField& field, const Value& value) {
  const std::string all = '|' + std::string{field.as_here} + '|';
  return *field.as_here != '\0' && all.find('|' + to_json(value) + '|') != all.npos;
}

std::string why_unmapped(const UnmappedField& field, const Value& value, const std::string& name) {
  std::string why = field.why;
  replace_all(why, "{name}", name);
  replace_all(why, "{value}",
              value.is_string() ? std::string{value.string_or("")} : to_json(value));
  return why;
}

std::string ecosystem_field(const std::string& given) {
  if (given.starts_with("env_") || given == "windowsHide") return given;
  const std::string snake = in_snake_case(given);
  for (const auto& [alias, name] : kAliases)
    if (snake == alias) return name;
  return snake;
}

std::string only_in_javascript(const Value& value) {
  if (!value.is_object() || value.size() != 1) return {};
  const Value& kind = value[kOnlyInJavaScript];
  return std::string{kind.string_or("")};
}

}  // namespace cohort::cli
