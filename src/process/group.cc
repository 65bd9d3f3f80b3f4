#include "process/group.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <string>
#include <utility>

#include "base/read_file.h"
#include "base/sys.h"

namespace cohort::process {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Most are gone at once; who needs longer is asked after ever more rarely.
constexpr auto kFirstPause = 1ms;
constexpr auto kLastPause = 100ms;
// What a signal that cannot be caught may take.
constexpr auto kGroupKilledWithin = 1s;

}  // namespace

std::optional<StatLine> parse_stat(std::string_view text) {
  // `4711 (a name) S 1 4711 4711 ...`
  const auto name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  std::istringstream words{std::string{text.substr(name_end + 1)}};
  StatLine line;
  pid_t parent = 0;
  if (!(words >> line.state >> parent >> line.group >> line.session)) return std::nullopt;
  return line;
}

bool group_lives(pid_t group) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (fs::directory_iterator process{"/proc", error}, end; !error && process != end;
       process.increment(error)) {
    const std::string name = process->path().filename();
    if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }))
      continue;
    const auto text = read_file(process->path() / "stat");
    if (!text && (errno == EMFILE || errno == ENFILE)) return true;
    const auto line = parse_stat(text.value_or(""));
    // All of it is in the session that its leader made.
    if (line && line->group == group && line->session == group && line->state != 'Z' &&
        line->state != 'X')
      return true;
  }
  return static_cast<bool>(error);
}

bool signal_group(int leader_pidfd, pid_t leader, int signal_number) {
  if (sys::signal_group(leader_pidfd, leader, signal_number) == -1) return false;
  sys::signal_group(leader_pidfd, leader, SIGCONT);
  return true;
}

GroupEnd::GroupEnd(const Loop& loop, LeftGroup group, std::chrono::milliseconds grace,
                   std::function<void()> over)
    : group_{std::move(group)},
      over_{std::move(over)},
      deadline_{Clock::now() + grace},
      timer_{loop.executor()} {
  look_after(kFirstPause);
}

GroupEnd::~GroupEnd() {
  if (over_ && lives()) sys::signal_group(group_.leader.get(), group_.id, SIGKILL);
}

// By /proc and not by signal 0 alone: zombies wait for their parent, which may be no good one.
bool GroupEnd::lives() const {
  const bool none = sys::signal_group(group_.leader.get(), group_.id, 0) == -1 && errno == ESRCH;
  return !none && group_lives(group_.id);
}

void GroupEnd::kill() {
  if (!lives()) return;
  sys::signal_group(group_.leader.get(), group_.id, SIGKILL);
  if (std::exchange(killed_, true)) return;
  deadline_ = Clock::now() + kGroupKilledWithin;
  look_after(kFirstPause);
}

void GroupEnd::look_after(std::chrono::milliseconds pause) {
  timer_.expires_after(pause);
  timer_.async_wait(callbacks_.wrap([this, pause](boost::system::error_code error) {
    if (!error) look(pause);
  }));
}

void GroupEnd::look(std::chrono::milliseconds pause) {
  const auto now = Clock::now();
  const bool late = now >= deadline_;
  if (lives() && !(late && killed_)) {
    if (late) kill();
    const auto next =
        late ? kFirstPause : std::min<std::chrono::milliseconds>(2 * pause, kLastPause);
    // Where looking takes long, a twentieth of the time goes into it.
    const auto took = std::chrono::floor<std::chrono::milliseconds>(Clock::now() - now);
    return look_after(std::max(next, 20 * took));
  }
  // Destroys this object, perhaps.
  std::exchange(over_, nullptr)();
}

}  // namespace cohort::process
