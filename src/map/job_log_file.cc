#include "map/job_log_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/read_file.h"
#include "base/sys.h"

namespace cohort::map {

Result<JobLogFile> JobLogFile::open(const std::string& path, bool goes_on) {
  JobLogFile log;
  if (path.empty()) return log;
  log.path_ = path;
  constexpr mode_t kAll = 0666;
  log.file_ = sys::open(path.c_str(),
                        O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC | (goes_on ? 0 : O_TRUNC), kAll);
  if (!log.file_) return errno_error("write the log " + path);
  if (goes_on) {
    const auto text = read_file(path);
    if (!text) return errno_error("read the log " + path);
    log.before_ = JobLog::read(*text);
    if (sys::ftruncate(log.file_.get(), static_cast<off_t>(log.before_.whole)) == -1)
      return errno_error("cut the log " + path);
  }
  if (log.before_.whole == 0 &&
      sys::write(log.file_.get(), kJobLogHeader.data(), kJobLogHeader.size()) == -1)
    return errno_error("write the log " + path);
  return log;
}

bool JobLogFile::is_done(std::uint64_t number, bool failed_again) const {
  if (before_.succeeded.contains(number)) return true;
  return !failed_again && before_.failed.contains(number);
}

// In one write: what a kill leaves of it is no line.
Result<void> JobLogFile::add(const LoggedJob& job) {
  if (!file_) return {};
  const std::string line = log_line(job);
  const ssize_t written = sys::write(file_.get(), line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size())) return {};
  if (written >= 0) errno = ENOSPC;
  return errno_error("write the log " + path_);
}

}  // namespace cohort::map
