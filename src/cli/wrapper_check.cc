#include "cli/wrapper_check.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <set>

#include "base/command_line.h"
#include "base/sys.h"

namespace cohort::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// A sibling that died early is evidence; without it a program gets more time to listen by itself.
constexpr auto kCertainAfterDeath = 1s;
constexpr auto kCertainAfter = 5s;
// A program that binds its port itself may still share it (SO_REUSEPORT), so one death is too few.
constexpr int kDeathsOfOwnListener = 2;
// The cluster gives up after as many: there is no later time to be certain.
constexpr int kDeathsOfAllTries = 5;
constexpr std::size_t kProcessesMax = 1000;  // Of one worker's tree; a bound for forking accidents.

template <class Number>
std::optional<Number> to_number(std::string_view text, int base = 10) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Takes the first word off `text`; empty if there is none.
std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n"), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(" \t\n"));
  text.remove_prefix(word.size());
  return word;
}

/// Calls `use` with each piece of a file, to its end; files of /proc have no size.
template <class Use>
void read_pieces(const fs::path& path, Use use) {
  const OwnFd file = sys::open(path.c_str(), O_RDONLY);
  if (!file) return;
  char buffer[4096];
  for (;;) {
    const ssize_t count = sys::read(file.get(), buffer, sizeof buffer);
    if (count <= 0) return;
    use(std::string_view{buffer, static_cast<std::size_t>(count)});
  }
}

std::string read_file(const fs::path& path) {
  std::string text;
  read_pieces(path, [&](std::string_view piece) { text += piece; });
  return text;
}

/// The same for a table of sockets, which may be longer than this process wants to be large.
std::map<std::uint64_t, std::uint16_t> read_listening(const fs::path& path) {
  std::map<std::uint64_t, std::uint16_t> ports;
  std::string begun;
  read_pieces(path, [&](std::string_view piece) {
    begun += piece;
    const std::size_t whole = begun.rfind('\n') + 1;  // 0 if there is no whole line yet
    ports.merge(parse_listening(std::string_view{begun}.substr(0, whole)));
    begun.erase(0, whole);
  });
  return ports;
}

/// Names in a directory; none if it cannot be read.
std::vector<fs::path> entries(const fs::path& directory) {
  std::vector<fs::path> result;
  std::error_code error;
  for (fs::directory_iterator it{directory, error}, end; !error && it != end; it.increment(error))
    result.push_back(it->path());
  return result;
}

std::vector<pid_t> children(const fs::path& process) {
  std::vector<pid_t> result;
  for (const fs::path& thread : entries(process / "task")) {
    const std::vector<pid_t> pids = parse_children(read_file(thread / "children"));
    result.insert(result.end(), pids.begin(), pids.end());
  }
  return result;
}

std::set<std::uint16_t> listening_ports(const fs::path& process) {
  std::set<std::uint64_t> inodes;
  for (const fs::path& link : entries(process / "fd")) {
    std::error_code error;
    if (const auto inode = parse_socket_link(fs::read_symlink(link, error).native()))
      inodes.insert(*inode);
  }
  std::set<std::uint16_t> ports;
  if (inodes.empty()) return ports;
  for (const char* table : {"tcp", "tcp6"}) {
    for (const auto& [inode, port] : read_listening(process / "net" / table))
      if (inodes.contains(inode)) ports.insert(port);
  }
  return ports;
}

bool is_node(const std::string& program) {
  const std::string name = fs::path{program}.filename();
  return name == "node" || name == "nodejs";
}

/// `--require .../tsx/dist/preflight.cjs --import .../tsx/dist/loader.mjs`: `cohort run` finds tsx
/// by itself.
void leave_out_tsx(std::vector<std::string>& words) {
  for (std::size_t i = 1; i + 1 < words.size();) {
    const bool option = words[i] == "--require" || words[i] == "--import";
    const bool tsx = words[i + 1].find("/tsx/dist/") != std::string::npos;
    const auto at = words.begin() + static_cast<std::ptrdiff_t>(i);
    if (option && tsx)
      words.erase(at, at + 2);
    else
      ++i;
  }
}

}  // namespace

std::vector<pid_t> parse_children(std::string_view text) {
  std::vector<pid_t> pids;
  for (auto word = next_word(text); !word.empty(); word = next_word(text))
    if (const auto pid = to_number<pid_t>(word); pid && *pid > 0) pids.push_back(*pid);
  return pids;
}

