#include "cli/plan.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <variant>

#include "base/command_line.h"
#include "cli/applications.h"
#include "cli/fail.h"
#include "cli/names.h"
#include "cli/program_now.h"
#include "cli/run_all.h"
#include "cli/run_options.h"
#include "cli/worker_count.h"
#include "cohort/parallelism.h"
#include "manager/runtime_directory.h"
#include "process/signals.h"

namespace cohort::cli {
namespace {

double plan_seconds(std::chrono::milliseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

std::string plan_time(std::chrono::milliseconds time) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, plan_seconds(time)).ptr;
  return std::string{digits, end} + " s";
}

std::chrono::milliseconds grace_of(const RunOptions& options) {
  return options.grace.value_or(kGraceDefault);
}

std::string stop_signal_name(const RunOptions& options) {
  return process::signal_name(options.stop_signal.value_or(SIGTERM));
}

std::string inherited_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "no variables" : text;
}

std::string names_of_env(const RunOptions& options) {
  std::string names;
  for (const auto& [name, value] : options.env) names += (names.empty() ? "" : ", ") + name;
  return names;
}

std::string why_policy(const Plan& plan) {
  if (plan.options.policy) return "as asked";
  if (plan.policy_of_environment) return "of NODE_CLUSTER_SCHED_POLICY";
  return "the default: adaptive for TCP, round-robin for Unix sockets";
}

// Exit code 100 of `cohort run`, too.
std::string problem_of(const Plan& plan) {
  const unsigned wanted = plan.options.min_ready.value_or(1);
  if (!plan.options.admin || wanted <= plan.workers) return {};
  return "--min-ready is " + std::to_string(wanted) + ", and there are " +
         std::to_string(plan.workers) + " workers: it would never be ready";
}

