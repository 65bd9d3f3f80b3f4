#include "cluster/parent_channel.h"

#include <sys/stat.h>

#include <charconv>
#include <cstdlib>

#include "base/shared_output.h"
#include "base/sys.h"
#include "process/spawn.h"

namespace cohort::cluster {
namespace {

std::optional<std::string> take_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  std::string copy = value;
  ::unsetenv(name);
  return copy;
}

std::optional<int> to_int(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_socket(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace

ParentChannel take_parent_channel() {
  const bool of_cohort = process::adopt_lifeline();
  const auto fd_text = take_variable("NODE_CHANNEL_FD");
  const auto mode = take_variable("NODE_CHANNEL_SERIALIZATION_MODE");
  const auto id_text = take_variable("NODE_UNIQUE_ID");
  const auto slot_text = take_variable("COHORT_SLOT");
  ParentChannel parent;
  if (!fd_text || fd_text->empty()) return parent;
  const auto fd = to_int(*fd_text);
  if (!fd || *fd < 0 || !is_socket(*fd)) {
    parent.problem = "NODE_CHANNEL_FD=" + *fd_text + " is not a channel: descriptor " + *fd_text +
                     " is not an open socket; going on without a primary";
    return parent;
  }
  if (mode && !mode->empty() && *mode != "json" && *mode != "advanced") {
    write_to_stderr("cohort: NODE_CHANNEL_SERIALIZATION_MODE=" + *mode +
                    ": must be json or advanced\n");
    std::_Exit(100);
  }
  if (mode && *mode == "advanced") parent.serialization = Serialization::Advanced;
  parent.socket.reset(*fd);
  sys::set_cloexec(*fd, true);
  sys::set_nonblocking(*fd, true);
  parent.of_cohort = of_cohort;
  if (id_text) parent.worker_id = to_int(*id_text).value_or(0);
  if (of_cohort && id_text && slot_text)
    if (const auto slot = to_int(*slot_text); slot && *slot >= 0) parent.slot = *slot;
  return parent;
}

}  // namespace cohort::cluster
