#include "cli/report.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iomanip>
#include <sstream>

#include "base/command_line.h"
#include "base/line_output.h"
#include "base/notices.h"
#include "cli/tables.h"
#include "process/signals.h"

namespace cohort::cli {
namespace {

std::string count_of(std::size_t count, const std::string& what) {
  return std::to_string(count) + ' ' + what + (count == 1 ? "" : "s");
}

std::string count_of_workers(std::size_t count) { return count_of(count, "worker"); }

std::string worker_name(int worker, pid_t pid) {
  return "worker " + std::to_string(worker) + " (pid " + std::to_string(pid) + ")";
}

/// The end alone: CPU time and memory would make the line too long.
std::string reason(const Exit& exit, std::optional<std::uint64_t> memory_limit) {
  std::ostringstream text;
  text << (exit.signal() != 0 ? Exit::killed(exit.signal(), exit.core_dumped())
                              : Exit::exited(exit.code()));
  if (exit.cause() == ExitCause::OutOfMemory)
    text << " by the kernel, out of memory ("
         << (memory_limit
                 ? "it may have " + std::to_string(*memory_limit >> 20) + " MB: --max-memory"
                 : "the limit of the cgroup, or the machine's")
         << ')';
  return text.str();
}

/// By a signal that it was sent, or with the exit code that stands for it.
bool ended_as_told(const Exit& exit, int stop_signal) {
  if (exit.success()) return true;
  const int number = exit.signal() != 0 ? exit.signal() : exit.code() - 128;
  return number == stop_signal || number == SIGTERM || number == SIGINT;
}

bool is_local(const std::string& host) {
  return host.empty() || host == "::" || host == "0.0.0.0" || host == "127.0.0.1" || host == "::1";
}

Value worker_fields(int worker, pid_t pid) {
  return Value::object({{"worker", worker}, {"pid", pid}});
}

Value address_fields(const Address& address) {
  if (address.is_unix()) return Value::object({{"url", url(address)}, {"path", address.path()}});
  return Value::object({{"url", url(address)}, {"host", address.host()}, {"port", address.port()}});
}

Value holder_fields(const PortHolder& holder) {
  return Value::object(
      {{"pid", holder.pid}, {"port", holder.port}, {"command", command_text(holder.words)}});
}

const std::string kWhoShares =
    "ports are shared by Node programs, by programs that use cohort, and, with --listen, by those "
    "that take LISTEN_FDS";

}  // namespace

std::string to_line(const Report& report, bool colour) {
  const std::string text = printable(report.text);
  std::string line = colour ? "\x1b[2mcohort:\x1b[0m " : "cohort: ";
  if (!colour || report.tone == Tone::Plain)
    line += text;
  else
    line += (report.tone == Tone::Good ? "\x1b[32m" : "\x1b[31m") + text + "\x1b[0m";
  line += '\n';
  for (const std::string& quoted : report.lines) line += "  " + quoted + '\n';
  return line;
}

Value to_value(const Report& report, std::string_view time) {
  Value object = Value::object({{"time", time}, {"event", report.event}});
  for (const auto& [key, value] : report.fields.members()) object[key] = value;
  object["message"] = report.text;
  if (report.lines.empty() || object.contains("lines")) return object;
  object["lines"] = Value::array();
  for (const std::string& line : report.lines) object["lines"].push_back(line);
  return object;
}

std::string to_json_line(const Report& report, std::string_view time) {
  return to_json(to_value(report, time)) + '\n';
}

std::string url(const Address& address) {
  if (address.is_unix()) {
    std::string path = address.path();
    if (path.front() == '\0') path.front() = '@';
    return path;
  }
  std::string host = is_local(address.host()) ? "localhost" : address.host();
  if (host.find(':') != std::string::npos) host = '[' + host + ']';
  if (address.is_datagram()) return "udp://" + host + ':' + std::to_string(address.port());
  return "http://" + host + (address.port() == 80 ? "" : ':' + std::to_string(address.port()));
}

Narrator::Narrator(std::string program, unsigned count, int stop_signal)
    : program_{std::move(program)}, count_{count}, stop_signal_{stop_signal} {}

Report Narrator::cannot_run(const std::string& why) const {
  return {.event = "error", .text = why, .tone = Tone::Bad};
}

Report Narrator::started(Policy policy, pid_t pid) const {
  return {.event = "start",
          .text = count_of_workers(count_) + " of " + program_ + ", " + to_string(policy) +
                  " (pid " + std::to_string(pid) + ")",
          .fields = Value::object({{"program", program_},
                                   {"workers", count_},
                                   {"policy", to_string(policy)},
                                   {"pid", pid}})};
}

Narrator::Reports Narrator::forked(int worker, pid_t pid, std::optional<int> beside) {
  Life& life = lives_[worker];
  life.pid = pid;
  if (beside) {
    life.replaces = beside;
    if (const auto old = lives_.find(*beside); old != lives_.end()) old->second.replaced = true;
    return {};
  }
  // Which of several empty places it fills is the cluster's own affair.
  if (unreplaced_.size() > 1) ambiguous_ = true;
  if (unreplaced_.size() == 1 && !ambiguous_) life.replaces = unreplaced_.front();
  if (!unreplaced_.empty()) unreplaced_.pop_back();
  if (unreplaced_.empty()) ambiguous_ = false;
  if (!life.replaces || ever_listened()) return {};
  Value fields = worker_fields(worker, pid);
  fields["replaces"] = *life.replaces;
  return {{.event = "replaced",
           .text = worker_name(worker, pid) + " started in place of worker " +
                   std::to_string(*life.replaces),
           .fields = std::move(fields)}};
}

bool Narrator::became_complete() {
  if (complete_) return false;
  const auto listen = std::count_if(lives_.begin(), lives_.end(),
                                    [](const auto& entry) { return entry.second.listens; });
  return complete_ = static_cast<std::size_t>(listen) >= count_;
}

Narrator::Reports Narrator::listening(int worker, const Address& address) {
  const auto life = lives_.find(worker);
  if (life == lives_.end()) return {};
  const bool first_server = !std::exchange(life->second.listens, true);
  const std::string where = url(address);
  Reports reports;
  if (announced_.insert(where).second) {
    const bool first_address = announced_.size() == 1;
    reports.push_back(
        {.event = "listening",
         .text = "listening on " + where +
                 (first_address && count_ > 1 ? " (1 of " + count_of_workers(count_) + ")" : ""),
         .tone = Tone::Good,
         .fields = address_fields(address)});
  } else if (first_server && (complete_ || life->second.replaces)) {
    Value fields = worker_fields(worker, life->second.pid);
    std::string text = worker_name(worker, life->second.pid) + " listens";
    if (life->second.replaces) {
      text += " in place of worker " + std::to_string(*life->second.replaces);
      fields["replaces"] = *life->second.replaces;
    }
    reports.push_back({.event = "replaced",
                       .text = std::move(text),
                       .tone = Tone::Good,
                       .fields = std::move(fields)});
  }
  if (became_complete() && count_ > 1) {
    reports.push_back({.event = "ready",
                       .text = "all " + std::to_string(count_) + " workers listen",
                       .tone = Tone::Good,
                       .fields = Value::object({{"workers", count_}})});
  }
  return reports;
}

Narrator::Reports Narrator::policy(const Address& address, Policy policy, std::string_view why) {
  if (!decided_.insert(url(address)).second) return {};
  Value fields = address_fields(address);
  fields["policy"] = to_string(policy);
  fields["why"] = why;
  std::string text = url(address) + ": " + to_string(policy);
  if (explained_.emplace(policy, why).second) text += ", " + std::string{why};
  return {{.event = "policy", .text = std::move(text), .fields = std::move(fields)}};
}

Narrator::Reports Narrator::exited(int worker, const Exit& exit, bool asked,
                                   const std::optional<WorkerLoad>& load) {
  const auto found = lives_.find(worker);
  if (found == lives_.end()) return {};
  const Life life = found->second;
  lives_.erase(found);
  Value fields = worker_fields(worker, life.pid);
  fields["code"] = exit.signal() == 0 ? Value(exit.code()) : Value(nullptr);
  fields["signal"] = exit.signal() == 0 ? Value(nullptr) : Value(exit.signal_name());
  fields["core_dumped"] = exit.core_dumped();
  fields["listened"] = life.listens;
  const std::string name = worker_name(worker, life.pid);
  std::string lost;
  if (load && load->in_flight) {
    fields["in_flight"] = *load->in_flight;
    if (*load->in_flight > 0)
      lost = ", with " + count_of(*load->in_flight, "connection") + " in flight";
  }
  if (stopping_) {
    if (ended_as_told(exit, stop_signal_)) return {};
    if (exit.signal() == SIGKILL) {
      return {{.event = "killed",
               .text = name + " was killed before it had finished" + lost,
               .tone = Tone::Bad,
               .fields = std::move(fields)}};
    }
  } else if (!life.replaced && !(life.replaces && lives_.contains(*life.replaces))) {
    unreplaced_.push_back(worker);
  }
  if (asked && !stopping_) {
    return {{.event = "left",
             .text = name + " left: " + reason(exit, memory_limit_),
             .fields = std::move(fields)}};
  }
  std::string what = exit.success() ? " ended" : " died";
  if (ever_listened() && !life.listens) what += " before it listened";
  return {{.event = "died",
           .text = name + what + ": " + reason(exit, memory_limit_) + lost,
           .tone = Tone::Bad,
           .fields = std::move(fields)}};
}

Narrator::Reports Narrator::stopped(pid_t pid, int signal_number) const {
  const auto life = std::find_if(lives_.begin(), lives_.end(),
                                 [pid](const auto& entry) { return entry.second.pid == pid; });
  if (life == lives_.end()) return {};
  const std::string name = worker_name(life->first, pid);
  Value fields = worker_fields(life->first, pid);
  if (signal_number == 0)
    return {{.event = "resumed", .text = name + " goes on", .fields = std::move(fields)}};
  const std::string signal = process::signal_name(signal_number);
  fields["signal"] = signal;
  return {{.event = "suspended",
           .text = name + " was stopped by " + signal +
                   ", and serves nothing until somebody continues it: kill -CONT " +
                   std::to_string(pid),
           .tone = Tone::Bad,
           .fields = std::move(fields)}};
}

Report Narrator::left_behind(const std::vector<std::string>& processes) const {
  std::string list;
  Value fields = Value::object({{"processes", Value::array()}});
  for (const std::string& text : processes) {
    list += (list.empty() ? "" : ", ") + text;
    fields["processes"].push_back(text);
  }
  return {.event = "left_behind",
          .text = "ending what the workers left behind: " + list,
          .fields = std::move(fields)};
}

Report Narrator::failed(int worker, const std::string& error) const {
  return {.event = "error",
          .text = error,
          .tone = Tone::Bad,
          .fields = Value::object({{"worker", worker}})};
}

Report Narrator::refused(const PortHolder& holder, const std::filesystem::path& here) const {
  if (!holder.is_worker)
    return behind_a_wrapper("refused", Tone::Bad,
                            ", so its workers cannot share the port; run that program itself",
                            holder, here);
  return {.event = "refused",
          .text = program_ + " binds port " + std::to_string(holder.port) + " by itself (pid " +
                  std::to_string(holder.pid) + "), so its workers cannot share it; " + kWhoShares +
                  ". To run it alone: cohort run -w 1 " + program_,
          .tone = Tone::Bad,
          .fields = holder_fields(holder)};
}

Report Narrator::wraps(const PortHolder& holder, const std::filesystem::path& here) const {
  return behind_a_wrapper(
      "silent", Tone::Plain,
      ": it is replaced when it dies, but more workers could not share the port, and the end of "
      "its requests is not waited for; better run that program itself",
      holder, here);
}

Report Narrator::behind_a_wrapper(std::string event, Tone tone, const char* what_follows,
                                  const PortHolder& holder,
                                  const std::filesystem::path& here) const {
  Report report{.event = std::move(event),
                .text = program_ + " listens through a process of its own (pid " +
                        std::to_string(holder.pid) + ": " + command_text(holder.words) + ", port " +
                        std::to_string(holder.port) + ')' + what_follows,
                .tone = tone,
                .fields = holder_fields(holder)};
  if (const auto instead = suggestion(holder, here)) {
    report.text += ": " + *instead;
    report.fields["suggestion"] = *instead;
  }
  return report;
}

Report Narrator::binds_by_itself(const PortHolder& holder) const {
  return {.event = "silent",
          .text = program_ + " binds port " + std::to_string(holder.port) + " by itself (pid " +
                  std::to_string(holder.pid) +
                  "): its workers are replaced when they die, but the port is not shared; " +
                  kWhoShares,
          .fields = holder_fields(holder)};
}

Report Narrator::silent(bool online) const {
  std::string text = program_;
  if (online) {
    text += " runs, but does not listen yet: its port opens when it calls listen()";
  } else {
    text +=
        " runs, but has said nothing on Node's cluster channel: unless it starts slowly, its "
        "workers are replaced when they die, but share no port; " +
        kWhoShares;
  }
  return {
      .event = "silent", .text = std::move(text), .fields = Value::object({{"online", online}})};
}

Report Narrator::reloading(int generation, const std::vector<std::string>& changed) {
  Value fields =
      Value::object({{"generation", generation}, {"workers", count_}, {"changed", Value::array()}});
  std::string text = "reloading: generation " + std::to_string(generation) + " of " + program_;
  for (const std::string& change : changed) {
    text += "; " + change;
    fields["changed"].push_back(change);
  }
  return {.event = "reloading", .text = std::move(text), .fields = std::move(fields)};
}

Report Narrator::prepares(const std::string& command) const {
  return {.event = "prepares",
          .text = "`" + command + "` runs first (--once)",
          .fields = Value::object({{"command", command}})};
}

Report Narrator::cannot_reload(const std::string& why) const {
  return {
      .event = "error", .text = "not reloaded, and nothing is changed: " + why, .tone = Tone::Bad};
}

Report Narrator::reloaded(const RolloutResult& result, std::chrono::milliseconds parked) {
  using enum RolloutResult::Outcome;
  if (result.outcome != Reached)
    for (auto& [id, life] : lives_) life.replaced = false;
  const std::string generation = "generation " + std::to_string(result.generation);
  Report report{.event = result.outcome == Reached ? "reloaded" : "not_reloaded",
                .fields = Value::object(
                    {{"generation", result.generation}, {"outcome", to_string(result.outcome)}})};
  if (result.worker) report.fields["worker"] = *result.worker;
  // What the worker wrote follows the first line.
  std::istringstream why{result.text};
  std::string first;
  std::getline(why, first);
  for (std::string line; std::getline(why, line);) report.lines.push_back(line);
  report.fields["why"] = first;
  switch (result.outcome) {
    case Reached:
      report.text = "reloaded: " + generation + " serves; the workers before it " +
                    (parked.count() > 0 ? "stay, for `cohort rollback`" : "end");
      report.tone = Tone::Good;
      break;
    case RolledBack:
      report.text = "not reloaded: " + first + "; the workers before it serve on";
      report.tone = Tone::Bad;
      break;
    case Superseded:
    case Stopped:
      report.text = generation + " is given up: " + first;
  }
  return report;
}

Report Narrator::port_left(const Address& address, int generation) const {
  Value fields = address_fields(address);
  fields["code"] = "port_left";
  fields["generation"] = generation;
  return {.event = "notice",
          .text = "nobody serves " + url(address) + " any more: generation " +
                  std::to_string(generation) + " does not listen there",
          .tone = Tone::Bad,
          .fields = std::move(fields)};
}

Report Narrator::rolls_back(int generation) const {
  return {.event = "rolling_back",
          .text = "rolling back to generation " + std::to_string(generation),
          .fields = Value::object({{"generation", generation}})};
}

Report Narrator::rolled_back(int generation) const {
  return {.event = "rolled_back",
          .text = "rolled back: generation " + std::to_string(generation) +
                  " serves; the workers after it end",
          .tone = Tone::Good,
          .fields = Value::object({{"generation", generation}})};
}

Report Narrator::scaled(unsigned count) {
  count_ = count;
  return {.event = "scaled",
          .text = "from now on " + count_of_workers(count),
          .fields = Value::object({{"workers", count}})};
}

Report Narrator::limits_changed(const std::string& why) const {
  return {.event = "limits_changed",
          .text = "what this process may use has changed: workers now " + why,
          .fields = Value::object({{"why", why}})};
}

Report Narrator::changed(const std::string& file) const {
  return {
      .event = "changed", .text = file + " has changed", .fields = Value::object({{"file", file}})};
}

Report Narrator::cannot_watch(const std::string& why) const {
  return {.event = "notice",
          .text = why + "; not every change is seen",
          .tone = Tone::Bad,
          .fields = Value::object({{"code", "cannot_watch"}})};
}

Report Narrator::starts_directly(const std::vector<std::string>& command) const {
  Value words = Value::array();
  for (const std::string& word : command) words.push_back(word);
  return {.event = "direct",
          .text = program_ + " is `" + join_words(command) + "`: started without it in between",
          .fields = Value::object({{"command", std::move(words)}})};
}

Report Narrator::little_memory(const MemoryNow& memory, unsigned max_surge) const {
  return {.event = "notice",
          .text = "there is no memory for as many new workers beside the old ones (they need " +
                  memory_text(static_cast<double>(memory.needed)) + ", " +
                  memory_text(static_cast<double>(memory.left)) + " are left): at most " +
                  std::to_string(max_surge) +
                  " at a time, old ones end to make room, and none stays for `cohort rollback`",
          .tone = Tone::Bad,
          .fields = Value::object({{"code", "little_memory"},
                                   {"needed", memory.needed},
                                   {"left", memory.left},
                                   {"max_surge", max_surge}})};
}

Report Narrator::parks_nobody(unsigned max_surge) const {
  return {.event = "notice",
          .text = "at most " + std::to_string(max_surge) +
                  " more at a time (--max-surge): old workers end to make room, and none stays for "
                  "`cohort rollback` (--park)",
          .fields = Value::object({{"code", "parks_nobody"}, {"max_surge", max_surge}})};
}

Report Narrator::recycles(int worker, const std::string& why) const {
  return {.event = "recycling",
          .text = "worker " + std::to_string(worker) + " is to be replaced: " + why,
          .fields = Value::object({{"worker", worker}, {"why", why}})};
}

Report Narrator::hides_requests(int worker) const {
  return {.event = "notice",
          .text = "worker " + std::to_string(worker) +
                  " does not tell how many requests it has answered, so --max-requests replaces "
                  "none (docs/cohort-run.md#requests)",
          .tone = Tone::Bad,
          .fields = Value::object({{"code", "requests_not_told"}, {"worker", worker}})};
}

Report Narrator::hangs(const manager::HangRule::Verdict& verdict,
                       const std::vector<std::string>& stack, const std::string& no_js) const {
  constexpr const char* kKinds[] = {"computes", "waits", "starved", "on-disk", "stopped"};
  const double seconds = std::chrono::duration<double>(verdict.time).count();
  std::ostringstream text;
  text << "worker " << verdict.worker << " hangs: its loop has not turned for " << std::fixed
       << std::setprecision(1) << seconds << " s; " << manager::hang_text(verdict)
       << (verdict.is_to_blame() ? "; it is killed" : "; it is left alone");
  if (!stack.empty()) text << ". It is here:";
  std::vector<std::string> lines = stack;
  if (!no_js.empty()) lines.insert(lines.begin(), "(no JavaScript: " + no_js + ')');
  return {.event = "hangs",
          .text = text.str(),
          .tone = Tone::Bad,
          .fields = Value::object({{"worker", verdict.worker},
                                   {"why", kKinds[static_cast<std::size_t>(verdict.kind)]},
                                   {"seconds", seconds},
                                   {"killed", verdict.is_to_blame()}}),
          .lines = lines};
}

Report Narrator::is_debugged(int worker) const {
  return {.event = "notice",
          .text = "worker " + std::to_string(worker) +
                  " hangs, and a debugger is attached to it: it is left alone while that is so",
          .fields = Value::object({{"code", "debugged"}, {"worker", worker}})};
}

Report Narrator::cannot_be_asked(int worker, const std::string& why) const {
  return {.event = "notice",
          .text = "whether worker " + std::to_string(worker) + " hangs is not known: " + why,
          .fields = Value::object({{"code", "cannot_be_asked"}, {"worker", worker}})};
}

Report Narrator::memory_not_limited(const std::string& why) const {
  return {.event = "notice",
          .text = "no cgroup limits a worker's memory: " + why +
                  "; --max-memory looks at it every 2 s (what to do: cohort doctor)",
          .fields = Value::object({{"code", "memory_not_limited"}, {"why", why}})};
}

Report Narrator::kills_large(int worker, const std::string& why) const {
  return {.event = "notice",
          .text = "worker " + std::to_string(worker) + " is killed: " + why + " (--max-memory)",
          .tone = Tone::Bad,
          .fields = Value::object({{"code", "too_large"}, {"worker", worker}, {"why", why}})};
}

Report Narrator::recycles_in_vain(int worker, std::chrono::milliseconds within) const {
  return {.event = "notice",
          .text = "worker " + std::to_string(worker) + " did not listen within " +
                  std::to_string(std::chrono::duration_cast<std::chrono::seconds>(within).count()) +
                  " s, and is ended; the one before it serves on",
          .tone = Tone::Bad,
          .fields = Value::object({{"code", "not_replaced"}, {"worker", worker}})};
}

Report Narrator::signals(int worker, int signal_number) const {
  const std::string name = process::signal_name(signal_number);
  return {.event = "signal",
          .text = name + " to worker " + std::to_string(worker) + ", as was asked for",
          .fields = Value::object({{"worker", worker}, {"signal", name}})};
}

Report Narrator::means_nothing(int signal_number) const {
  const bool is_usr1 = signal_number == SIGUSR1;
  return {
      .event = "notice",
      .text = std::string{is_usr1 ? "SIGUSR1" : "SIGUSR2"} + " does nothing here: " +
              (is_usr1 ? "there is no log file to open anew (to debug a worker, send it to that "
                         "one); "
                       : "") +
              "a reload is HUP, or `cohort reload`",
      .fields =
          Value::object({{"code", "means_nothing"}, {"signal", is_usr1 ? "SIGUSR1" : "SIGUSR2"}})};
}

Report Narrator::last_worker() const {
  return {.event = "scaled",
          .text = "one worker is left: to stop, send TERM",
          .fields = Value::object({{"workers", count_}})};
}

Report Narrator::stopping_in(std::chrono::milliseconds time, bool probed) const {
  const double seconds = std::chrono::duration<double>(time).count();
  std::ostringstream text;
  text << "stopping in " << seconds << " s: " << (probed ? "readiness fails, " : "")
       << "requests are still served (Ctrl-C again to stop at once)";
  return {.event = "stopping_in",
          .text = text.str(),
          .fields = Value::object({{"seconds", seconds}, {"workers", lives_.size()}})};
}

Report Narrator::stopping() {
  stopping_ = true;
  return {.event = "stopping",
          .text = "stopping: " + count_of_workers(lives_.size()) +
                  (lives_.size() == 1 ? " finishes" : " finish") + " what " +
                  (lives_.size() == 1 ? "it serves" : "they serve") +
                  " (Ctrl-C again to stop at once)",
          .fields = Value::object({{"workers", lives_.size()}})};
}

Report Narrator::stopping_at_once(std::string_view why) const {
  return {.event = "stopping_at_once",
          .text = std::string{why},
          .tone = Tone::Bad,
          .fields = Value::object({{"workers", lives_.size()}})};
}

Report Narrator::stopped() const {
  return {.event = "stopped", .text = "stopped", .fields = Value::object()};
}

Report Narrator::no_control(const std::string& why) const {
  return {
      .event = "notice",
      .text = "no control socket, so that `cohort ls` and the other verbs do not find this: " + why,
      .tone = Tone::Bad,
      .fields = Value::object({{"code", "no_control"}, {"why", why}})};
}

Report Narrator::gap(std::uint64_t lines) const {
  return {.event = "notice",
          .text = gap_text(lines),
          .tone = Tone::Bad,
          .fields = Value::object({{"code", "lines_dropped"}, {"count", lines}})};
}

Report Narrator::notice(const Notice& notice) {
  if (notice.code == "leaves") {
    const auto id = [&](const char* name) {
      return static_cast<int>(std::as_const(notice.fields)[name].int64_or(0));
    };
    const auto leaves = lives_.find(id("worker")), successor = lives_.find(id("successor"));
    if (leaves != lives_.end()) leaves->second.replaced = true;
    if (successor != lives_.end()) successor->second.replaces = id("worker");
  }
  if (notice.code == "closed")
    std::erase(unreplaced_, static_cast<int>(notice.fields["worker"].int64_or(0)));
  const bool is_news = notice.code == "leaves" || notice.code == "debuggers";
  Report report{.event = "notice", .text = notice.text, .tone = is_news ? Tone::Plain : Tone::Bad};
  for (const auto& [name, value] : notice.fields.members()) report.fields[name] = value;
  report.fields["code"] = notice.code;
  if (notice.code == "closed") report.text += "; `cohort reload` starts it again";
  for (const Value& line : std::as_const(notice.fields)["lines"].elements())
    report.lines.emplace_back(line.string_or(""));
  return report;
}

}  // namespace cohort::cli
