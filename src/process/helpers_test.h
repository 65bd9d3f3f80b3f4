// Helpers of this room's tests. The test program runs itself in the role of a child: `--role=NAME`.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cohort/exit.h"
#include "cohort/fd.h"
#include "process/spawn.h"

namespace cohort::process {

constexpr unsigned kNobody = 65534;

/// This program in a role, with this environment.
SpawnRequest role_request(const std::string& role, const std::vector<std::string>& args = {});
/// Another program, found in PATH, with this environment.
SpawnRequest program_request(const std::string& file, const std::vector<std::string>& args = {});

/// Runs the role if the arguments name one; its exit code then.
std::optional<int> run_role(int argc, char** argv);

/// Waits for a process to end and reaps it. Fails the test and kills it after a deadline.
Exit wait_exit(const Child& child);
/// The same for any process: true once it has ended, within the deadline.
bool ends_within(int pidfd, std::chrono::milliseconds deadline);

struct Output {
  std::string text;
  Exit exit;
};
/// Starts it with its stdout (and any `fds` of the request above 1) captured, and waits.
Output run(SpawnRequest request);

/// Up to and without the newline; what there is at the end of the stream.
std::string read_line(int fd);
std::string read_all(int fd);

/// A directory that is removed at the end, open to every user.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }
  /// Writes a file; returns its path.
  std::string write(const std::string& name, const std::string& text, unsigned mode = 0644) const;

 private:
  std::string path_;
};

}  // namespace cohort::process
