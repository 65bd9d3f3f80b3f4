#include "process/fork_order.h"

#include <algorithm>

#include "cohort/value.h"
#include "ipc/clone.h"

namespace cohort::process {
namespace {

// Numbers of the system's are kept as they are: a double has not all of them.
Value number(auto value) { return Value::bigint(static_cast<std::int64_t>(value)); }

Value environment_of(const PreparedSpawn& prepared, Value& order) {
  Value env = Value::array();
  for (const char* entry : prepared.env) {
    if (entry == nullptr) break;
    const char* const pid = prepared.plan.pid;
    if (pid != nullptr && entry == prepared.pid_variable.data())
      order["pid_entry"] = static_cast<double>(env.size());
    env.push_back(entry);
  }
  return env;
}

Value limits_of(const ChildPlan& plan) {
  Value limits = Value::array();
  for (std::size_t i = 0; i < plan.limit_count; ++i) {
    const LimitPlan& each = plan.limits[i];
    limits.push_back(Value::array({number(each.resource), Value::bigint(each.limit.rlim_cur),
                                   Value::bigint(each.limit.rlim_max)}));
  }
  return limits;
}

// Whether a descriptor is beside it; and that of the cgroup behind them.
Value sources_of(const PreparedSpawn& prepared, std::vector<int>& fds) {
  Value sources = Value::array();
  for (const int fd : prepared.sources) {
    sources.push_back(fd >= 0);
    if (fd >= 0) fds.push_back(fd);
  }
  if (prepared.plan.cgroup_procs >= 0) fds.push_back(prepared.plan.cgroup_procs);
  return sources;
}

int int_of(const Value& value, int fallback) { return static_cast<int>(value.int64_or(fallback)); }

void read_plan(const Value& order, ForkOrder& result) {
  ChildPlan& plan = result.plan;
  plan.death_signal = int_of(order["death_signal"], 0);
  plan.new_session = order["new_session"].bool_or(false);
  plan.process_group = int_of(order["process_group"], -1);
  plan.parent = int_of(order["parent"], 0);
  for (const Value& each : order["limits"].elements())
    result.limits.push_back({int_of(each[0], -1), {each[1].uint64_or(0), each[2].uint64_or(0)}});
  plan.limits = result.limits.data();
  plan.limit_count = result.limits.size();
  for (const Value& each : order["cpus"].elements()) result.cpus.push_back(each.uint64_or(0));
  if (!result.cpus.empty()) plan.cpus = result.cpus.data();
  plan.cpus_size = result.cpus.size() * sizeof(unsigned long);
  if (const Value& umask = order["umask"]; !umask.is_undefined()) {
    result.umask = static_cast<mode_t>(umask.int64_or(0));
    plan.umask = &result.umask;
  }
  if (const Value& priority = order["priority"]; !priority.is_undefined()) {
    result.priority = int_of(priority, 0);
    plan.priority = &result.priority;
  }
  if (const Value& directory = order["directory"]; directory.is_string()) {
    result.directory = directory.string_or("");
    plan.directory = result.directory.c_str();
  }
}

void read_environment(const Value& order, ForkOrder& result) {
  for (const Value& each : order["env"].elements()) result.env.emplace_back(each.string_or(""));
  const auto pid_entry = order["pid_entry"].uint64_or(result.env.size());
  if (pid_entry >= result.env.size()) return;
  std::string& entry = result.env[pid_entry];
  const auto end = entry.size();
  entry.resize(end + ChildPlan::kPidSize);
  result.plan.pid = entry.data() + end;
}

}  // namespace

std::string encode_order(const PreparedSpawn& prepared, std::vector<int>& fds) {
  const ChildPlan& plan = prepared.plan;
  Value order = Value::object();
  order["env"] = environment_of(prepared, order);
  order["sources"] = sources_of(prepared, fds);
  order["has_cgroup"] = plan.cgroup_procs >= 0;
  order["has_lifeline"] = plan.lifeline >= 0;
  order["death_signal"] = number(plan.death_signal);
  order["new_session"] = plan.new_session;
  order["process_group"] = number(plan.process_group);
  order["parent"] = number(plan.parent);
  order["limits"] = limits_of(plan);
  Value cpus = Value::array();
  for (const unsigned long word : prepared.cpus) cpus.push_back(Value::bigint(word));
  order["cpus"] = std::move(cpus);
  if (plan.umask != nullptr) order["umask"] = number(*plan.umask);
  if (plan.priority != nullptr) order["priority"] = number(*plan.priority);
  if (plan.directory != nullptr) order["directory"] = plan.directory;
  std::string text;
  // Not nested deeper than it may be.
  std::ignore = ipc::encode_clone(order, text);
  return text;
}

Result<std::unique_ptr<ForkOrder>> decode_order(std::string_view text,
                                                const std::vector<int>& fds) {
  const auto decoded = ipc::CloneDecoder{}.decode(text);
  if (!decoded) return decoded.error();
  const Value& order = decoded->value;
  auto result = std::make_unique<ForkOrder>();
  auto next = fds.begin();
  for (const Value& each : order["sources"].elements()) {
    const bool has_one = each.bool_or(false);
    if (has_one && next == fds.end())
      return make_error(Errc::MalformedMessage, "read an order", "a descriptor is missing");
    result->sources.push_back(has_one ? *next++ : -1);
  }
  read_plan(order, *result);
  read_environment(order, *result);
  ChildPlan& plan = result->plan;
  plan.sources = result->sources.data();
  plan.source_count = static_cast<int>(result->sources.size());
  if (order["has_lifeline"].bool_or(false) && plan.source_count > 0)
    plan.lifeline = result->sources.back();
  if (order["has_cgroup"].bool_or(false)) {
    if (next == fds.end())
      return make_error(Errc::MalformedMessage, "read an order", "the cgroup is missing");
    plan.cgroup_procs = *next;
  }
  return result;
}

}  // namespace cohort::process
