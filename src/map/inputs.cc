#include "map/inputs.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace cohort::map {
namespace {

// As execve counts an argument: its bytes, the NUL behind it, and the pointer to it.
std::size_t cost_of(const std::vector<std::string>& row) {
  std::size_t bytes = 0;
  for (const std::string& value : row) bytes += value.size() + 1 + sizeof(char*);
  return bytes;
}

}  // namespace

void RecordReader::feed(std::string_view bytes) {
  for (auto end = bytes.find(end_); end != bytes.npos; end = bytes.find(end_)) {
    unfinished_ += bytes.substr(0, end);
    records_.push_back(std::exchange(unfinished_, {}));
    bytes.remove_prefix(end + 1);
  }
  unfinished_ += bytes;
}

void RecordReader::finish() {
  if (!unfinished_.empty()) records_.push_back(std::exchange(unfinished_, {}));
}

std::optional<std::string> RecordReader::next() {
  if (records_.empty()) return std::nullopt;
  std::string record = std::move(records_.front());
  records_.pop_front();
  return record;
}

std::optional<std::string> BlockReader::next() {
  if (bytes_.empty()) return std::nullopt;
  std::size_t length = bytes_.size();
  if (length > size_ || !is_finished_) {
    if (length < size_) return std::nullopt;
    auto last = bytes_.rfind(end_, size_ - 1);
    // A record that is longer than a block.
    if (last == bytes_.npos) last = bytes_.find(end_, std::max(size_, looked_));
    looked_ = bytes_.size();
    if (last == bytes_.npos && !is_finished_) return std::nullopt;
    if (last != bytes_.npos) length = last + 1;
  }
  std::string block = bytes_.substr(0, length);
  bytes_.erase(0, length);
  looked_ = 0;
  return block;
}

Combinations::Combinations(std::vector<std::vector<std::string>> lists)
    : lists_{std::move(lists)},
      at_(lists_.size()),
      is_done_{lists_.empty() || std::any_of(lists_.begin(), lists_.end(),
                                             [](const auto& list) { return list.empty(); })} {}

std::optional<std::vector<std::string>> Combinations::next() {
  if (is_done_) return std::nullopt;
  std::vector<std::string> row;
  for (std::size_t i = 0; i < lists_.size(); ++i) row.push_back(lists_[i][at_[i]]);
  std::size_t list = lists_.size();
  while (list > 0 && ++at_[list - 1] == lists_[list - 1].size()) at_[--list] = 0;
  is_done_ = list == 0;
  return row;
}

bool JobMaker::is_hungry() const {
  if (share_) return false;
  return grouping_.bytes_max ? bytes_ <= *grouping_.bytes_max : rows_.size() < grouping_.rows;
}

void JobMaker::add(std::vector<std::string> row) {
  bytes_ += cost_of(row);
  rows_.push_back(std::move(row));
}

void JobMaker::finish() {
  if (share_) return;
  const std::size_t jobs = std::max(1U, grouping_.jobs);
  share_ = grouping_.bytes_max ? (rows_.size() + jobs - 1) / jobs : grouping_.rows;
}

std::optional<std::vector<std::string>> JobMaker::next() {
  if (rows_.empty() || is_hungry()) return std::nullopt;
  std::vector<std::string> values;
  std::size_t bytes = 0;
  const std::size_t rows_max = share_.value_or(grouping_.bytes_max ? rows_.size() : grouping_.rows);
  for (std::size_t taken = 0; taken < rows_max && !rows_.empty(); ++taken) {
    const std::size_t cost = cost_of(rows_.front());
    if (grouping_.bytes_max && taken > 0 && bytes + cost > *grouping_.bytes_max) break;
    bytes += cost;
    std::move(rows_.front().begin(), rows_.front().end(), std::back_inserter(values));
    rows_.pop_front();
  }
  bytes_ -= bytes;
  return values;
}

std::vector<std::string> columns_of(const std::string& record, const std::regex& separator) {
  constexpr int kBetween = -1;
  std::vector<std::string> columns{
      std::sregex_token_iterator{record.begin(), record.end(), separator, kBetween}, {}};
  if (columns.empty()) columns.emplace_back();
  return columns;
}

}  // namespace cohort::map
