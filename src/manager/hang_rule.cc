#include "manager/hang_rule.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <utility>

namespace cohort::manager {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

std::string whole_file(const std::filesystem::path& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

// The next number of a line of numbers; 0 if there is none.
std::uint64_t take_number(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::uint64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return number;
}

milliseconds from_nanoseconds(std::uint64_t count) {
  return std::chrono::duration_cast<milliseconds>(
      std::chrono::nanoseconds{static_cast<std::int64_t>(count)});
}

LoopEvidence between(const LoopEvidence& then, const LoopEvidence& now) {
  return {now.state, now.ran - then.ran, now.waited - then.waited, now.waits_in};
}

// What keeps it from its loop, and is no fault of it.
std::optional<HangRule::Kind> excuse_of(char state) {
  using Kind = HangRule::Kind;
  if (state == 'T' || state == 't') return Kind::Stopped;
  return state == 'D' ? std::optional{Kind::OnDisk} : std::nullopt;
}

// What it did most of the time. A thread that never got a CPU has not even waited yet.
HangRule::Kind kind_of(const LoopEvidence& since, milliseconds time, milliseconds patience) {
  using Kind = HangRule::Kind;
  if (since.ran >= patience) return Kind::Computes;  // however long it took
  if (since.ran + since.waited >= time / 2)
    return since.waited > since.ran ? Kind::Starved : Kind::Computes;
  return since.state == 'R' ? Kind::Starved : Kind::Waits;
}

std::string seconds_text(milliseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(time).count());
  return text;
}

}  // namespace

std::optional<LoopEvidence> parse_loop_evidence(std::string_view stat, std::string_view schedstat) {
  // `4711 (name, which may have brackets) S ...`
  const auto name_end = stat.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 >= stat.size()) return std::nullopt;
  const std::uint64_t ran = take_number(schedstat);
  const std::uint64_t waited = take_number(schedstat);
  return LoopEvidence{stat[name_end + 2], from_nanoseconds(ran), from_nanoseconds(waited)};
}

std::optional<LoopEvidence> loop_evidence_of(pid_t pid, const std::filesystem::path& root) {
  const auto thread = root / std::to_string(pid) / "task" / std::to_string(pid);
  auto evidence =
      parse_loop_evidence(whole_file(thread / "stat"), whole_file(thread / "schedstat"));
  if (!evidence) return std::nullopt;
  if (const std::string function = whole_file(thread / "wchan"); function != "0")
    evidence->waits_in = function;
  return evidence;
}

milliseconds HangRule::period() const { return std::clamp<milliseconds>(patience_ / 5, 100ms, 5s); }

std::vector<HangRule::Verdict> HangRule::look(
    TimePoint now, const std::function<std::optional<LoopEvidence>(int)>& evidence) {
  const bool slept = looked_ && now - *looked_ > period() + patience_ / 2;
  looked_ = now;
  std::vector<Verdict> verdicts;
  for (auto next = asked_.begin(); next != asked_.end();) {
    const auto does = evidence(next->first);
    if (!does) {
      next = asked_.erase(next);
      continue;
    }
    auto& [worker, last] = *next++;
    if (last.judged) continue;
    if (slept) last = {.at = now, .then = *does};
    if (!last.then) last.then = *does;
    if (const auto excuse = excuse_of(does->state)) last.excuse = excuse;
    if (now - last.at < patience_) continue;
    const auto time = std::chrono::duration_cast<milliseconds>(now - last.at);
    const LoopEvidence since = between(*last.then, *does);
    const Verdict verdict{worker, last.excuse.value_or(kind_of(since, time, patience_)), time,
                          since};
    last.judged = verdict.is_to_blame();
    if (last.judged || std::exchange(last.said, verdict.kind) != verdict.kind)
      verdicts.push_back(verdict);
    // Who gets little CPU may still compute for all that time.
    if (last.excuse) last = {.at = now, .then = *does, .said = last.said};
  }
  return verdicts;
}

std::string hang_text(const HangRule::Verdict& verdict) {
  const LoopEvidence& since = verdict.since;
  switch (verdict.kind) {
    case HangRule::Kind::Computes:
      return "it computes (" + seconds_text(since.ran) + " of CPU time)";
    case HangRule::Kind::Waits:
      return "it waits, but not in its loop" +
             (since.waits_in.empty() ? "" : " (in the kernel's " + since.waits_in + ')');
    case HangRule::Kind::Starved:
      return "it waited " + seconds_text(since.waited) + " for a CPU: others have them";
    case HangRule::Kind::OnDisk:
      return "it waited for a disk, or for a file system behind a network";
    case HangRule::Kind::Stopped:
      return "it was stopped, by a signal or a debugger";
  }
  return {};
}

}  // namespace cohort::manager
