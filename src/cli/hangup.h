// SIGHUP has two meanings: an operator wants a reload, or the terminal is gone.
//
// Made when the command starts; the loop's thread.
#pragma once

namespace cohort::cli {

class Hangup {
 public:
  Hangup();

  enum class Means {
    Reload,
    TheEnd,   ///< The terminal that the command was started at is gone.
    Nothing,  ///< The same, and whoever started it did not want it to matter: nohup.
  };
  /// Of the SIGHUP that has just come.
  Means means() const;

 private:
  bool had_terminal_;
  bool was_ignored_;
};

}  // namespace cohort::cli
