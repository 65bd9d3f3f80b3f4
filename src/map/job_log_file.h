// The job log as a file: read once, then one write for each line.
#pragma once

#include <string>

#include "cohort/error.h"
#include "cohort/fd.h"
#include "map/job_log.h"

namespace cohort::map {

class JobLogFile {
 public:
  /// `path` empty: none. `goes_on`: what is in it counts, but for a line that a kill has cut; else
  /// it is made anew.
  static Result<JobLogFile> open(const std::string& path, bool goes_on);

  /// The job need not run. `failed_again`: one that failed does.
  bool is_done(std::uint64_t number, bool failed_again) const;
  Result<void> add(const LoggedJob& job);

 private:
  std::string path_;
  OwnFd file_;
  JobLog before_;
};

}  // namespace cohort::map
