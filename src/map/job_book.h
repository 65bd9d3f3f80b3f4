// What becomes of jobs that end: whether they are tried again, whether more are started, and with
// which code it all ends. The codes are GNU parallel's.
//
// Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "cohort/error.h"
#include "cohort/exit.h"

namespace cohort::map {

/// `--halt`: after so many that fail, succeed or are done, either way; or so many of a hundred,
/// once three are done.
struct HaltRule {
  enum class When : std::uint8_t { Never, Soon, Now };  ///< Soon: those that run may finish.
  enum class What : std::uint8_t { Fail, Success, Done };

  When when = When::Never;
  What what = What::Fail;
  unsigned count = 1;
  bool of_hundred = false;

  /// `never`, `soon,fail=1`, `now,success=1`, `soon,fail=20%`. InvalidArgument.
  static Result<HaltRule> parse(std::string_view text);
  bool operator==(const HaltRule&) const = default;
};

class JobBook {
 public:
  /// `tries`: how often a job that fails is started, 1 or more.
  JobBook(HaltRule halt, unsigned tries) : halt_{halt}, tries_{tries} {}

  /// A job has ended that was started for the `attempt`-th time. True: it is to be started again.
  bool ended(const Exit& exit, unsigned attempt);

  /// No more are started.
  bool halts() const { return halts_; }
  /// And those that run are killed.
  bool kills() const { return halts_ && halt_.when == HaltRule::When::Now; }
  std::uint64_t done() const { return succeeded_ + failed_; }
  std::uint64_t failed() const { return failed_; }
  /// 0: none failed. 1 to 100: so many; 101: more. If it halts: that of the job that decided, where
  /// a signal counts as 128 and its number.
  int exit_code() const;

 private:
  bool is_reached() const;

  const HaltRule halt_;
  const unsigned tries_;
  std::uint64_t succeeded_ = 0, failed_ = 0;
  bool halts_ = false;
  int deciding_code_ = 0;
};

/// As a shell tells it in `$?`.
int shell_code(const Exit& exit);

}  // namespace cohort::map
