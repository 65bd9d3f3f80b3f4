#include "map/serve_book.h"

#include <utility>

namespace cohort::map {

void ServeBook::give(unsigned worker, ServedLine line) {
  given_[worker].push_back(std::move(line));
}

std::size_t ServeBook::outstanding(unsigned worker) const {
  const auto found = given_.find(worker);
  return found == given_.end() ? 0 : found->second.size();
}

std::optional<ServedLine> ServeBook::answered(unsigned worker) {
  const auto found = given_.find(worker);
  if (found == given_.end() || found->second.empty()) return std::nullopt;
  ServedLine line = std::move(found->second.front());
  found->second.pop_front();
  return line;
}

std::optional<ServedLine> ServeBook::died(unsigned worker) {
  auto lines = std::move(given_[worker]);
  given_.erase(worker);
  if (lines.empty()) return std::nullopt;
  std::optional<ServedLine> failed;
  if (++lines.front().attempt >= tries_) {
    failed = std::move(lines.front());
    lines.pop_front();
    ++failed_;
  }
  // Before what waited already: they are older.
  while (!lines.empty()) {
    again_.push_front(std::move(lines.back()));
    lines.pop_back();
  }
  return failed;
}

std::optional<ServedLine> ServeBook::take_again() {
  if (again_.empty()) return std::nullopt;
  ServedLine line = std::move(again_.front());
  again_.pop_front();
  return line;
}

void ServeBook::done(std::uint64_t number, std::string text) {
  ++done_;
  if (!keeps_order_) {
    output_ += text;
    return;
  }
  if (number != next_) {
    held_.emplace(number, std::move(text));
    return;
  }
  output_ += text;
  ++next_;
  for (auto first = held_.begin(); first != held_.end() && first->first == next_;
       first = held_.erase(first), ++next_)
    output_ += first->second;
}

std::string ServeBook::take_output() { return std::exchange(output_, {}); }

}  // namespace cohort::map
