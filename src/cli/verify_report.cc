#include "cli/verify_report.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "cli/options.h"
#include "cli/tables.h"

namespace cohort::cli {
namespace {

using std::chrono::microseconds;

constexpr double kP99 = 0.99;

// 48 211
std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t end = text.size(); end > 3;) text.insert(end -= 3, " ");
  return text;
}

std::string count_of(std::uint64_t number, const char* what) {
  return grouped(number) + ' ' + what + (number == 1 ? "" : "s");
}

double in_milliseconds(microseconds time) { return static_cast<double>(time.count()) / 1000; }

std::string milliseconds_text(microseconds time) {
  constexpr double kRough = 10;
  char text[32];
  const double value = in_milliseconds(time);
  std::snprintf(text, sizeof text, value < kRough ? "%.1f ms" : "%.0f ms", value);
  return text;
}

std::string p99_text(const Durations& durations) {
  const auto p99 = durations.quantile(kP99);
  return p99 ? milliseconds_text(*p99) : "-";
}

const char* client_text(LoadKind kind) {
  static constexpr const char* kTexts[] = {"GET, a connection for each", "GET, keep-alive",
                                           "POST in two parts, keep-alive", "GET, read slowly",
                                           "GET, long after connecting"};
  return kTexts[static_cast<std::size_t>(kind)];
}

std::string clients_text(const VerifyReport& report) {
  std::vector<std::vector<std::string>> rows{
      {"CLIENTS", "REQUESTS", "FAILED", "CLOSED IDLE", "SLOWEST"}};
  const auto add = [&rows](const char* name, const LoadTally::Row& row) {
    rows.push_back({name, grouped(row.requests), grouped(row.failed), grouped(row.closed_idle),
                    milliseconds_text(row.slowest)});
  };
  for (const LoadKind kind : kLoadKinds)
    if (report.tally.of(kind).requests > 0) add(client_text(kind), report.tally.of(kind));
  add("all", report.tally.sum());
  return table(rows);
}

std::string left_out_text(const VerifyReport& report) {
  std::string text;
  for (const LeftOut& each : report.left_out)
    text += "Left out: " + std::string{client_text(each.kind)} + ": " + each.why + ".\n";
  const auto reopened = report.tally.sum().reopened;
  if (reopened > 0)
    text += "Between two requests the server closed " + count_of(reopened, "kept connection") +
            ": nothing is lost by that.\n";
  return text;
}

std::map<std::string, std::vector<const ReloadVerdict*>> by_outcome(const VerifyReport& report) {
  std::map<std::string, std::vector<const ReloadVerdict*>> all;
  for (const ReloadVerdict& each : report.reloads) all[each.outcome].push_back(&each);
  return all;
}

std::string reloads_text(const VerifyReport& report) {
  std::vector<std::vector<std::string>> rows{{"RELOADS", "COUNT", "SLOWEST"}};
  for (const auto& [outcome, reloads] : by_outcome(report)) {
    const auto slowest = *std::max_element(reloads.begin(), reloads.end(),
                                           [](auto* a, auto* b) { return a->time < b->time; });
    rows.push_back({outcome, std::to_string(reloads.size()),
                    duration_text(std::chrono::duration<double>(slowest->time).count())});
  }
  std::string text = table(rows);
  const auto failed = std::find_if(report.reloads.begin(), report.reloads.end(),
                                   [](const auto& each) { return each.outcome != "reached"; });
  if (failed != report.reloads.end())
    text += "generation " + std::to_string(failed->generation) + ": " + failed->text + '\n';
  return text;
}

std::string when_text(const LoadMoment& moment) {
  return moment.reload == 0 ? "outside a reload" : "during reload " + std::to_string(moment.reload);
}

std::string failures_text(const VerifyReport& report) {
  const auto& failures = report.tally.failures();
  if (failures.empty()) return "";
  std::string text = "\nThe first failures:\n";
  for (const LoadFailure& each : failures)
    text += "  " + duration_text(std::chrono::duration<double>(each.moment.at).count()) + "  " +
            to_string(each.kind) + ", generation " + std::to_string(each.moment.generation) + ": " +
            each.what + ", " + when_text(each.moment) + '\n';
  return text;
}

