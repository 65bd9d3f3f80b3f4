#include "cli/hangup.h"

#include <fcntl.h>

#include <csignal>

#include "base/sys.h"

namespace cohort::cli {
namespace {

// A session whose terminal hung up has none any more: ENXIO.
bool has_terminal() { return static_cast<bool>(sys::open("/dev/tty", O_RDWR | O_NOCTTY)); }

bool is_ignored() {
  struct sigaction now{};
  return ::sigaction(SIGHUP, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

Hangup::Hangup() : had_terminal_{has_terminal()}, was_ignored_{is_ignored()} {}

Hangup::Means Hangup::means() const {
  if (!had_terminal_ || has_terminal()) return Means::Reload;
  return was_ignored_ ? Means::Nothing : Means::TheEnd;
}

}  // namespace cohort::cli
