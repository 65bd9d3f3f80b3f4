#include "cli/restart.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
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
  sigset_t blocked{};
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
  ::sigprocmask(SIG_SETMASK, nullptr, &start().blocked);
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

namespace {

// Of several in cohort.toml it is this one. One that was given no name keeps what it got.
std::vector<std::string> arguments_now(const RunOptions& application, const std::string& name) {
  std::vector<std::string> arguments = start().arguments;
  if (!application.config.empty())
    return {arguments.front(), "run", "--config", application.config, "--only", name};
  if (application.name.empty() && arguments.size() > 1)
    arguments.insert(arguments.begin() + 2, {"--name", name});
  return arguments;
}

// They are blocked while what workers have started is ended.
bool end_was_asked_for() {
  sigset_t pending;
  ::sigpending(&pending);
  return ::sigismember(&pending, SIGTERM) == 1 || ::sigismember(&pending, SIGINT) == 1;
}

}  // namespace

int start_again(const RunOptions& application, const std::string& name) {
  std::error_code error;
  if (end_was_asked_for()) return 0;
  // One that comes now ends this process.
  for (const int number : {SIGTERM, SIGINT}) ::signal(number, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &start().blocked, nullptr);
  if (!way_here().empty()) std::filesystem::current_path(way_here(), error);
  const auto program = process::running_program();
  if (!program) return fail(kExitTemporary, "cannot start again: " + program.error().detail);
  auto words = arguments_now(application, name);
  auto arguments = pointers(words), environment = pointers(start().environment);
  ::execve(program->c_str(), arguments.data(), environment.data());
  return fail(kExitTemporary,
              "cannot start again: " + *program + ": " + std::generic_category().message(errno));
}

}  // namespace cohort::cli
