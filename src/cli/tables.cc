#include "cli/tables.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace cohort::cli {
namespace {

constexpr long kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;

std::string integer(const Value& value) { return std::to_string(value.int64_or(0)); }
std::string string(const Value& value) { return std::string{value.string_or("")}; }

std::string format(const char* pattern, double number) {
  char text[32];
  std::snprintf(text, sizeof text, pattern, number);
  return text;
}

std::string two(long first, const char* first_unit, long second, const char* second_unit) {
  return std::to_string(first) + first_unit + ' ' + std::to_string(second) + second_unit;
}

bool listens(const Value& worker) { return worker["state"] == "listening"; }

bool is_without_ports(const Value& status) { return status["ports"].elements().empty(); }

// Whoever serves in a place: not one whose successor has it. Of a program without ports, who is
// ready.
std::size_t count_of_serving(const Value& status) {
  const auto workers = status["workers"].elements();
  const bool without_ports = is_without_ports(status);
  return static_cast<std::size_t>(
      std::count_if(workers.begin(), workers.end(), [&](const Value& worker) {
        const bool serves = without_ports && worker["serves"].bool_or(false);
        return serves || (listens(worker) && worker["kept"].bool_or(false));
      }));
}

std::string places_text(const Value& status) {
  return std::to_string(count_of_serving(status)) + '/' + integer(status["places"]);
}

double sum_of(const Value& status, const char* member) {
  double sum = 0;
  for (const Value& worker : status["workers"].elements()) sum += worker[member].number_or(0);
  return sum;
}

std::string requests_text(const Value& worker) {
  const Value& requests = worker["requests"];
  return requests.is_number() ? amount_text(requests.number_or(0)) : "-";
}

std::string addresses_text(const Value& ports) {
  std::string text;
  for (const Value& port : ports.elements())
    text += (text.empty() ? "" : ", ") + string(port["address"]);
  return text.empty() ? "-" : text;
}

std::string state_text(const Value& worker) {
  const std::string state = worker["held"].bool_or(false)     ? "held"
                            : worker["leaves"].bool_or(false) ? "leaving"
                                                              : string(worker["state"]);
  return worker["leader"].bool_or(false) ? state + ", leader" : state;
}

std::string lines_text(const Value& lines) {
  std::string text;
  for (const Value& line : lines.elements()) text += "  " + string(line) + '\n';
  return text;
}

// Of `2026-11-29T22:14:03.123Z` the time of day.
std::string time_text(const Value& event) {
  const std::string time = string(event["time"]);
  return time.size() < 19 ? time : time.substr(11, 8);
}

}  // namespace

std::string duration_text(double seconds) {
  if (seconds < kMinute) return format(seconds < 10 ? "%.1fs" : "%.0fs", seconds);
  const long whole = static_cast<long>(seconds);
  if (whole < kHour) return two(whole / kMinute, "m", whole % kMinute, "s");
  if (whole < kDay) return two(whole / kHour, "h", whole % kHour / kMinute, "m");
  return two(whole / kDay, "d", whole % kDay / kHour, "h");
}

std::string memory_text(double bytes) {
  constexpr double kKilo = 1000;
  std::size_t unit = 0;
  constexpr std::array<const char*, 4> kUnits{"kB", "MB", "GB", "TB"};
  for (bytes /= kKilo; bytes >= kKilo && unit + 1 < kUnits.size(); ++unit) bytes /= kKilo;
  return format(bytes < 10 ? "%.1f " : "%.0f ", bytes) + kUnits[unit];
}

