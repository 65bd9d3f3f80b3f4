// What happened, numbered from 1: the last thousand events, for whoever asks late, and the last
// hundred ends of workers, which nothing else pushes out.
//
// Pure. Owned by the Control.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "cohort/value.h"

namespace cohort::manager {

struct NumberedEvent {
  std::uint64_t number = 0;
  Value event;  ///< An object; `event` says which it is.
};

class EventLog {
 public:
  /// An end of a worker: an event with a member `exit`.
  void add(Value event);
  /// Of the last added; 0 if none was.
  std::uint64_t last() const { return last_; }
  /// Of the first that is still there; 1 if none is.
  std::uint64_t first() const { return events_.empty() ? 1 : events_.front().number; }
  /// The first one after `number` that is still there. Null: there is none.
  const NumberedEvent* after(std::uint64_t number) const;
  /// Oldest first.
  const std::deque<NumberedEvent>& ends() const { return ends_; }

 private:
  std::uint64_t last_ = 0;
  std::deque<NumberedEvent> events_;
  std::deque<NumberedEvent> ends_;
};

}  // namespace cohort::manager
