#include "manager/status_json.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/read_file.h"
#include "manager/probes.h"

namespace cohort::manager {
namespace {

double seconds(std::chrono::milliseconds time) { return static_cast<double>(time.count()) / 1000; }

Value address_value(const Address& address) { return to_string(address); }

Value worker_value(const WorkerStatus& worker, const ClusterStatus& status,
                   const std::optional<Usage>& usage) {
  Value value = Value::object({{"id", worker.id},
                               {"pid", worker.pid},
                               {"slot", worker.slot},
                               {"generation", worker.generation},
                               {"state", to_string(worker.state)},
                               {"kept", worker.kept},
                               {"held", worker.held},
                               {"leaves", worker.leaves},
                               {"serves", serves(worker, status)},
                               {"leader", worker.leader},
                               {"uptime", seconds(worker.age)},
                               {"addresses", Value::array()}});
  for (const Address& address : worker.addresses)
    value["addresses"].push_back(address_value(address));
  if (usage) {
    value["cpu_time"] = seconds(usage->cpu_time);
    value["memory"] = usage->memory_bytes;
  }
  if (!worker.check.empty()) value["check"] = worker.check;
  if (worker.load) {
    value["accepted"] = worker.load->accepted;
    if (worker.load->connections) value["connections"] = *worker.load->connections;
    if (worker.load->in_flight) value["in_flight"] = *worker.load->in_flight;
  }
  if (worker.requests) value["requests"] = *worker.requests;
  return value;
}

Value port_value(const PortStatus& port) {
  Value value = Value::object({{"address", address_value(port.address)},
                               {"policy", to_string(port.policy)},
                               {"waiting", port.waiting},
                               {"workers", Value::array()}});
  for (const int worker : port.workers) value["workers"].push_back(worker);
  return value;
}

}  // namespace

std::optional<Usage> parse_usage(std::string_view stat, long ticks_per_second,
                                 std::uint64_t page_size) {
  // The name of the program, in parentheses, may hold anything.
  const auto name_end = stat.rfind(") ");
  if (name_end == stat.npos) return std::nullopt;
  stat.remove_prefix(name_end + 2);
  // proc_pid_stat(5): the third field is the first one here.
  constexpr std::size_t kUserTime = 14 - 3, kSystemTime = 15 - 3, kResident = 24 - 3;
  std::array<std::uint64_t, kResident + 1> fields{};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto end = std::min(stat.find(' '), stat.size());
    if (end == 0) return std::nullopt;
    std::from_chars(stat.data(), stat.data() + end, fields[i]);
    stat.remove_prefix(std::min(end + 1, stat.size()));
  }
  const std::uint64_t ticks = fields[kUserTime] + fields[kSystemTime];
  return Usage{
      std::chrono::milliseconds{ticks * 1000 / static_cast<std::uint64_t>(ticks_per_second)},
      fields[kResident] * page_size};
}

std::optional<Usage> usage_of(pid_t pid, const std::filesystem::path& root) {
  const auto stat = read_file(root / std::to_string(pid) / "stat");
  if (!stat) return std::nullopt;
  return parse_usage(*stat, ::sysconf(_SC_CLK_TCK),
                     static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
}

std::optional<std::uint64_t> own_memory_of(pid_t pid, const std::filesystem::path& root) {
  const auto text = read_file(root / std::to_string(pid) / "smaps_rollup");
  const std::string_view name = "\nPss:";
  const auto at = text ? text->find(name) : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  const char* begin = text->data() + text->find_first_not_of(' ', at + name.size());
  std::uint64_t kibibytes = 0;
  if (std::from_chars(begin, text->data() + text->size(), kibibytes).ec != std::errc{})
    return std::nullopt;
  return kibibytes * 1024;
}

Value to_value(const RolloutResult& result) {
  Value value = Value::object({{"generation", result.generation},
                               {"outcome", to_string(result.outcome)},
                               {"text", result.text}});
  if (result.worker) value["worker"] = *result.worker;
  return value;
}

Value status_value(const Application& application, const std::string& directory,
                   const ClusterStatus& status, const std::deque<RolloutResult>& rollouts,
                   std::chrono::steady_clock::time_point now,
                   const std::function<std::optional<Usage>(pid_t)>& usage) {
  const auto uptime =
      std::chrono::duration_cast<std::chrono::milliseconds>(now - application.begun);
  Value value = Value::object(
      {{"name", application.name},
       {"program", application.program},
       {"directory", directory},
       {"version", application.version},
       {"pid", application.pid},
       {"started", static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                           application.since.time_since_epoch())
                                           .count()) /
                       1000},
       {"uptime", seconds(uptime)},
       {"phase", to_string(status.phase)},
       {"policy", to_string(status.policy)},
       {"places", status.places},
       {"generation", status.generation},
       {"rollout", nullptr},
       {"parked", nullptr},
       {"rollouts", Value::array()},
       {"workers", Value::array()},
       {"closed", Value::array()},
       {"failing", Value::array()},
       {"ports", Value::array()},
       {"forks", status.forks},
       {"exits", status.exits},
       {"deaths", status.deaths}});
  if (status.rollout)
    value["rollout"] = Value::object({{"generation", status.rollout->generation},
                                      {"phase", to_string(status.rollout->phase)},
                                      {"replaced", status.rollout->replaced}});
  if (status.parked)
    value["parked"] = Value::object(
        {{"generation", status.parked->generation}, {"left", seconds(status.parked->left)}});
  for (const RolloutResult& result : rollouts) value["rollouts"].push_back(to_value(result));
  for (const WorkerStatus& worker : status.workers)
    value["workers"].push_back(worker_value(worker, status, usage(worker.pid)));
  for (const ClosedPlace& place : status.closed)
    value["closed"].push_back(Value::object({{"slot", place.slot}, {"worker", place.worker}}));
  for (const FailingPlace& place : status.failing)
    value["failing"].push_back(Value::object(
        {{"slot", place.slot}, {"deaths", place.deaths}, {"next", seconds(place.next)}}));
  for (const PortStatus& port : status.ports) value["ports"].push_back(port_value(port));
  return value;
}

}  // namespace cohort::manager