std::string amount_text(double count) {
  constexpr double kThousand = 1000;
  if (count < 10 * kThousand) return format("%.0f", count);
  std::size_t unit = 0;
  constexpr std::array<const char*, 3> kUnits{"k", "M", "G"};
  for (count /= kThousand; count >= kThousand && unit + 1 < kUnits.size(); ++unit)
    count /= kThousand;
  return format(count < 10 ? "%.1f" : "%.0f", count) + kUnits[unit];
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      line.append(widths[i] - row[i].size() + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string ls_text(const std::vector<Value>& applications) {
  if (applications.empty())
    return "No application runs under cohort. Start one: cohort run server.js\n";
  std::vector<std::vector<std::string>> rows{
      {"NAME", "PID", "WORKERS", "GENERATION", "UPTIME", "DEATHS", "CPU", "MEMORY", "LISTENS ON"}};
  for (const Value& status : applications)
    rows.push_back({string(status["name"]), integer(status["pid"]), places_text(status),
                    integer(status["generation"]), duration_text(status["uptime"].number_or(0)),
                    integer(status["deaths"]), duration_text(sum_of(status, "cpu_time")),
                    memory_text(sum_of(status, "memory")), addresses_text(status["ports"])});
  return table(rows);
}

// One line for all of them.
std::string failing_text(const Value& status) {
  std::string text;
  for (const Value& place : status["failing"].elements()) {
    const double next = place["next"].number_or(0);
    text += (text.empty() ? "failing  " : "; ") + ("slot " + integer(place["slot"])) + ": " +
            integer(place["deaths"]) + " workers have died in a row, " +
            (next > 0 ? "the next one starts in " + duration_text(next) : "the next one runs");
  }
  return text.empty() ? text : text + " (cohort why)\n";
}

std::string missing_text(const Value& status) {
  const std::string why = string(status["why_missing"]);
  return why.empty() ? why
                     : "missing  a worker cannot be started, and is tried again: " + why + '\n';
}

std::string status_text(const Value& status) {
  std::string text = string(status["name"]) + ": " + std::to_string(count_of_serving(status)) +
                     " of " + integer(status["places"]) +
                     (is_without_ports(status) ? " workers are ready" : " workers listen") +
                     ", generation " + integer(status["generation"]) + ", up " +
                     duration_text(status["uptime"].number_or(0));
  if (!(status["phase"] == "running")) text += ", " + string(status["phase"]);
  if (!status["failing"].elements().empty()) text += ", degraded";
  text += '\n';
  if (status["rollout"].is_object()) text += "reload   " + progress_text(status) + '\n';
  if (const Value& parked = status["parked"]; parked.is_object())
    text += "parked   generation " + integer(parked["generation"]) + ", for " +
            duration_text(parked["left"].number_or(0)) + " more (cohort rollback)\n";
  text += "program  " + string(status["program"]) + " in " + string(status["directory"]) +
          " (primary: pid " + integer(status["pid"]) + ", cohort " + string(status["version"]) +
          ")\n";
  if (const std::string why = string(status["why_so_many"]); !why.empty())
    text += "workers  " + integer(status["places"]) + ", " + why + '\n';
  text += failing_text(status) + missing_text(status);
  for (const Value& port : status["ports"].elements())
    text += "port     " + string(port["address"]) + ", " + string(port["policy"]) + ", " +
            integer(port["waiting"]) + " connections wait\n";
  std::vector<std::vector<std::string>> rows{
      {"SLOT", "WORKER", "PID", "STATE", "GEN", "UPTIME", "CPU", "MEMORY", "REQUESTS"}};
  for (const Value& worker : status["workers"].elements())
    rows.push_back({integer(worker["slot"]), integer(worker["id"]), integer(worker["pid"]),
                    state_text(worker), integer(worker["generation"]),
                    duration_text(worker["uptime"].number_or(0)),
                    duration_text(worker["cpu_time"].number_or(0)),
                    memory_text(worker["memory"].number_or(0)), requests_text(worker)});
  std::string awaited;
  for (const Value& worker : status["workers"].elements())
    if (const std::string why = string(worker["check"]); !why.empty())
      awaited += "awaited  worker " + integer(worker["id"]) + ": " + why + '\n';
  text += awaited;
  for (const Value& place : status["closed"].elements())
    rows.push_back(
        {integer(place["slot"]), integer(place["worker"]), "-", "closed", "-", "-", "-", "-", "-"});
  std::sort(rows.begin() + 1, rows.end(), [](const auto& a, const auto& b) {
    return std::pair{std::stol(a[0]), std::stol(a[1])} <
           std::pair{std::stol(b[0]), std::stol(b[1])};
  });
  return text + '\n' + table(rows);
}

std::string event_text(const Value& event) {
  if (event["event"] == "missed") return "(" + integer(event["count"]) + " events are not kept)\n";
  return time_text(event) + ' ' + string(event["message"]) + '\n' + lines_text(event["lines"]);
}

bool is_closed_by(const Value& status, const Value& worker) {
  const auto closed = status["closed"].elements();
  return std::any_of(closed.begin(), closed.end(),
                     [&](const Value& place) { return place["worker"] == worker; });
}

std::string sequel_text(const Value& end, const std::vector<Value>& ends, const Value& status) {
  const Value& slot = end["slot"];
  const std::int64_t id = end["worker"].int64_or(0);
  if (is_closed_by(status, end["worker"]))
    return "its place is closed: `cohort reload` starts it again";
  // Who came next there: of those that live, and of those that have ended, too.
  std::int64_t next = 0;
  bool lives = false;
  const auto consider = [&](const Value& of_slot, std::int64_t other, bool now) {
    if (of_slot != slot || other <= id || (next != 0 && next <= other)) return;
    next = other;
    lives = now;
  };
  for (const Value& other : ends) consider(other["slot"], other["worker"].int64_or(0), false);
  for (const Value& worker : status["workers"].elements())
    consider(worker["slot"], worker["id"].int64_or(0), true);
  if (next != 0)
    return "worker " + std::to_string(next) + (lives ? " is in its slot now" : " came in its slot");
  for (const Value& place : status["failing"].elements())
    if (const double wait = place["next"].number_or(0); place["slot"] == slot && wait > 0)
      return "another one starts in its slot in " + duration_text(wait);
  // It was to replace this one.
  for (const Value& worker : status["workers"].elements())
    if (worker["slot"] == slot) return "worker " + integer(worker["id"]) + " serves on in its slot";
  return {};
}

std::string end_text(const Value& event, const std::string& sequel) {
  std::string text = string(event["time"]) + ' ' + string(event["message"]) + '\n';
  const Value& exit = event["exit"];
  text += "  slot " + integer(event["slot"]) + ", generation " + integer(event["generation"]) +
          ", after " + duration_text(event["uptime"].number_or(0)) +
          (event["listened"].bool_or(false) ? "" : ", never listened");
  if (exit["userTime"].is_number())
    text +=
        "; CPU " + duration_text(exit["userTime"].number_or(0) + exit["systemTime"].number_or(0));
  if (exit["peakMemory"].is_number())
    text += ", peak memory " + memory_text(exit["peakMemory"].number_or(0));
  text += '\n';
  if (!sequel.empty()) text += "  " + sequel + '\n';
  if (const Value& hung = event["hung"]; hung.is_object())
    text += "  " + string(hung["message"]) + '\n' + lines_text(hung["lines"]);
  const std::string last_words = lines_text(exit["stderr"]);
  if (!last_words.empty()) text += "  the last lines on stderr:\n" + last_words;
  return text;
}

std::string progress_text(const Value& status) {
  const Value& rollout = status["rollout"];
  std::string text = "generation " + integer(rollout["generation"]) + ": ";
  if (rollout["phase"] == "undoing") return text + "being undone";
  if (rollout["phase"] == "preparing") return text + "its --once command runs";
  text += integer(rollout["replaced"]) + " of " + integer(status["places"]) + " replaced";
  return rollout["phase"] == "proving" ? text + ", they have to prove themselves" : text;
}

}  // namespace cohort::cli
