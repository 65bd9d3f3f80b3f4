// What `cohort verify-reload` found, its verdict, and how that is said. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/load_tally.h"
#include "cohort/value.h"

namespace cohort::cli {

struct ReloadVerdict {
  int generation = 0;
  std::string outcome;  ///< Of the control socket, as `reached`; or `refused`.
  std::string text;     ///< Half a sentence for people.
  std::chrono::milliseconds time{0};
};

struct LeftOut {
  LoadKind kind{};
  std::string why;  ///< `answered 404`
};

struct VerifyReport {
  std::string application{};
  std::string url{};
  int connections = 0;
  int reloads_wanted = 0;
  std::vector<ReloadVerdict> reloads{};
  std::vector<LeftOut> left_out{};
  LoadTally tally{};
  std::string cut_short{};   ///< Why it ended before all reloads were over; else empty.
  bool interrupted = false;  ///< By Ctrl-C.

  int reached() const;
};

/// The exit code of the command.
int exit_code(const VerifyReport& report);
/// `lost 12 of 48 211 requests`
std::string verdict_text(const VerifyReport& report);
/// For people.
std::string report_text(const VerifyReport& report);
Value report_value(const VerifyReport& report);
/// While it goes on: `reload 7 of 20, 1 234 requests, 0 failed`.
std::string course_text(const VerifyReport& report, int reload);

}  // namespace cohort::cli
