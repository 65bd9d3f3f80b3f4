// Whose a child is: a user and groups by name, as initgroups(3) and systemd's User= have them.
//
// Names are looked up here, in the parent, and never between clone and exec: a directory service
// may be asked, which takes locks, opens sockets, and may block for seconds. So it is called before
// there is anything to serve, or at a reload. The child only sets numbers (spawn_child.h).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "cohort/child_process.h"
#include "cohort/error.h"

namespace cohort::process {

struct Identity {
  std::optional<uid_t> uid{};  ///< Nothing: only a group was asked for.
  gid_t gid = 0;
  std::vector<gid_t> groups{};  ///< The supplementary ones; `gid` may be among them.
  Environment variables{};      ///< HOME, USER and LOGNAME of the user.
};

/// `user` and `group` are a name or a number; one of both may be empty. The detail of the error is
/// a sentence: there is no such user or group, or it cannot be looked up. A number without a user
/// needs a group, and has no supplementary groups, and the home `/`. A group alone has none either.
Result<Identity> identity_of(const std::string& user, const std::string& group);

/// Puts the ids into the options; not those that this process has and may not set. The error says
/// which privilege is missing: a worker of another user has to be signalled, too.
Result<void> take_identity(const Identity& who, SpawnOptions& options);

/// Ids that were given before and are given no more are this process's own again.
void give_back_identity(const SpawnOptions& before, SpawnOptions& now);

}  // namespace cohort::process
