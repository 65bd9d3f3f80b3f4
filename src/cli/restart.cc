#include "cli/restart.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "base/read_file.h"
#include "cli/fail.h"
#include "cli/options.h"
#include "cli/program_now.h"
#include "process/program.h"

namespace cohort::cli {
namespace {

struct Start {
  std::vector<std::string> arguments, environment;
};

Start& start() {
  static Start start;
  return start;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

}  // namespace

void remember_start() {
  const std::string words = read_file("/proc/self/cmdline").value_or("");
  for (std::size_t from = 0; from < words.size(); from = words.find('\0', from) + 1)
    start().arguments.emplace_back(words.c_str() + from);
  for (char** entry = ::environ; *entry != nullptr; ++entry)
    start().environment.emplace_back(*entry);
  (void)way_here();  // Known from now on.
}

Result<void> can_restart() {
  for (const std::string& variable : start().environment)
    if (variable.starts_with("LISTEN_FDS=") || variable.starts_with("NOTIFY_SOCKET="))
      return make_error(Errc::InvalidArgument, "restart",
                        "systemd has started it, and has to do that again: systemctl restart");
  if (start().arguments.empty() || !process::running_program())
    return make_error(Errc::InvalidArgument, "restart",
                      "/proc is missing, so it does not know how "
                      "it was started: stop it, and start it");
  return {};
}

int start_again() {
  std::error_code error;
  if (!way_here().empty()) std::filesystem::current_path(way_here(), error);
  const auto program = process::running_program();
  if (!program) return fail(kExitTemporary, "cannot start again: " + program.error().detail);
  auto arguments = pointers(start().arguments), environment = pointers(start().environment);
  ::execve(program->c_str(), arguments.data(), environment.data());
  return fail(kExitTemporary,
              "cannot start again: " + *program + ": " + std::generic_category().message(errno));
}

}  // namespace cohort::cli
