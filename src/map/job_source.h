// Where the jobs of `cohort map` come from: stdin, a file, lists, and all combinations of those.
//
// Of one stream no more is read than is ready, and than a bounded amount ahead: it may never end.
// Several sources are read to their ends first. The loop's executor only.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "base/loop.h"
#include "cohort/error.h"
#include "map/inputs.h"
#include "map/map_options.h"

namespace cohort::map {

/// What one job is about: arguments, or what it reads from its stdin.
struct JobInput {
  std::vector<std::string> values{};
  std::string bytes{};
};

class JobSource {
 public:
  /// `more`: called when there is more than before, never from here. InvalidArgument: the separator
  /// is no regular expression; else why a file cannot be read.
  static Result<std::unique_ptr<JobSource>> open(const Loop& loop, const MapOptions& options,
                                                 std::function<void()> more);

  /// What the next job is about. Nothing: none is ready (`more` tells), or the end.
  std::optional<JobInput> next();
  /// Reads what is ready, so that the number of jobs is known early.
  void look_ahead();
  /// There will be no other than those that are ready.
  bool saw_end() const { return saw_end_; }
  std::size_t ready() const { return ready_.size(); }
  /// Why reading has ended too early.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  JobSource(const Loop& loop, const MapOptions& options, std::function<void()> more);
  Result<void> read_all(const MapOptions& options);
  bool read_some();
  void add(std::vector<std::string> row);
  void feed(std::string_view bytes);
  void end();
  void collect();
  void add_ready(JobInput input);
  void wait();

  const Loop loop_;
  const std::function<void()> more_;
  std::optional<std::regex> separator_;
  RecordReader records_;
  JobMaker maker_;
  std::optional<BlockReader> blocks_;
  std::optional<Combinations> combinations_;
  std::string stream_name_;
  OwnFd stream_;
  std::optional<Watch> watch_;
  std::deque<JobInput> ready_;
  std::size_t ready_bytes_ = 0;
  bool saw_end_ = false;
  std::optional<Error> failure_;
};

}  // namespace cohort::map