Value row_value(const LoadTally::Row& row) {
  return Value::object({{"requests", row.requests},
                        {"failed", row.failed},
                        {"closed_idle", row.closed_idle},
                        {"reopened", row.reopened},
                        {"slowest_ms", in_milliseconds(row.slowest)}});
}

Value p99_value(const Durations& durations) {
  const auto p99 = durations.quantile(kP99);
  return p99 ? Value(in_milliseconds(*p99)) : Value(nullptr);
}

}  // namespace

int VerifyReport::reached() const {
  return static_cast<int>(std::count_if(
      reloads.begin(), reloads.end(), [](const auto& each) { return each.outcome == "reached"; }));
}

int exit_code(const VerifyReport& report) {
  if (report.interrupted) return kExitInterrupted;
  const bool good = report.tally.sum().failed == 0 && report.cut_short.empty() &&
                    report.reached() == report.reloads_wanted;
  return good ? 0 : kExitTemporary;
}

std::string verdict_text(const VerifyReport& report) {
  const auto sum = report.tally.sum();
  const auto reloads = report.reloads.size();
  std::string text =
      sum.failed == 0 ? "nothing was lost: " + count_of(sum.requests, "request") + " through " +
                            count_of(reloads, "reload")
                      : "lost " + grouped(sum.failed) + " of " + count_of(sum.requests, "request");
  const auto failed = reloads - static_cast<std::size_t>(report.reached());
  if (failed > 0) text += "; " + count_of(failed, "reload") + " failed";
  if (!report.cut_short.empty()) text += "; " + report.cut_short;
  if (report.interrupted) text += "; interrupted";
  return text;
}

std::string report_text(const VerifyReport& report) {
  return report.application + " at " + report.url + ", " +
         count_of(static_cast<std::uint64_t>(report.connections), "connection") + "\n\n" +
         clients_text(report) + left_out_text(report) + '\n' + reloads_text(report) +
         "p99 of a request: " + p99_text(report.tally.during_reloads()) + " during reloads, " +
         p99_text(report.tally.outside()) + " outside\n" + failures_text(report) + '\n' +
         verdict_text(report) + '\n';
}

Value report_value(const VerifyReport& report) {
  const auto sum = report.tally.sum();
  Value value = Value::object({{"application", report.application},
                               {"url", report.url},
                               {"connections", report.connections},
                               {"verdict", verdict_text(report)},
                               {"requests", sum.requests},
                               {"lost", sum.failed},
                               {"reloads_wanted", report.reloads_wanted},
                               {"reloads_reached", report.reached()},
                               {"interrupted", report.interrupted},
                               {"p99_ms_during_reloads", p99_value(report.tally.during_reloads())},
                               {"p99_ms_outside", p99_value(report.tally.outside())},
                               {"kinds", Value::array()},
                               {"left_out", Value::array()},
                               {"reloads", Value::array()},
                               {"failures", Value::array()}});
  for (const LoadKind kind : kLoadKinds) {
    Value row = row_value(report.tally.of(kind));
    row["kind"] = to_string(kind);
    if (report.tally.of(kind).requests > 0) value["kinds"].push_back(std::move(row));
  }
  for (const LeftOut& each : report.left_out)
    value["left_out"].push_back(Value::object({{"kind", to_string(each.kind)}, {"why", each.why}}));
  for (const ReloadVerdict& each : report.reloads)
    value["reloads"].push_back(Value::object({{"generation", each.generation},
                                              {"outcome", each.outcome},
                                              {"text", each.text},
                                              {"ms", each.time.count()}}));
  for (const LoadFailure& each : report.tally.failures())
    value["failures"].push_back(Value::object({{"ms", each.moment.at.count()},
                                               {"kind", to_string(each.kind)},
                                               {"generation", each.moment.generation},
                                               {"reload", each.moment.reload},
                                               {"what", each.what}}));
  return value;
}

std::string course_text(const VerifyReport& report, int reload) {
  const auto sum = report.tally.sum();
  return "reload " + std::to_string(reload) + " of " + std::to_string(report.reloads_wanted) +
         ", " + count_of(sum.requests, "request") + ", " + grouped(sum.failed) + " failed";
}

}  // namespace cohort::cli
