// What became of the requests of `cohort verify-reload`. Pure, and of bounded size.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cohort::cli {

/// What a client does, again and again.
enum class LoadKind : std::uint8_t { Get, KeptGet, KeptPost, SlowRead, LateSend };
inline constexpr std::array kLoadKinds{LoadKind::Get, LoadKind::KeptGet, LoadKind::KeptPost,
                                       LoadKind::SlowRead, LoadKind::LateSend};
const char* to_string(LoadKind kind);

/// How one request ended.
struct LoadOutcome {
  bool answered = false;
  /// On a kept connection, which ended before any byte of the answer: a server may close one that
  /// is idle (RFC 9112, 9.5), and a client that does not send again has lost its request.
  bool closed_idle = false;
  int status = 0;                     ///< Of the answer; 0: there was none.
  std::string what{};                 ///< Why it has failed.
  std::chrono::microseconds time{0};  ///< Without the pauses that the client made.
};

/// When a request was under way. `reload`: which one was, from 1; 0: none.
struct LoadMoment {
  std::chrono::milliseconds at{0};
  int generation = 0;
  int reload = 0;
};

struct LoadFailure {
  LoadKind kind{};
  LoadMoment moment;
  std::string what;
};

/// Durations, in buckets: what it says is at most 1/16 too much.
class Durations {
 public:
  void add(std::chrono::microseconds time);
  /// That so large a share did not exceed (0.99); nothing if there are none.
  std::optional<std::chrono::microseconds> quantile(double share) const;

 private:
  static constexpr std::size_t kSteps = 16, kDoublings = 40;
  std::array<std::uint64_t, kSteps * kDoublings> buckets_{};
  std::uint64_t count_ = 0;
};

class LoadTally {
 public:
  static constexpr std::size_t kFailuresMax = 5;

  struct Row {
    std::uint64_t requests = 0, failed = 0, closed_idle = 0;  // Each of the last is in `failed`.
    std::uint64_t reopened = 0;  ///< Kept connections that ended between two requests.
    std::chrono::microseconds slowest{0};
  };

  void add(LoadKind kind, const LoadMoment& moment, const LoadOutcome& outcome);
  void add_reopened(LoadKind kind, std::uint64_t count) { row(kind).reopened += count; }

  const Row& of(LoadKind kind) const { return rows_[static_cast<std::size_t>(kind)]; }
  Row sum() const;
  /// The first ones.
  const std::vector<LoadFailure>& failures() const { return failures_; }
  const Durations& during_reloads() const { return during_; }
  const Durations& outside() const { return outside_; }

 private:
  Row& row(LoadKind kind) { return rows_[static_cast<std::size_t>(kind)]; }

  std::array<Row, kLoadKinds.size()> rows_{};
  std::vector<LoadFailure> failures_;
  Durations during_, outside_;
};

}  // namespace cohort::cli
