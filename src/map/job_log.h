// The log of `cohort map`, in GNU parallel's format: a line for each job that is done, its output
// written. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "cohort/exit.h"

namespace cohort::map {

inline constexpr std::string_view kJobLogHeader =
    "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

struct LoggedJob {
  std::uint64_t number = 0;
  double started = 0;         ///< Seconds since 1970.
  double took = 0;            ///< Seconds.
  std::uint64_t written = 0;  ///< Bytes of its stdout.
  Exit exit{};
  std::string command{};
};

/// With its end. Line ends and tabs of the command become blanks.
std::string log_line(const LoggedJob& job);

/// What a log tells whoever goes on from it. The last line of a number counts. A line that is not
/// whole, as a kill may leave it, does not.
struct JobLog {
  std::set<std::uint64_t> succeeded{}, failed{};
  /// How much of the text is whole lines: what is behind that is to be cut off.
  std::size_t whole = 0;

  static JobLog read(std::string_view text);
};

}  // namespace cohort::map