std::optional<std::uint64_t> parse_socket_link(std::string_view target) {
  constexpr std::string_view kBefore = "socket:[";
  if (!target.starts_with(kBefore) || !target.ends_with(']')) return std::nullopt;
  target.remove_prefix(kBefore.size());
  target.remove_suffix(1);
  return to_number<std::uint64_t>(target);
}

std::map<std::uint64_t, std::uint16_t> parse_listening(std::string_view table) {
  // sl local_address rem_address st tx:rx_queue tr:tm->when retrnsmt uid timeout inode ...
  constexpr std::size_t kLocal = 1, kState = 3, kInode = 9;
  std::map<std::uint64_t, std::uint16_t> ports;
  while (!table.empty()) {
    std::string_view line = table.substr(0, table.find('\n'));
    table.remove_prefix(std::min(line.size() + 1, table.size()));
    std::string_view columns[kInode + 1];
    for (std::string_view& column : columns) column = next_word(line);
    const std::string_view local = columns[kLocal];
    const std::size_t colon = local.rfind(':');
    if (columns[kState] != "0A" || colon == std::string_view::npos) continue;
    const auto port = to_number<std::uint16_t>(local.substr(colon + 1), 16);
    const auto inode = to_number<std::uint64_t>(columns[kInode]);
    if (port && inode) ports[*inode] = *port;
  }
  return ports;
}

std::vector<PortHolder> find_listeners(pid_t worker, const fs::path& root) {
  std::vector<PortHolder> holders;
  std::deque<pid_t> queue{worker};
  std::set<pid_t> known{worker};
  while (!queue.empty()) {
    const pid_t pid = queue.front();
    queue.pop_front();
    const fs::path process = root / std::to_string(pid);
    for (const std::uint16_t port : listening_ports(process)) {
      std::error_code error;
      holders.push_back({.pid = pid,
                         .port = port,
                         .is_worker = pid == worker,
                         .words = parse_words(read_file(process / "cmdline")),
                         .directory = fs::read_symlink(process / "cwd", error)});
    }
    for (const pid_t child : children(process))
      if (known.size() < kProcessesMax && known.insert(child).second) queue.push_back(child);
  }
  return holders;
}

std::optional<std::string> suggestion(const PortHolder& holder, const fs::path& here) {
  std::vector<std::string> words = holder.words;
  if (words.empty()) return std::nullopt;
  if (is_node(words.front())) {
    leave_out_tsx(words);
    words.front() = "node";
    if (words.size() == 1) return std::nullopt;
    if (!words[1].starts_with('-')) words.erase(words.begin());
  }
  std::string text = "cohort run " + join_words(words);
  if (holder.directory.empty() || holder.directory == here) return text;
  const fs::path relative = holder.directory.lexically_relative(here);
  const bool below = !relative.empty() && *relative.begin() != "..";
  return "cd " + shell_word(below ? relative : holder.directory) + " && " + text;
}

bool WrapperJudge::is_certain(const PortHolder& holder, TimePoint now) const {
  if (early_deaths_ >= kDeathsOfAllTries) return true;
  const auto known = now - since_.at({holder.pid, holder.port});
  if (holder.is_worker) return early_deaths_ >= kDeathsOfOwnListener && known >= kCertainAfterDeath;
  return known >= (early_deaths_ > 0 ? kCertainAfterDeath : kCertainAfter);
}

std::optional<PortHolder> WrapperJudge::judge(const std::vector<Seen>& seen, TimePoint now) {
  std::map<std::pair<pid_t, std::uint16_t>, TimePoint> since;
  std::map<std::uint16_t, std::set<int>> workers_of_port;
  for (const Seen& worker : seen) {
    for (const PortHolder& holder : worker.holders) {
      const std::pair key{holder.pid, holder.port};
      const auto before = since_.find(key);
      since[key] = before == since_.end() ? now : before->second;
      workers_of_port[holder.port].insert(worker.worker);
    }
  }
  since_ = std::move(since);
  for (const auto& [port, workers] : workers_of_port)
    if (workers.size() > 1) shared_.insert(port);
  for (const Seen& worker : seen) {
    for (const PortHolder& holder : worker.holders) {
      // Two workers with one port share it somehow: nothing is in the way, nor is it of the last.
      if (!shared_.contains(holder.port) && is_certain(holder, now)) return holder;
    }
  }
  return std::nullopt;
}

}  // namespace cohort::cli
