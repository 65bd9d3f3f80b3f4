#include "manager/event_log.h"

#include <utility>

namespace cohort::manager {
namespace {

constexpr std::size_t kEventsMax = 1000, kEndsMax = 100;

void append(std::deque<NumberedEvent>& events, NumberedEvent event, std::size_t max) {
  events.push_back(std::move(event));
  if (events.size() > max) events.pop_front();
}

}  // namespace

void EventLog::add(Value event) {
  NumberedEvent numbered{++last_, std::move(event)};
  if (numbered.event.contains("exit")) append(ends_, numbered, kEndsMax);
  append(events_, std::move(numbered), kEventsMax);
}

const NumberedEvent* EventLog::after(std::uint64_t number) const {
  if (number >= last_) return nullptr;
  const std::uint64_t first = events_.front().number;
  return &events_[number < first ? 0 : number + 1 - first];
}

}  // namespace cohort::manager
