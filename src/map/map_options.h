// What `cohort map` was asked to do.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "map/job_book.h"

namespace cohort::map {

struct MapOptions {
  std::vector<std::string> command{};
  unsigned jobs = 1;  ///< At once.

  // What it works through.
  std::vector<std::vector<std::string>> lists{};  ///< Behind `:::`, each.
  std::vector<std::string> files{};  ///< Instead of stdin; with lists: every combination.
  char record_end = '\n';
  std::string column_separator{};  ///< A regular expression; empty: a record is one column.
  std::size_t rows = 1;            ///< For each job.
  bool fill = false;               ///< As many for each job as a command line takes.
  bool each_in_context = false;
  std::size_t block = 0;  ///< So many bytes of stdin for each job's stdin (--pipe); 0: arguments.

  // Programs that live on and answer line by line.
  bool serve = false;
  std::size_t window = 16;  ///< Lines that one of them may have at once.

  // What is printed.
  bool keep_order = false;
  bool grouped = true;  ///< Else jobs write for themselves.
  bool tag = false;
  bool dry_run = false;
  std::string results{};  ///< A directory, for what each job writes, too.
  std::string job_log{};
  bool progress = false;

  // What is done again.
  bool resume = false;         ///< What the log has is left out...
  bool resume_failed = false;  ///< ...if it did not fail.
  unsigned tries = 1;

  // When it starts and ends.
  HaltRule halt{};
  std::chrono::milliseconds timeout{0};  ///< Of a job; 0: none.
  std::chrono::milliseconds delay{0};    ///< Between two starts.
  std::uint64_t memory_free = 0;         ///< Bytes; with less none is started.
  double load_max = 0;                   ///< 0: any.
};

}  // namespace cohort::map
