// An application that a verb starts for itself, by `cohort run`, and ends.
//
// Owned by the verb, on its loop, which it must not outlive. If this process dies, it is told to
// stop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/applications.h"
#include "cohort/child_process.h"

namespace cohort::cli {

class OwnApplication {
 public:
  /// `words` of a command line: `run`, then options, a program and its arguments.
  OwnApplication(boost::asio::io_context& io, const std::vector<std::string>& words);
  OwnApplication(const OwnApplication&) = delete;
  OwnApplication& operator=(const OwnApplication&) = delete;

  /// What it is, if it serves on some port by now, with all its workers.
  std::optional<Running> serving() const;
  bool has_ended() const { return child_.exit().has_value(); }
  /// Asks it to stop, and waits for its end: `exited with code 0, CPU ...`.
  boost::asio::awaitable<Exit> stop();
  /// The end of what it printed, on stdout and stderr.
  const std::string& last_words() const { return last_words_; }

 private:
  void keep(std::string_view printed);

  ChildProcess child_;
  std::string last_words_;
};

}  // namespace cohort::cli
