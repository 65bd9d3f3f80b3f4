#include "cli/stack_dump.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <utility>

namespace cohort::cli {

std::vector<std::string> stack_lines(std::string_view output) {
  constexpr std::size_t kLinesMax = 30, kWidth = 160;
  std::vector<std::string> lines;
  while (!output.empty() && lines.size() < kLinesMax) {
    const std::size_t end = std::min(output.find('\n'), output.size());
    if (output.starts_with('#')) lines.emplace_back(output.substr(0, std::min(end, kWidth)));
    output.remove_prefix(std::min(end + 1, output.size()));
  }
  return lines;
}

void dump_stack(const LoopRef& loop, pid_t pid,
                Callback<void(const std::vector<std::string>& lines)> done) {
  using Done = std::function<void(const std::vector<std::string>&)>;
  const std::string number = std::to_string(pid);
  const std::string command = "if command -v eu-stack; then exec eu-stack -1 -p " + number +
                              "; fi; exec gdb -p " + number + " -nx -batch -ex 'bt 30' </dev/null";
  exec(loop, command, {.timeout = std::chrono::seconds{5}, .kill_signal = SIGKILL},
       [done = Done{std::move(done)}](const Output& output) { done(stack_lines(output.stdout_)); });
}

}  // namespace cohort::cli
