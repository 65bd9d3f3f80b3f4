// Asks the Node process $1 where its JavaScript is, leaves it alive, and says where it listens
// then.
#include <cstdlib>
#include <iostream>

#include "cli/debugger_visit.h"
#include "process/proc_view.h"

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  const pid_t pid = std::atoi(argv[1]);
  boost::asio::io_context io;
  cohort::cli::find_js_stack(io, {.pid = pid}, [](const cohort::cli::JsStackFound& found) {
    if (!found.why_not.empty()) std::cout << "no JavaScript: " << found.why_not << '\n';
    for (const std::string& line : found.lines) std::cout << line << '\n';
  });
  io.run();
  const auto listeners = cohort::process::tcp_listeners_of(pid);
  if (!listeners) return 1;
  if (listeners->empty()) std::cout << "it listens nowhere\n";
  for (const auto& each : *listeners) std::cout << "it listens on " << each.address << '\n';
  return 0;
}
