// Lines of our own on a shared descriptor, each in one piece, written at once where the reader
// takes them. Never blocks: what is not taken waits, up to a limit; what comes then is dropped,
// counted, and said where it is missing.
//
// On the loop's executor only. Does not keep the loop running.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "base/shared_output.h"

namespace cohort {

class LineOutput {
 public:
  /// How much waits at most.
  static constexpr std::size_t kWaitingMax = 256 * 1024;
  /// The line, or lines, in the place of so many that were dropped.
  using Gap = std::function<std::string(std::uint64_t lines)>;

  /// `fd` stays open. What it is open on may change while nothing waits (a log is rotated).
  LineOutput(const Loop& loop, int fd, Gap gap);
  ~LineOutput() { finish(); }
  LineOutput(const LineOutput&) = delete;
  LineOutput& operator=(const LineOutput&) = delete;

  /// `lines` end with their newline. They are written whole, or dropped.
  void write(std::string_view lines);
  /// Writes what waits, as far as the reader takes it: blocks as LastPatience has it.
  void finish();

 private:
  void flush();
  void wait();
  void taken(std::size_t size);

  Loop loop_;
  const int fd_;
  std::optional<SharedOutput> output_;  // while something waits
  Gap gap_;
  std::string waiting_;
  std::size_t stuck_at_ = 0;
  std::uint64_t dropped_ = 0;
  std::optional<Watch> watch_;
};

/// `12 lines were dropped: stderr did not take them in time`
std::string gap_text(std::uint64_t lines);

}  // namespace cohort
