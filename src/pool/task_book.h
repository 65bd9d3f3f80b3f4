// The tasks that a pool of processes was given and that are not answered: who waits, who has which,
// and what becomes of them when a worker dies. Pure.
//
// A job is one task with one or more inputs: those of `map` come in chunks. Each input is answered
// once: by a result, or by the reason why there is none.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cohort/pool.h"

namespace cohort::pool {

using BookTime = std::chrono::steady_clock::time_point;

struct Job {
  std::uint64_t id = 0;  ///< Set by the book.
  std::string name;
  Value inputs;        ///< An array: the arguments of each, an array.
  std::string frames;  ///< Or so (worker_link.h), if there are any:
  std::size_t framed = 0;
  std::size_t first = 0;  ///< So many of them are answered, from the beginning.
  Priority priority = Priority::Normal;
  unsigned retries = 0;  ///< Left.
  unsigned deaths = 0;   ///< Workers that have died of it.
  std::optional<BookTime> deadline{};
  std::int64_t since = 0;  ///< When it was given, of one in 64.
  /// `input`: its index among the inputs.
  std::function<void(std::size_t input, Result<Value> result, std::uint64_t time_ns)> answer;
  /// Of several inputs at once, from the first: the results in frames. Of a job in frames.
  std::function<void(std::size_t input, std::size_t count, std::string frames,
                     std::uint64_t time_ns)>
      answer_many{};
  std::function<void(const Value&)> on_progress{};
  /// It has left the queue: there is room for another.
  std::function<void()> left_queue{};

  std::size_t left() const { return (framed > 0 ? framed : inputs.size()) - first; }
};

class TaskBook {
 public:
  /// `poison_after`: workers that die of one task.
  explicit TaskBook(unsigned poison_after) : poison_after_{poison_after} {}

  /// The last of those that wait with its priority.
  std::uint64_t add(std::unique_ptr<Job> job);
  bool anybody_waits() const;
  std::size_t waiting() const;
  /// Who has waited longest, of the highest priority: is `worker`'s from now on. Null: nobody
  /// waits.
  Job* next_for(int worker);
  /// The worker has given it back; it comes first again.
  void give_back(std::uint64_t id);
  /// Null: it is answered already, or never was.
  Job* find(std::uint64_t id);
  /// One input was answered, in order. True: that was the last; the job is gone.
  bool answered(std::uint64_t id, std::size_t input, Result<Value> result, std::uint64_t time_ns);
  /// The same of several, by `Job::answer_many`.
  bool answered(std::uint64_t id, std::size_t input, std::size_t count, std::string frames,
                std::uint64_t time_ns);
  /// Answers all that is left of it so. False: it is gone already.
  bool fail(std::uint64_t id, const Error& error);
  /// The one that has waited longest of that priority, answered so.
  void drop_oldest(Priority priority, const Error& error);
  void fail_all(const Error& error);
  /// All that no worker has.
  void fail_waiting(const Error& error);

  /// A worker is dead. Those that it had wait again, before all others, but for the input that it
  /// had begun (of the job `begun`): tried again if that may be, else answered with `error`.
  void died(int worker, std::optional<std::uint64_t> begun, const Error& error);

  /// Whose deadline is over.
  std::vector<std::uint64_t> expired(BookTime now) const;
  std::optional<BookTime> next_deadline() const;
  /// Which worker has it; nothing: it waits.
  std::optional<int> worker_of(std::uint64_t id) const;

  const std::set<std::string>& poison() const { return poison_; }
  std::uint64_t done() const { return done_; }
  std::uint64_t retried() const { return retried_; }

 private:
  struct Entry {
    std::unique_ptr<Job> job;
    std::optional<int> worker{};
  };
  using Entries = std::map<std::uint64_t, Entry>;
  std::deque<std::uint64_t>& queue_of(const Job& job) {
    return waiting_[static_cast<std::size_t>(job.priority)];
  }
  std::unique_ptr<Job> take_out(Entries::iterator entry);
  void leave_queue(Job& job);

  const unsigned poison_after_;
  std::uint64_t last_id_ = 0;
  Entries entries_;  // by id: in the order in which they were given
  std::size_t with_workers_ = 0;
  std::array<std::deque<std::uint64_t>, 3> waiting_;  // some of them have failed meanwhile
  std::multimap<BookTime, std::uint64_t> deadlines_;
  std::set<std::string> poison_;
  std::uint64_t done_ = 0;
  std::uint64_t retried_ = 0;
};

}  // namespace cohort::pool
