#include "cli/changes.h"

#include <charconv>
#include <optional>
#include <set>

#include "base/command_line.h"
#include "cli/run_options.h"
#include "process/signals.h"

namespace cohort::cli {
namespace {

std::string words(const RunOptions& options) {
  std::vector<std::string> all{options.program};
  all.insert(all.end(), options.args.begin(), options.args.end());
  return command_text(all);
}

std::string interpreter(const RunOptions& options) {
  std::vector<std::string> all{options.interpreter};
  all.insert(all.end(), options.interpreter_args.begin(), options.interpreter_args.end());
  return options.interpreter.empty() ? "default" : join_words(all);
}

std::string count(const std::optional<unsigned>& workers) {
  return workers ? std::to_string(*workers) : "auto";
}

std::string policy(const std::optional<Policy>& policy) {
  return policy ? to_string(*policy) : "auto";
}

std::string seconds(const std::optional<std::chrono::milliseconds>& time) {
  if (!time) return "default";
  char digits[32];
  const auto end =
      std::to_chars(digits, digits + sizeof digits, static_cast<double>(time->count()) / 1000).ptr;
  return std::string{digits, end} + " s";
}

std::string signal(const std::optional<int>& number) {
  return number ? process::signal_name(*number) : "default";
}

std::string addresses(const std::vector<Address>& all) {
  std::string text;
  for (const Address& each : all) text += (text.empty() ? "" : ", ") + to_string(each);
  return text.empty() ? "nothing" : text;
}

std::vector<Address> of(const std::optional<Address>& address) {
  return address ? std::vector{*address} : std::vector<Address>{};
}

std::string megabytes(const std::optional<std::uint64_t>& size) {
  return size ? std::to_string(*size >> 20) + "M" : "default";
}

std::string quoted(const std::string& command) {
  return command.empty() ? "nothing" : '`' + command + '`';
}

std::string path(const std::string& check) { return check.empty() ? "nothing" : check; }

std::string whose(const std::string& name) { return name.empty() ? "cohort's" : name; }

std::string inherited(const std::optional<std::vector<std::string>>& names) {
  if (!names) return "all";
  std::string text;
  for (const std::string& name : *names) text += (text.empty() ? "" : ",") + name;
  return text.empty() ? "nothing" : text;
}

std::string number(const std::optional<std::uint64_t>& limit) {
  return limit ? std::to_string(*limit) : "none";
}

std::string yes_or_no(bool yes) { return yes ? "yes" : "no"; }

}  // namespace

std::vector<std::string> changes(const RunOptions& was, const RunOptions& is) {
  std::vector<std::string> all;
  const auto compare = [&all](const char* what, const std::string& before, const std::string& now,
                              const char* counts = "") {
    if (before != now) all.push_back(std::string{what} + ' ' + before + " -> " + now + counts);
  };
  compare("command", words(was), words(is));
  compare("interpreter", interpreter(was), interpreter(is));
  compare("cwd", was.cwd, is.cwd);
  compare("workers", count(was.workers), count(is.workers));
  compare("grace", seconds(was.grace), seconds(is.grace));
  compare("when-empty", when_empty_text(was.when_empty), when_empty_text(is.when_empty));
  compare("stop-signal", signal(was.stop_signal), signal(is.stop_signal));
  compare("lame-duck", seconds(was.lame_duck), seconds(is.lame_duck));
  compare("ready-within", seconds(was.ready_within), seconds(is.ready_within));
  compare("ready", readiness_text(was.ready), readiness_text(is.ready));
  compare("check", path(was.check), path(is.check));
  compare("prove", seconds(was.prove), seconds(is.prove));
  compare("park", seconds(was.park), seconds(is.park));
  compare("once", quoted(was.once), quoted(is.once));
  compare("watch", yes_or_no(was.watch), yes_or_no(is.watch));
  compare("preload", yes_or_no(was.preload), yes_or_no(is.preload));
  compare("user", whose(was.user), whose(is.user));
  compare("group", whose(was.group), whose(is.group));
  compare("no-new-privs", yes_or_no(was.no_new_privs), yes_or_no(is.no_new_privs));
  compare("env-only", inherited(was.env_only), inherited(is.env_only));
  std::set<std::string> names;
  for (const auto* env : {&was.env, &is.env})
    for (const auto& [name, value] : *env) names.insert(name);
  for (const std::string& name : names) {
    const auto before = was.env.find(name), now = is.env.find(name);
    if (now == is.env.end())
      all.push_back("env " + name + " is gone");
    else if (before == was.env.end())
      all.push_back("env " + name + " is new");
    else if (before->second != now->second)
      all.push_back("env " + name + " has changed");
  }
  constexpr const char* kLater = " (counts from the next start on: cohort restart)";
  compare("balance", policy(was.policy), policy(is.policy), kLater);
  compare("max-memory", megabytes(was.max_memory), megabytes(is.max_memory));
  compare("max-memory to be killed", megabytes(was.kill_memory), megabytes(is.kill_memory));
  compare("max-age", seconds(was.max_age), seconds(is.max_age));
  compare("max-requests", number(was.max_requests), number(is.max_requests));
  compare("kill-hung", seconds(was.kill_hung), seconds(is.kill_hung));
  compare("hung-stack", was.js_stack ? "js" : "native", is.js_stack ? "js" : "native");
  compare("admin", addresses(of(was.admin)), addresses(of(is.admin)), kLater);
  compare("min-ready", std::to_string(was.min_ready.value_or(1)),
          std::to_string(is.min_ready.value_or(1)), kLater);
  compare("listen", addresses(was.listen), addresses(is.listen), kLater);
  compare("json", yes_or_no(was.json), yes_or_no(is.json), kLater);
  return all;
}

}  // namespace cohort::cli
