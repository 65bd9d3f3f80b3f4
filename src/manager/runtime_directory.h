// Where the control sockets of running applications are, and what an application may be called.
//
//   DIRECTORY/NAME.sock   the control socket
//   DIRECTORY/NAME.lock   locked by the primary while it lives: two cannot have one name
//
// DIRECTORY belongs to one user, and nobody else gets in: $COHORT_RUNTIME_DIR; else /run/cohort of
// root, and of anybody else cohort/ in $XDG_RUNTIME_DIR, or /tmp/cohort-UID.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/error.h"
#include "cohort/fd.h"

namespace cohort::manager {

/// The variables that decide, as the process has them.
struct Surroundings {
  std::optional<std::string> cohort_runtime_dir{};
  std::optional<std::string> xdg_runtime_dir{};
  unsigned uid = 0;
};
Surroundings surroundings();

/// Where an application puts its socket. Pure.
std::string runtime_directory(const Surroundings& surroundings);
/// Where those of this user may be: a service has no XDG_RUNTIME_DIR, a login has; a unit that
/// `cohort systemd` printed has /run/cohort-UID. Pure.
std::vector<std::string> search_directories(const Surroundings& surroundings);
/// 1 to 64 letters, digits, `-`, `_` and `.`, the first of them no `.`: it never leaves the
/// directory. Pure.
bool is_name(std::string_view text);
/// The name of an application that was not given one, from its program: `server` of
/// /srv/shop/server.js, `shop` of /srv/shop. Pure.
std::string name_of_program(std::string_view program);
std::string socket_path(const std::string& directory, std::string_view name);

/// Makes it if it is not there. Fails if it belongs to somebody else, or others may write there:
/// they could put a socket of theirs in the place of ours.
Result<void> make_directory(const std::string& directory);
/// The right to a name, until the descriptor is closed. EWOULDBLOCK: somebody else has it.
Result<OwnFd> take_name(const std::string& directory, std::string_view name);
/// `taken`: what `take_name` gave.
void give_name_back(const std::string& directory, std::string_view name, OwnFd taken);
/// Those with a control socket, sorted; also of primaries that died without a word.
std::vector<std::string> names_in(const std::string& directory);

}  // namespace cohort::manager
