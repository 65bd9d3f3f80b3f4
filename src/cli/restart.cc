#include "cli/restart.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/read_file.h"
#include "cli/options.h"
#include "cli/program_now.h"

namespace cohort::cli {
namespace {

struct Start {
  std::string executable;
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
  std::error_code error;
  start().executable = std::filesystem::read_symlink("/proc/self/exe", error).string();
  const std::string words = read_file("/proc/self/cmdline").value_or("");
  for (std::size_t from = 0; from < words.size(); from = words.find('\0', from) + 1)
    start().arguments.emplace_back(words.c_str() + from);
  for (char** entry = ::environ; *entry != nullptr; ++entry)
    start().environment.emplace_back(*entry);
  (void)start_directory();  // Known from now on.
}

Result<void> can_restart() {
  for (const std::string& variable : start().environment)
    if (variable.starts_with("LISTEN_FDS="))
      return make_error(Errc::InvalidArgument, "restart",
                        "its sockets are systemd's, which has to start it: systemctl restart");
  if (start().executable.empty() || start().arguments.empty())
    return make_error(Errc::InvalidArgument, "restart",
                      "/proc is missing, so it does not know how "
                      "it was started: stop it, and start it");
  return {};
}

int start_again() {
  std::error_code error;
  if (!start_directory().empty()) std::filesystem::current_path(start_directory(), error);
  auto arguments = pointers(start().arguments), environment = pointers(start().environment);
  ::execve(start().executable.c_str(), arguments.data(), environment.data());
  std::fprintf(stderr, "cohort: cannot start again: %s: %s\n", start().executable.c_str(),
               std::strerror(errno));
  return kExitTemporary;
}

}  // namespace cohort::cli
