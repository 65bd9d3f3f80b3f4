#include "process/child_channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <iterator>

#include "base/sys.h"

namespace cohort::process {
namespace {

// A Node child's messages that it had not written when it called process.exit() are lost, but for
// what is in the socket: so the socket holds much. Measured: 5 000 of 5 000 arrive, 278 without.
constexpr int kSendBufferSize = 4 << 20;

constexpr std::string_view kOwnVariables[] = {"NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE",
                                              "NODE_UNIQUE_ID",  "COHORT_LIFELINE_FD",
                                              "COHORT_SLOT",     "COHORT_PARENT",
                                              "LISTEN_FDS",      "LISTEN_FDNAMES",
                                              "LISTEN_PID"};

// The one place that knows which formats the channel speaks.
const char* mode_name(Serialization serialization) {
  switch (serialization) {
    case Serialization::Advanced:
      return "advanced";
    case Serialization::Json:
      return "json";
  }
  return "json";
}

}  // namespace

Result<ChildChannel> make_child_channel(std::string_view whose) {
  OwnFd ends[2];
  if (sys::socketpair(AF_UNIX, SOCK_STREAM, false, ends) == -1 ||
      sys::set_nonblocking(ends[0].get(), true) == -1)
    return errno_error("socketpair for " + std::string{whose} + " channel");
  // Best effort: an unprivileged process gets up to net.core.wmem_max.
  if (sys::set_int_option(ends[1].get(), SOL_SOCKET, SO_SNDBUFFORCE, kSendBufferSize) == -1)
    sys::set_int_option(ends[1].get(), SOL_SOCKET, SO_SNDBUF, kSendBufferSize);
  return ChildChannel{std::move(ends[0]), std::move(ends[1])};
}

void set_variable(std::vector<std::string>& env, std::string_view name, std::string_view value) {
  std::string prefix{name};
  prefix += '=';
  std::erase_if(env, [&](const std::string& entry) { return entry.starts_with(prefix); });
  env.push_back(prefix.append(value));
}

std::vector<std::string> inherited_variables(char** inherited) {
  std::vector<std::string> env;
  char** end = inherited;
  while (end != nullptr && *end != nullptr) ++end;
  env.reserve(static_cast<std::size_t>(end - inherited) + std::size(kOwnVariables));
  for (char** entry = inherited; entry != end; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    const bool is_own = std::find(std::begin(kOwnVariables), std::end(kOwnVariables), name) !=
                        std::end(kOwnVariables);
    if (name.size() < text.size() && !is_own) env.emplace_back(text);
  }
  return env;
}

void name_channel(std::vector<std::string>& env, std::size_t fd, Serialization serialization) {
  set_variable(env, "NODE_CHANNEL_FD", std::to_string(fd));
  set_variable(env, "NODE_CHANNEL_SERIALIZATION_MODE", mode_name(serialization));
}

}  // namespace cohort::process