// `workers   4, as asked`.
class PlanLines {
 public:
  explicit PlanLines(std::string first) : text_{std::move(first)} {}
  void add(std::string what, const std::string& value) {
    constexpr std::size_t kColumn = 13;
    if (value.empty()) return;
    what.resize(kColumn, ' ');
    text_ += "  " + what + value + '\n';
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::variant<Plan, CannotRun> plan_of(const Planned& planned) {
  const RunOptions& options = planned.options;
  // As the primary does: the directory first, then the name.
  std::error_code error;
  if (!way_here().empty()) std::filesystem::current_path(way_here(), error);
  auto found = program_now(options);
  if (auto* problem = std::get_if<CannotRun>(&found)) return std::move(*problem);
  const auto& program = std::get<ProgramNow>(found);
  const WorkerCount count = count_now(options);
  Plan plan{.options = options,
            .name = planned.name.empty() ? name_of(options) : planned.name,
            .command = {program.settings.exec},
            .directory = program.directory,
            .workers = count.count,
            .why_workers = count.why,
            .socket = {},
            .log = planned.log};
  const auto& args = program.settings.args.list();
  plan.command.insert(plan.command.end(), args.begin(), args.end());
  const char* variable = std::getenv("NODE_CLUSTER_SCHED_POLICY");
  const auto of_environment = policy_from(variable == nullptr ? "" : variable);
  plan.policy_of_environment = of_environment.has_value() && !options.policy;
  plan.policy = options.policy.value_or(of_environment.value_or(Policy::Auto));
  plan.socket =
      manager::socket_path(manager::runtime_directory(manager::surroundings()), plan.name);
  for (const Running& each : applications(plan.name)) plan.taken_by = each.pid;
  if (const std::string problem = problem_of(plan); !problem.empty()) return CannotRun{problem};
  return plan;
}

}  // namespace

std::string plan_text(const Plan& plan) {
  const RunOptions& options = plan.options;
  PlanLines lines{plan.name + '\n'};
  lines.add("from", options.config.empty() ? "the command line" : options.config);
  lines.add("program", join_words(words_of(options)));
  lines.add("runs as", join_words(plan.command));
  lines.add("directory", plan.directory);
  lines.add("workers", std::to_string(plan.workers) + ", " + plan.why_workers);
  lines.add("policy", std::string{to_string(plan.policy)} + ", " + why_policy(plan));
  for (const Address& address : options.listen) lines.add("listen", to_string(address));
  if (options.listen.empty()) lines.add("listen", "where the program does");
  lines.add("grace", plan_time(grace_of(options)) +
                         (options.lame_duck.count() == 0
                              ? ""
                              : ", " + plan_time(options.lame_duck) + " of it serving on"));
  if (options.when_empty) lines.add("when empty", when_empty_text(options.when_empty));
  lines.add("stop signal", stop_signal_name(options));
  lines.add("reload", "listens within " + plan_time(options.ready_within) + ", proves itself for " +
                          plan_time(options.prove) +
                          (options.park.count() == 0
                               ? ""
                               : ", then the old workers stay for " + plan_time(options.park)));
  if (options.ready != Readiness{}) lines.add("ready", readiness_text(options.ready));
  if (!options.check.empty()) lines.add("check", "GET " + options.check);
  if (!options.once.empty()) lines.add("first", options.once);
  if (!options.user.empty()) lines.add("user", options.user);
  if (!options.group.empty()) lines.add("group", options.group);
  if (options.no_new_privs) lines.add("privileges", "none are gained (no-new-privs)");
  if (options.env_only) lines.add("inherits", inherited_names(*options.env_only));
  if (options.max_memory)
    lines.add("max memory", std::to_string(*options.max_memory) + " bytes" +
                                (options.kill_memory ? ", killed with more than " +
                                                           std::to_string(*options.kill_memory)
                                                     : ""));
  if (options.max_age) lines.add("max age", plan_time(*options.max_age));
  if (options.max_requests) lines.add("max requests", std::to_string(*options.max_requests));
  if (options.kill_hung)
    lines.add("hung", "killed after " + plan_time(*options.kill_hung) +
                          (options.js_stack ? ", with its JavaScript stack" : ""));
  if (options.admin)
    lines.add("probes", to_string(*options.admin) + ", ready with " +
                            std::to_string(options.min_ready.value_or(1)));
  lines.add("variables", names_of_env(options));
  if (options.watch) lines.add("watch", "a file that changes is a reload");
  if (!options.preload) lines.add("preload", "nothing");
  lines.add("socket", plan.socket);
  lines.add("log", plan.log);
  if (plan.taken_by != 0)
    lines.add("but", "an application called " + plan.name + " runs already (pid " +
                         std::to_string(plan.taken_by) + ')');
  return lines.take();
}

Value plan_value(const Plan& plan) {
  const RunOptions& options = plan.options;
  const auto or_null = [](bool is, Value value) { return is ? std::move(value) : Value(nullptr); };
  Value command = Value::array(), listen = Value::array(), variables = Value::array();
  for (const std::string& word : plan.command) command.push_back(word);
  for (const Address& address : options.listen) listen.push_back(to_string(address));
  for (const auto& [name, value] : options.env) variables.push_back(name);
  Value args = Value::array();
  for (const std::string& word : options.args) args.push_back(word);
  return Value::object(
      {{"name", plan.name},
       {"config", or_null(!options.config.empty(), options.config)},
       {"program", options.program},
       {"args", std::move(args)},
       {"command", std::move(command)},
       {"directory", plan.directory},
       {"workers", plan.workers},
       {"workers_asked", options.workers.has_value()},
       {"why_workers", plan.why_workers},
       {"policy", to_string(plan.policy)},
       {"why_policy", why_policy(plan)},
       {"listen", std::move(listen)},
       {"grace", plan_seconds(grace_of(options))},
       {"lame_duck", plan_seconds(options.lame_duck)},
       {"when_empty", when_empty_text(options.when_empty)},
       {"stop_signal", stop_signal_name(options)},
       {"ready_within", plan_seconds(options.ready_within)},
       {"ready", readiness_text(options.ready)},
       {"check", or_null(!options.check.empty(), options.check)},
       {"prove", plan_seconds(options.prove)},
       {"park", plan_seconds(options.park)},
       {"once", or_null(!options.once.empty(), options.once)},
       {"user", or_null(!options.user.empty(), options.user)},
       {"group", or_null(!options.group.empty(), options.group)},
       {"max_memory", or_null(options.max_memory.has_value(), options.max_memory.value_or(0))},
       {"kill_memory", or_null(options.kill_memory.has_value(), options.kill_memory.value_or(0))},
       {"max_age", or_null(options.max_age.has_value(),
                           plan_seconds(options.max_age.value_or(std::chrono::milliseconds{0})))},
       {"max_requests",
        or_null(options.max_requests.has_value(), options.max_requests.value_or(0))},
       {"kill_hung", or_null(options.kill_hung.has_value(), plan_seconds(options.kill_hung.value_or(
                                                                std::chrono::milliseconds{0})))},
       {"hung_stack", options.js_stack ? "js" : "native"},
       {"admin", or_null(options.admin.has_value(),
                         options.admin ? to_string(*options.admin) : std::string{})},
       {"min_ready", options.min_ready.value_or(1)},
       {"variables", std::move(variables)},
       {"watch", options.watch},
       {"preload", options.preload},
       {"socket", plan.socket},
       {"log", or_null(!plan.log.empty(), plan.log)},
       {"taken_by", or_null(plan.taken_by != 0, plan.taken_by)}});
}

int print_plans(const std::vector<Planned>& all, bool json) {
  int code = 0;
  std::string text;
  Value list = Value::array();
  for (const Planned& each : all) {
    auto plan = plan_of(each);
    if (const auto* problem = std::get_if<CannotRun>(&plan)) {
      code = fail(kExitPermanent, problem->text);
      continue;
    }
    text += (text.empty() ? "" : "\n") + plan_text(std::get<Plan>(plan));
    list.push_back(plan_value(std::get<Plan>(plan)));
  }
  if (json) text = to_json(Value::object({{"applications", std::move(list)}})) + '\n';
  std::fputs(text.c_str(), stdout);
  return code;
}

int dry_run(const RunOptions& options) {
  if (!options.program.empty()) return print_plans({Planned{options}}, options.json);
  auto read = configured(options);
  if (const auto* problem = std::get_if<ConfigProblem>(&read))
    return fail(kExitPermanent, problem->text);
  std::vector<Planned> all;
  for (RunOptions& each : std::get<std::vector<RunOptions>>(read))
    all.push_back(Planned{std::move(each)});
  return print_plans(all, options.json);
}

}  // namespace cohort::cli
