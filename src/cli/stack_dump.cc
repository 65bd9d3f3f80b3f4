#include "cli/stack_dump.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <utility>

namespace cohort::cli {

std::vector<std::string> stack_lines(std::string_view output) {
  constexpr std::size_t kLinesMax = 40;
  std::vector<std::string> lines;
  while (!output.empty() && lines.size() < kLinesMax) {
    const std::size_t end = std::min(output.find('\n'), output.size());
    const std::string_view line = output.substr(0, end);
    output.remove_prefix(std::min(end + 1, output.size()));
    const bool is_thread = line.starts_with("TID ") || line.starts_with("Thread ");
    if (is_thread || line.starts_with('#')) lines.emplace_back(line);
  }
  return lines;
}

void dump_stacks(const LoopRef& loop, pid_t pid,
                 Callback<void(const std::vector<std::string>& lines)> done) {
  using Done = std::function<void(const std::vector<std::string>&)>;
  const std::string number = std::to_string(pid);
  const std::string command = "if command -v eu-stack; then exec eu-stack -p " + number +
                              "; fi; exec gdb -p " + number +
                              " -nx -batch -ex 'thread apply all bt 30' </dev/null";
  exec(loop, command, {.timeout = std::chrono::seconds{5}, .kill_signal = SIGKILL},
       [done = Done{std::move(done)}](const Output& output) { done(stack_lines(output.stdout_)); });
}

}  // namespace cohort::cli
