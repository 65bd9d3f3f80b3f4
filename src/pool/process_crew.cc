#include "pool/process_crew.h"

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <utility>

#include "base/signals_blocked.h"
#include "base/sys.h"
#include "cohort/message_port.h"
#include "pool/crew_manager.h"
#include "pool/worker_link.h"
#include "thread/spin.h"

namespace cohort::pool {
namespace {

using Clock = std::chrono::steady_clock;

// Chunks of `map` take about so long, so that their cost is small beside it.
constexpr std::chrono::nanoseconds kChunkGoal = std::chrono::milliseconds{1};
constexpr std::size_t kChunkMax = 2048;
constexpr unsigned kSampleOne = 64;

// Of a record of inputs in frames, about.
constexpr std::size_t kFramesMax = 32 << 10;

// Some of the results of `map`: in frames, or one for itself.
struct Answers {
  std::size_t first = 0;
  std::size_t count = 1;
  std::string frames;
  Result<Value> one;
  std::uint64_t time_ns = 0;  // of all together
};

// The inputs from `begin` on, as many as fit, up to `end`; how many they are. One that cannot be in
// a frame has a job of its own.
std::size_t fill(Job& job, std::size_t begin, std::size_t end, bool in_frames,
                 const std::function<Value(std::size_t)>& input) {
  for (std::size_t i = begin; i < end && job.frames.size() < kFramesMax; ++i) {
    Value arguments = input(i);
    if (in_frames && append_frame(job.frames, Kind::Run, arguments, kFramesMax)) {
      ++job.framed;
      continue;
    }
    if (job.framed == 0) job.inputs = Value::array({std::move(arguments)});
    break;
  }
  return job.left();
}

Result<Value> result_of(const FrameReader& frame, ipc::CloneDecoder& decoder) {
  auto decoded = decoder.decode(frame.value());
  if (!decoded) return decoded.error();
  if (frame.kind() == Kind::Failure) return error_of_value(decoded->value);
  return std::move(decoded->value);
}

std::int64_t sampled() {
  thread_local unsigned count = 0;
  return ++count % kSampleOne == 0 ? Clock::now().time_since_epoch().count() : 0;
}

}  // namespace

ProcessCrew::ProcessCrew(const PoolOptions& options) : options_{options}, bell_{sys::eventfd()} {
  if (std::getenv(kWorkerVariable) != nullptr) {
    // It would start itself again and again.
    std::fprintf(stderr,
                 "cohort: this process is a worker of a pool: call cohort::run_as_pool_worker() "
                 "first in main\n");
    std::_Exit(1);
  }
  OwnFd heard = bell_ ? sys::duplicate(bell_.get()) : OwnFd{};
  if (!heard) {
    broken_ = errno_error("start the pool " + options_.name);
    ended_ = true;
    return;
  }
  const SignalsBlocked blocked;
  thread_ = std::thread{[this, heard = std::move(heard)]() mutable {
    ::pthread_setname_np(::pthread_self(), options_.name.substr(0, 15).c_str());
    CrewManager{*this}.run(std::move(heard));
  }};
}

ProcessCrew::~ProcessCrew() { end(); }

void ProcessCrew::end() {
  if (!thread_.joinable()) return;
  send(std::make_unique<Command>(Command{.act = [](CrewManager& manager) { manager.end(); }}));
  thread_.join();
  ended_.store(true, std::memory_order_seq_cst);
  drop_commands();
}

// What comes when there is no thread any more.
void ProcessCrew::drop_commands() {
  for (Command* command = commands_.take_all(); command != nullptr;) {
    const std::unique_ptr<Command> taken{std::exchange(command, command->next)};
    if (!taken->job) continue;
    for (Job& job = *taken->job; job.left() > 0; ++job.first)
      job.answer(job.first,
                 broken_.value_or(system_error(ECANCELED, "run a task", "its pool is gone")), 0);
  }
}

void ProcessCrew::send(std::unique_ptr<Command> command) {
  commands_.push(command.release());
  if (!sleeps_.load(std::memory_order_seq_cst))
    thread::spin_rule().encourage();
  else if (sleeps_.exchange(false))
    ring();
  if (ended_.load(std::memory_order_seq_cst)) drop_commands();
}

void ProcessCrew::ring() const {
  const std::uint64_t one = 1;
  sys::write(bell_.get(), &one, sizeof one);
}

bool ProcessCrew::has_room(Error& problem) {
  if (options_.when_full == WhenFull::DropOldest) return true;
  while (waiting_.load(std::memory_order_seq_cst) >= options_.queue_max) {
    if (options_.when_full == WhenFull::Refuse) {
      problem = make_error(Errc::QueueFull, "give a task to the pool " + options_.name,
                           std::to_string(options_.queue_max) + " wait already: queue_max");
      return false;
    }
    const auto seen = room_.load(std::memory_order_seq_cst);
    if (waiting_.load(std::memory_order_seq_cst) >= options_.queue_max)
      sys::futex_wait(room_, seen, std::chrono::milliseconds{100}, false);
  }
  return true;
}

void ProcessCrew::give(const std::shared_ptr<detail::StateOf<Value>>& state,
                       const std::string& name, Value arguments) {
  Error problem;
  if (!has_room(problem)) {
    state->fail(std::move(problem));
    return;
  }
  const TaskOptions& options = state->options;
  auto job = std::make_unique<Job>();
  job->name = name;
  job->inputs = Value::array({std::move(arguments)});
  job->priority = options.priority;
  job->retries = options.retries;
  job->since = sampled();
  if (options.deadline.count() > 0) job->deadline = Clock::now() + options.deadline;
  job->on_progress = options.on_progress;
  job->answer = [state](std::size_t, Result<Value> result, std::uint64_t) {
    if (!state->claim()) return;
    state->result = std::move(result);
    state->publish();
  };
  waiting_.fetch_add(1, std::memory_order_relaxed);
  job->left_queue = [this] {
    waiting_.fetch_sub(1, std::memory_order_seq_cst);
    if (options_.when_full != WhenFull::Wait) return;
    room_.fetch_add(1, std::memory_order_seq_cst);
    sys::futex_wake(room_, 1, false);
  };
  // Which number it has got, only the thread knows; 0: it is answered.
  const auto id = std::make_shared<std::uint64_t>(0);
  state->on_cancel = [weak = weak_from_this(), id] {
    const auto crew = weak.lock();
    if (!crew) return;
    crew->send(std::make_unique<Command>(Command{.act = [id](CrewManager& manager) {
      manager.cancel(*id, system_error(ECANCELED, "run a task"));
    }}));
  };
  state->begin();  // from now on only the thread ends it
  send(std::make_unique<Command>(Command{.job = std::move(job), .id = id}));
  // Now, so that it is cancelled after it was added.
  if (options.cancel.stop_possible())
    state->on_stop = std::make_shared<std::stop_callback<std::function<void()>>>(
        options.cancel, [weak = std::weak_ptr{state}] {
          if (const auto alive = weak.lock()) alive->cancel();
        });
}

void ProcessCrew::map(const std::string& name, std::size_t count,
                      const std::function<Value(std::size_t)>& input,
                      const std::function<void(std::size_t, Result<Value>)>& take) {
  const MessageChannel<Answers> answers{{.queue_max = SIZE_MAX}};
  ipc::CloneDecoder decoder;
  const bool in_frames = options_.isolation == Isolation::Process;
  // Enough that nobody waits for this thread; no more, so that memory is bounded.
  const unsigned workers = options_.max_workers == 0 ? 8 : options_.max_workers;
  const std::size_t depth = options_.depth == 0 ? 4 : options_.depth;
  std::size_t next = 0, answered = 0, size = 1;
  double mean = 0;
  while (answered < count) {
    while (next < count && next - answered < size * workers * depth) {
      auto job = std::make_unique<Job>();
      job->name = name;
      job->answer = [first = next, port = answers.port1](std::size_t at, Result<Value> result,
                                                         std::uint64_t time_ns) {
        port.post_message({first + at, 1, {}, std::move(result), time_ns});
      };
      job->answer_many = [first = next, port = answers.port1](std::size_t at, std::size_t many,
                                                              std::string frames,
                                                              std::uint64_t time_ns) {
        port.post_message({first + at, many, std::move(frames), Value(), time_ns});
      };
      next += fill(*job, next, std::min(count, next + size), in_frames, input);
      send(std::make_unique<Command>(Command{.job = std::move(job)}));
    }
    auto came = answers.port2.receive_for(std::chrono::hours{1});
    if (!came) continue;
    answered += came->count;
    if (came->time_ns > 0) {
      const auto time = static_cast<double>(came->time_ns) / static_cast<double>(came->count);
      mean = mean == 0 ? time : mean * 0.9 + time * 0.1;
      size = std::clamp<std::size_t>(
          static_cast<std::size_t>(static_cast<double>(kChunkGoal.count()) / mean), 1,
          std::min(kChunkMax, 2 * size));
    }
    if (came->frames.empty()) {
      take(came->first, std::move(came->one));
      continue;
    }
    FrameReader frames{came->frames};
    for (std::size_t i = 0; i < came->count && frames.next(); ++i)
      take(came->first + i, result_of(frames, decoder));
  }
}

void ProcessCrew::resize(unsigned min_workers, unsigned max_workers) {
  send(std::make_unique<Command>(
      Command{.act = [=](CrewManager& manager) { manager.resize(min_workers, max_workers); }}));
}

void ProcessCrew::add_to(PoolStatistics& sum) {
  // As it is now, not as it was when the thread last slept; of one that has ended, as it was then.
  auto published = std::make_shared<std::promise<void>>();
  auto done = published->get_future();
  send(std::make_unique<Command>(
      Command{.act = [published = std::move(published)](CrewManager& manager) {
        manager.publish_statistics();
        published->set_value();
      }}));
  done.wait();
  const std::lock_guard lock{statistics_mutex_};
  sum = statistics_;
}

}  // namespace cohort::pool
