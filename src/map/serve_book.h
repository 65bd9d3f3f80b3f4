// `cohort map --serve`: which worker has which lines, what becomes of them when it dies, and what
// can be printed.
//
// A worker answers its lines in the order in which it was given them. The oldest that it has not
// answered when it dies is what it died of; the others go to other workers.
//
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

namespace cohort::map {

struct ServedLine {
  std::uint64_t number = 0;  ///< From 1, without gaps.
  std::string text{};
  unsigned attempt = 0;
};

class ServeBook {
 public:
  ServeBook(unsigned tries, bool keeps_order) : tries_{tries}, keeps_order_{keeps_order} {}

  void give(unsigned worker, ServedLine line);
  /// Nothing: it had none, and has said something that nobody asked.
  std::optional<ServedLine> answered(unsigned worker);
  /// The line that has failed with it, if any has; else it is to be tried again, with the others.
  std::optional<ServedLine> died(unsigned worker);
  /// One that another worker had.
  std::optional<ServedLine> take_again();

  bool has_lines(unsigned worker) const { return outstanding(worker) > 0; }
  std::size_t outstanding(unsigned worker) const;
  /// How many wait to be given again.
  std::size_t again() const { return again_.size(); }

  /// The text of a line that is done, empty if it has failed.
  void done(std::uint64_t number, std::string text);
  /// What can be printed now.
  std::string take_output();
  /// Answers that are held back by one that is missing.
  std::size_t held() const { return held_.size(); }
  std::uint64_t lines_done() const { return done_; }
  std::uint64_t failed() const { return failed_; }

 private:
  const unsigned tries_;
  const bool keeps_order_;
  std::map<unsigned, std::deque<ServedLine>> given_;
  std::deque<ServedLine> again_;
  std::map<std::uint64_t, std::string> held_;
  std::uint64_t next_ = 1, done_ = 0, failed_ = 0;
  std::string output_;
};

}  // namespace cohort::map
