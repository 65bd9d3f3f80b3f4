#include "pool/task_book.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace cohort::pool {

std::uint64_t TaskBook::add(std::unique_ptr<Job> job) {
  job->id = ++last_id_;
  if (job->deadline) deadlines_.emplace(*job->deadline, job->id);
  queue_of(*job).push_back(job->id);
  entries_.emplace(last_id_, Entry{std::move(job)});
  return last_id_;
}

bool TaskBook::anybody_waits() const { return waiting() > 0; }

std::size_t TaskBook::waiting() const { return entries_.size() - with_workers_; }

void TaskBook::leave_queue(Job& job) {
  if (const auto told = std::exchange(job.left_queue, nullptr)) told();
}

Job* TaskBook::next_for(int worker) {
  for (auto& queue : waiting_) {
    while (!queue.empty()) {
      const auto found = entries_.find(queue.front());
      queue.pop_front();
      if (found == entries_.end()) continue;  // it failed while it waited
      found->second.worker = worker;
      ++with_workers_;
      leave_queue(*found->second.job);
      return found->second.job.get();
    }
  }
  return nullptr;
}

void TaskBook::give_back(std::uint64_t id) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || !found->second.worker) return;
  found->second.worker.reset();
  --with_workers_;
  queue_of(*found->second.job).push_front(id);
}

Job* TaskBook::find(std::uint64_t id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.job.get();
}

std::optional<int> TaskBook::worker_of(std::uint64_t id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? std::nullopt : found->second.worker;
}

std::unique_ptr<Job> TaskBook::take_out(Entries::iterator entry) {
  auto job = std::move(entry->second.job);
  if (entry->second.worker) --with_workers_;
  if (job->deadline) {
    const auto [begin, end] = deadlines_.equal_range(*job->deadline);
    const auto mine =
        std::find_if(begin, end, [&](const auto& each) { return each.second == job->id; });
    if (mine != end) deadlines_.erase(mine);
  }
  leave_queue(*job);
  entries_.erase(entry);
  return job;
}

bool TaskBook::answered(std::uint64_t id, std::size_t input, Result<Value> result,
                        std::uint64_t time_ns) {
  const auto found = entries_.find(id);
  // Whoever answers is not believed: only the next one can be answered.
  if (found == entries_.end() || input != found->second.job->first) return false;
  Job& job = *found->second.job;
  ++job.first;
  ++done_;
  job.answer(input, std::move(result), time_ns);
  if (job.left() > 0) return false;
  take_out(found);
  return true;
}

bool TaskBook::answered(std::uint64_t id, std::size_t input, std::size_t count, std::string frames,
                        std::uint64_t time_ns) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return false;
  Job& job = *found->second.job;
  if (input != job.first || count > job.left() || !job.answer_many) return false;
  job.first += count;
  done_ += count;
  job.answer_many(input, count, std::move(frames), time_ns);
  if (job.left() > 0) return false;
  take_out(found);
  return true;
}

bool TaskBook::fail(std::uint64_t id, const Error& error) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return false;
  const auto job = take_out(found);
  for (; job->left() > 0; ++job->first, ++done_) job->answer(job->first, error, 0);
  return true;
}

void TaskBook::drop_oldest(Priority priority, const Error& error) {
  auto& queue = waiting_[static_cast<std::size_t>(priority)];
  while (!queue.empty()) {
    const std::uint64_t oldest = queue.front();
    queue.pop_front();
    if (fail(oldest, error)) return;
  }
}

void TaskBook::fail_waiting(const Error& error) {
  std::vector<std::uint64_t> all;
  for (const auto& [id, entry] : entries_)
    if (!entry.worker) all.push_back(id);
  for (const std::uint64_t id : all) fail(id, error);
}

void TaskBook::fail_all(const Error& error) {
  while (!entries_.empty()) fail(entries_.begin()->first, error);
  for (auto& queue : waiting_) queue.clear();
}

void TaskBook::died(int worker, std::optional<std::uint64_t> begun, const Error& error) {
  std::vector<std::uint64_t> had;
  for (const auto& [id, entry] : entries_)
    if (entry.worker == worker) had.push_back(id);
  // The newest first, so that the oldest is the first of the queue in the end.
  for (auto id = had.rbegin(); id != had.rend(); ++id) {
    Job& job = *known(entries_, *id).job;
    if (*id != begun) {
      give_back(*id);
      continue;
    }
    ++job.deaths;
    const bool is_poison = job.deaths >= poison_after_;
    if (is_poison) poison_.insert(job.name);
    if (job.retries > 0 && !is_poison) {
      --job.retries;
      ++retried_;
      give_back(*id);
    } else if (!answered(*id, job.first, error, 0)) {
      job.deaths = 0;  // of the next input
      give_back(*id);
    }
  }
}

std::vector<std::uint64_t> TaskBook::expired(BookTime now) const {
  std::vector<std::uint64_t> all;
  for (auto each = deadlines_.begin(); each != deadlines_.end() && each->first <= now; ++each)
    all.push_back(each->second);
  return all;
}

std::optional<BookTime> TaskBook::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

}  // namespace cohort::pool
