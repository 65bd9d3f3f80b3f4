// The process group of a child that leads a session, and its end after the leader's.
//
// A process that has ended leaves its group behind: the children of a shell script, of `npm start`.
// The number of a group is not given to another while its leader is not reaped or a member lives,
// and nobody may be signalled by it at another time (`sys::signal_group`). On the loop's executor
// only, but for `group_lives`.
#pragma once

#include <sys/types.h>

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cohort/fd.h"
#include "process/cgroup.h"

namespace cohort::process {

/// What `/proc/PID/stat` says of a process.
struct StatLine {
  char state = '?';  ///< `R`, `S`, `T` (stopped), `Z`...
  pid_t group = 0;
  pid_t session = 0;
};
/// Pure. Nothing if the text is not such a line. The name in it may have any character.
std::optional<StatLine> parse_stat(std::string_view text);

/// Whether a member of the group lives: a zombie does not. Also true if that cannot be seen (no
/// /proc, no descriptor left). Reads all of /proc, some microseconds for each process.
bool group_lives(pid_t group);

/// A group whose leader has been reaped, and which has members (zombies, perhaps).
struct LeftGroup {
  pid_t id = 0;
  OwnFd leader;    ///< The leader's pidfd.
  OwnFd lifeline;  ///< Closing it kills the members, if one holds the other end.
  std::unique_ptr<ChildCgroup> cgroup{};  ///< In which they are, if the leader had one.
};

/// Asks the group of a child that has not been reaped to end. Who is stopped goes on, so as to hear
/// of it. False if nobody was reached.
bool signal_group(int leader_pidfd, pid_t leader, int signal_number);

/// Waits until nobody of the group lives. It has been sent TERM; who lives on is killed.
class GroupEnd {
 public:
  /// Kills what is left after `grace`. `over` is called once, never from here, and may destroy this
  /// object: nobody lives, or not even SIGKILL ended it within a second.
  GroupEnd(const Loop& loop, LeftGroup group, std::chrono::milliseconds grace,
           std::function<void()> over);
  /// Kills what is left.
  ~GroupEnd();
  GroupEnd(const GroupEnd&) = delete;
  GroupEnd& operator=(const GroupEnd&) = delete;

  /// Now.
  void kill();

 private:
  bool lives() const;
  void look_after(std::chrono::milliseconds pause);
  void look(std::chrono::milliseconds pause);

  LeftGroup group_;
  std::function<void()> over_;
  std::chrono::steady_clock::time_point deadline_;  // of the grace, then of the kill
  bool killed_ = false;
  boost::asio::steady_timer timer_;
  CallbackScope callbacks_;
};

}  // namespace cohort::process
