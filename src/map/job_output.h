// What one job writes to stdout and stderr, until it is its turn to be printed.
//
// In files without a name: a job never waits for whoever reads, a process that it leaves behind
// writes to nobody else's output, and what is large is not in memory. Small outputs are, once the
// job has ended, so that thousands may wait. Blocks as files do.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "cohort/error.h"
#include "cohort/fd.h"

namespace cohort::map {

/// Writes all of it, however often that takes.
Result<void> write_all(int fd, std::string_view bytes);

/// A file without a name that has these bytes, to be read from its beginning.
Result<OwnFd> file_of(std::string_view bytes);

class JobOutput {
 public:
  /// Files in TMPDIR, or in /tmp.
  static Result<JobOutput> open();
  /// Files DIRECTORY/stdout and DIRECTORY/stderr, which is made; those that are there are empty
  /// then.
  static Result<JobOutput> open_in(const std::string& directory);

  int stdout_fd() const { return streams_[0].file.get(); }
  int stderr_fd() const { return streams_[1].file.get(); }
  /// The job has ended.
  Result<void> settle();
  std::uint64_t stdout_size() const { return streams_[0].size; }
  /// It keeps a file open still.
  bool is_large() const { return streams_[0].file || streams_[1].file; }
  /// To stdout and stderr, `tag` before each line. `end_line`: a last line without an end gets one.
  Result<void> print(std::string_view tag, bool end_line) const;

 private:
  struct Stream {
    OwnFd file{};
    std::string text{};  // instead of the file
    std::uint64_t size = 0;
  };
  static Result<void> print(const Stream& stream, int fd, std::string_view tag, bool end_line);

  std::array<Stream, 2> streams_{};
};

}  // namespace cohort::map
