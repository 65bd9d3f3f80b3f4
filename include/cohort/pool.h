// The same work, many at a time: a pool of threads, or of processes. One word changes one into the
// other.
//
//   const cohort::Task count_words{"count_words", [](std::string path) -> std::uint64_t { ... }};
//
//   int main() {
//     if (const auto code = cohort::run_as_pool_worker()) return *code;   // a process of a pool
//     cohort::Pool pool{{.isolation = cohort::Isolation::Process}};      // or Thread
//     cohort::Future<std::uint64_t> words = pool.run(count_words, "/etc/services");
//     cohort::Result<std::uint64_t> n = words.get();                     // blocks; or
//     n = co_await pool.run(count_words, "/etc/services");               // does not
//   }
//
// **Threads** share memory: arguments are moved, a task may be any callable, and a task that
// crashes ends this process. **Processes** share nothing: arguments and results are copied (large
// binary data once, into memory that both have), a task is a function with a name, and one that
// crashes ends its worker and nothing else. docs/parallel.md helps to choose.
//
// A Pool may be used by any thread. It has threads of its own; callbacks run where they are asked
// to. The destructor drops what waits (ECANCELED), and waits for what runs: threads until they are
// done, processes are killed. Contract: Python's `concurrent.futures` and Node's piscina, where
// they agree; a broken worker never breaks the pool.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "cohort/callback.h"
#include "cohort/child_process.h"
#include "cohort/error.h"
#include "cohort/loop_ref.h"
#include "cohort/preload.h"
#include "cohort/value.h"
#include "cohort/value_to.h"

namespace cohort {

namespace pool {
class PoolImpl;
}
class Pool;

/// What a task runs in.
enum class Isolation : std::uint8_t {
  Thread,   ///< Of this process.
  Process,  ///< This program again (`run_as_pool_worker`).
  Command,  ///< Another program, in any language: docs/parallel.md says what it has to answer.
};

/// Which of those that wait comes first.
enum class Priority : std::uint8_t { High, Normal, Low };

/// What `run` does when as many wait as may (`PoolOptions::queue_max`).
enum class WhenFull : std::uint8_t {
  Wait,        ///< Blocks until there is room. Not on a loop's thread.
  Refuse,      ///< The task fails with QueueFull.
  DropOldest,  ///< The one that has waited longest fails so, in its place.
};

struct PoolOptions {
  Isolation isolation = Isolation::Thread;
  /// What `top -H` shows of its threads, and `ps` of its processes.
  std::string name = "pool";
  /// So many workers there are always, once there was work for them.
  unsigned min_workers = 0;
  /// So many at most. 0: one for each CPU that this process may use, and when that changes, as the
  /// quota of a container does, as many as then, within a second of work.
  unsigned max_workers = 0;
  /// A worker above `min_workers` that has had nothing to do for so long ends. 0: never.
  std::chrono::milliseconds idle_timeout{0};
  /// So many tasks may wait that were given from outside; those that a task of the pool gives are
  /// not counted.
  std::size_t queue_max = std::size_t{1} << 20;
  WhenFull when_full = WhenFull::Refuse;
  /// The name of a Preload (cohort/preload.h), whose result the tasks need. Empty: none. In
  /// processes: loaded once for all workers, which are forks of the process that has; if that
  /// fails, so do the tasks that wait. In threads: the constructor loads it, once in this process,
  /// and throws an Exception if that fails. Of commands: an Exception, too.
  std::string preload{};

  // Of processes and commands.
  /// Tasks that a worker has at once: one runs, the others are there when it is done. A crash fails
  /// the one that has begun, the others go to other workers. 0: 8.
  unsigned depth = 0;
  /// Of Command: the program and its arguments, and how it is spoken to.
  std::vector<std::string> command{};
  enum class Protocol : std::uint8_t {
    Channel,  ///< Node's: messages of `process.on('message')`, as docs/calls.md has calls.
    Lines,    ///< A line of JSON in, a line of JSON out.
  };
  Protocol protocol = Protocol::Channel;
  /// How the processes are started: limits, user, environment.
  SpawnOptions spawn{};
  /// A task during which so many workers have died is poison: it is tried no more, whatever
  /// `retries` says.
  unsigned poison_after = 3;
};

/// How one task is run: `pool.with({.priority = Priority::High}).run(...)`.
struct TaskOptions {
  Priority priority = Priority::Normal;
  /// How long it may take, from the call of `run`. Then it fails with ETIMEDOUT. A process is
  /// killed and replaced. A thread cannot be: its stop token is set, and it is said to run still
  /// (`PoolStatistics::overdue`) until it ends. 0: for ever.
  std::chrono::milliseconds deadline{0};
  /// Cancels it, as `Future::cancel`.
  std::stop_token cancel{};
  /// It may be run twice: so often again where its worker died.
  unsigned retries = 0;
  /// What the task says of its progress (`ThisTask::progress`). Called on a thread of the pool,
  /// which it keeps from its work; it must not wait for a task. What it throws is a line on stderr.
  std::function<void(const Value&)> on_progress{};
};

/// How long things took: counts by powers of two of a nanosecond, of one task in 64.
struct TimeHistogram {
  std::array<std::uint64_t, 48> counts{};  ///< [i]: from 2^i up to 2^(i+1) ns; [0] below 2, too.
  std::uint64_t count() const;
  /// The upper bound of the bucket with that share of all below: `quantile(0.99)`. 0: nothing.
  std::chrono::nanoseconds quantile(double share) const;
};

struct PoolStatistics {
  unsigned workers = 0;       ///< That live.
  unsigned width = 0;         ///< That may run at once.
  std::size_t waiting = 0;    ///< Tasks that wait.
  std::uint64_t done = 0;     ///< Tasks that have ended, however.
  std::uint64_t crashes = 0;  ///< Workers that died and that the pool had not killed.
  std::uint64_t retried = 0;
  unsigned overdue = 0;  ///< Threads that run a task beyond its deadline.
  /// Tasks that were given up since too many workers died of them: their names.
  std::vector<std::string> poison;
  TimeHistogram waited;
  TimeHistogram ran;
};

/// The task that this thread runs.
class ThisTask {
 public:
  /// Its deadline is over, or it was cancelled: for work that takes long. Of no task: never.
  static std::stop_token stop_token();
  /// Tells whoever gave it (`TaskOptions::on_progress`). Cheap, but no more than some thousand each
  /// second.
  static void progress(const Value& value);
};

namespace detail {

/// What a task and those who wait for it share, whatever its result is.
class TaskState : public std::enable_shared_from_this<TaskState> {
 public:
  virtual ~TaskState() = default;

  bool is_done() const noexcept { return phase_.load(std::memory_order_acquire) == kDone; }
  /// Blocks; a thread of the pool runs other tasks meanwhile. False: not in time. Negative: for
  /// ever.
  bool wait(std::chrono::nanoseconds timeout) const;
  /// Calls `next` once it is done: now, or by the thread that is done with it. Once.
  void then(std::function<void()> next);
  void cancel();

  // For whoever runs it.

  /// False: it is done already.
  bool begin() noexcept;
  bool has_begun() const noexcept { return phase_.load(std::memory_order_acquire) != kWaiting; }
  /// Whoever gets true writes the result, then calls `publish`. `ran`: it had begun.
  bool claim(bool* ran = nullptr) noexcept;
  void publish();
  /// With an error; false if it is done already.
  bool fail(Error error) {
    if (!claim()) return false;
    end(std::move(error));
    return true;
  }
  /// Of one that was claimed.
  virtual void end(Error error) = 0;
  std::stop_token stop_token();
  void request_stop();
  void ended_late();
  void tell_progress(const Value& value) const;

  TaskOptions options{};
  std::function<void()> on_cancel{};  ///< Of a process: set before anybody knows it.
  std::function<void()> on_late{};    ///< It ended after all, though it had failed before.
  std::shared_ptr<void> on_stop{};    ///< Waits for `options.cancel`.

 private:
  static constexpr std::uint32_t kWaiting = 0, kRunning = 1, kClaimed = 2, kDone = 3;

  mutable std::atomic<std::uint32_t> phase_ = kWaiting;
  mutable std::atomic<std::uint32_t> sleepers_ = 0;
  std::atomic<std::function<void()>*> next_ = nullptr;
  std::atomic<bool> stop_wanted_ = false;
  std::stop_source stop_{std::nostopstate};  // made when somebody asks for it
};

/// While it lives, this thread runs that task: what `ThisTask` finds.
class Running {
 public:
  explicit Running(TaskState* task);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  TaskState* before_;  // one that waits for this one
};

/// The exception that is handled now, as an error of a task.
Error error_of_exception();

/// What `function` returns, or throws.
template <class T, class F>
Result<T> outcome(F&& function) {
  try {
    if constexpr (std::is_void_v<T> && std::is_void_v<std::invoke_result_t<F&>>) {
      function();
      return {};
    } else {
      return function();
    }
  } catch (...) {
    return error_of_exception();
  }
}

/// A result as it was before it was a Value.
template <class T>
Result<T> converted(Result<Value> from) {
  if (!from) return from.error();
  if constexpr (std::is_void_v<T>)
    return {};
  else if constexpr (std::is_same_v<T, Value>)
    return from;
  else
    return value_to<T>(*from);
}

/// What `function` returns, as the task that this thread runs.
template <class T, class F>
Result<T> run_here(TaskState& task, F& function) {
  const Running running{&task};
  return outcome<T>(function);
}

template <class T>
class StateOf final : public TaskState {
 public:
  ~StateOf() override = default;
  void end(Error error) override {
    result = std::move(error);
    publish();
  }
  /// Runs it, and keeps its result or what it throws.
  template <class F>
  void run(F& function) {
    if (!begin()) return;
    Result<T> made = run_here<T>(*this, function);
    if (!claim()) return ended_late();
    result = std::move(made);
    publish();
  }

  Result<T> result = make_error(Errc::CallFailed, "run a task");
};

/// A turn of a loop that will be wanted: keeps that running until then.
class LoopTurn {
 public:
  explicit LoopTurn(const LoopRef& loop);
  void run(std::function<void()> task) const;

 private:
  struct Kept;
  std::shared_ptr<Kept> kept_;
};

/// A callable that waits to be run, of 64 bytes, which may be moved by copying its bytes: small
/// ones that allow that are in it, others on the heap.
class Work {
 public:
  /// All end it. Refuse: the queue is full. Cancel: its pool is gone.
  enum class Act { Run, Refuse, Cancel };

  Work() = default;
  /// `F` is called with `Act`.
  template <class F>
    requires(!std::is_same_v<std::decay_t<F>, Work>)
  explicit Work(F&& function) {
    using Stored = std::decay_t<F>;
    if constexpr (sizeof(Stored) <= sizeof storage_ && alignof(Stored) <= 16 &&
                  std::is_trivially_copyable_v<Stored>) {
      new (storage_) Stored(std::forward<F>(function));
      act_ = [](void* storage, Act act) {
        Stored stored = *std::launder(static_cast<Stored*>(storage));
        stored(act);
      };
    } else {
      *reinterpret_cast<Stored**>(storage_) = new Stored(std::forward<F>(function));
      act_ = [](void* storage, Act act) {
        const std::unique_ptr<Stored> stored{*static_cast<Stored**>(storage)};
        (*stored)(act);
      };
    }
  }
  void operator()(Act act) { act_(storage_, act); }

  std::int64_t since = 0;  ///< When it was given, of one in 64.

 private:
  void (*act_)(void* storage, Act act) = nullptr;
  alignas(16) std::byte storage_[48];
};

/// Why such a one was not run.
Error error_of(Work::Act act);

template <class Returned>
struct PlainResult {
  using Type = Returned;
};
template <class T>
struct PlainResult<Result<T>> {
  using Type = T;
};

/// `R(A...)` of a lambda or function, the arguments without references.
template <class F>
struct SignatureOf : SignatureOf<decltype(&F::operator())> {};
template <class R, class... A>
struct SignatureOf<R (*)(A...)> {
  using Type = R(std::decay_t<A>...);
};
template <class C, class R, class... A>
struct SignatureOf<R (C::*)(A...)> : SignatureOf<R (*)(A...)> {};
template <class C, class R, class... A>
struct SignatureOf<R (C::*)(A...) const> : SignatureOf<R (*)(A...)> {};

/// A task as processes know it.
using NamedTask = std::function<Result<Value>(const Value& arguments)>;
/// The name has to be new, or std::terminate says so.
void add_task(const std::string& name, NamedTask task);

template <class... A, std::size_t... I>
Result<std::tuple<A...>> arguments_from(const Value& values, std::index_sequence<I...>) {
  std::tuple<A...> arguments;
  std::optional<Error> problem;
  const auto read = [&]<class T>(std::size_t index, T& out) {
    if (problem) return;
    auto value = value_to<T>(values[index]);
    value ? void(out = *std::move(value)) : void(problem = value.error());
  };
  (read(I, std::get<I>(arguments)), ...);
  if (problem) return *std::move(problem);
  return arguments;
}

}  // namespace detail

/// The result of a task that may not have ended yet. A handle; may be dropped, the task runs all
/// the same.
template <class T>
class [[nodiscard]] Future {
 public:
  explicit Future(std::shared_ptr<detail::StateOf<T>> state) : state_{std::move(state)} {}

  bool done() const { return state_->is_done(); }
  /// Blocks until it is done, and moves the result out: once. In a task of a pool of threads that
  /// thread runs other tasks meanwhile.
  Result<T> get() const {
    state_->wait(std::chrono::nanoseconds{-1});
    return std::move(state_->result);
  }
  /// False: it is not done by then.
  bool wait_for(std::chrono::nanoseconds timeout) const {
    return state_->wait(timeout.count() < 0 ? std::chrono::nanoseconds{0} : timeout);
  }
  /// Calls `handler` with the result, as a turn of `loop`, which it keeps running until then. That
  /// io_context has to live until the task is done, or its pool gone; so has the one of an
  /// operation.
  void then(const LoopRef& loop, Callback<void(Result<T>)> handler) const {
    // Nobody but itself may own it until it is done; on its way to the loop, that keeps it.
    state_->then([state = state_.get(), handed = detail::LoopTurn{loop},
                  handler = std::function<void(Result<T>)>{std::move(handler)}] {
      handed.run([kept = std::static_pointer_cast<detail::StateOf<T>>(state->shared_from_this()),
                  handler] { handler(std::move(kept->result)); });
    });
  }
  /// A task that has not begun never does, and fails with ECANCELED. One that runs in a process is
  /// ended with it; in a thread its stop token is set, and its result counts.
  void cancel() const { state_->cancel(); }

  /// An operation of Asio, with the result as its value: `co_await pool.run(...)`. Cancelling the
  /// operation cancels the task.
  template <boost::asio::completion_token_for<void(Result<T>)> Token>
  auto operator()(Token&& token) const {
    return boost::asio::async_initiate<Token, void(Result<T>)>(
        [state = state_](auto handler) {
          auto slot = boost::asio::get_associated_cancellation_slot(handler);
          if (slot.is_connected())
            slot.assign([weak = std::weak_ptr{state}](boost::asio::cancellation_type) {
              if (const auto alive = weak.lock()) alive->cancel();
            });
          auto executor = boost::asio::prefer(boost::asio::get_associated_executor(handler),
                                              boost::asio::execution::outstanding_work.tracked);
          auto shared = std::make_shared<decltype(handler)>(std::move(handler));
          // Raw: the state owns this, and must not own itself.
          state->then([state_now = state.get(), executor, shared] {
            boost::asio::post(
                executor, boost::asio::append(std::move(*shared), std::move(state_now->result)));
          });
        },
        token);
  }

  const std::shared_ptr<detail::StateOf<T>>& state() const { return state_; }

 private:
  std::shared_ptr<detail::StateOf<T>> state_;  // shared with whoever runs it
};

/// A function with a name, by which every process of this program knows it. Make it before `main`,
/// at namespace scope. Arguments and result are what `value_to` knows: numbers, strings, vectors,
/// structs, `Value`. A function that returns a Result may fail without an exception.
template <class Signature>
class Task;

template <class R, class... A>
class Task<R(A...)> {
 public:
  using Returned = typename detail::PlainResult<R>::Type;

  template <class F>
  Task(std::string name, F function) : name_{std::move(name)}, function_{std::move(function)} {
    detail::add_task(name_, [run = function_](const Value& values) -> Result<Value> {
      auto arguments = detail::arguments_from<A...>(values, std::index_sequence_for<A...>{});
      if (!arguments) return arguments.error();
      if constexpr (std::is_void_v<R>) {
        std::apply(run, *std::move(arguments));
        return Value();
      } else if constexpr (std::is_same_v<R, Returned>) {
        return value_from(std::apply(run, *std::move(arguments)));
      } else {
        R result = std::apply(run, *std::move(arguments));
        if (!result) return result.error();
        if constexpr (std::is_void_v<Returned>)
          return Value();
        else
          return value_from(*result);
      }
    });
  }

  const std::string& name() const { return name_; }
  R operator()(A... arguments) const { return function_(std::move(arguments)...); }

 private:
  std::string name_;
  std::function<R(A...)> function_;
};

template <class F>
Task(const char*, F) -> Task<typename detail::SignatureOf<F>::Type>;

/// A pool as it is used, with the options of the tasks that are given through it.
class PoolView {
 public:
  PoolView(std::shared_ptr<pool::PoolImpl> impl, TaskOptions options)
      : impl_{std::move(impl)}, options_{std::move(options)} {}

  /// Runs `task` with these arguments.
  template <class R, class... A, class... Given>
  auto run(const Task<R(A...)>& task, Given&&... given) const
      -> Future<typename Task<R(A...)>::Returned> {
    using T = typename Task<R(A...)>::Returned;
    if (in_threads())
      return start<T>(
          [&task, arguments = std::tuple<A...>{std::forward<Given>(given)...}]() mutable {
            return std::apply(task, std::move(arguments));
          });
    Value values = Value::array();
    (values.push_back(value_from<A>(A(std::forward<Given>(given)))), ...);
    return converted<T>(run_named(task.name(), std::move(values)));
  }
  /// Any callable without arguments, in a pool of threads. In others it fails with InvalidArgument:
  /// only a Task has a name.
  template <class F>
    requires std::is_invocable_v<std::decay_t<F>&>
  auto run(F&& function) const
      -> Future<typename detail::PlainResult<std::invoke_result_t<std::decay_t<F>&>>::Type> {
    using T = typename detail::PlainResult<std::invoke_result_t<std::decay_t<F>&>>::Type;
    return start<T>(std::forward<F>(function));
  }
  /// A task by its name, as a Command has them: its arguments, an array, and its result as Values.
  Future<Value> run_named(const std::string& name, Value arguments) const;

 private:
  friend class Pool;
  bool in_threads() const;
  void give(const std::shared_ptr<detail::TaskState>& state, detail::Work work) const;

  template <class T, class F>
  Future<T> start(F&& function) const {
    auto state = std::make_shared<detail::StateOf<T>>();
    state->options = options_;
    give(state, detail::Work{[state, run = std::decay_t<F>(std::forward<F>(function))](
                                 detail::Work::Act act) mutable {
           if (act == detail::Work::Act::Run)
             state->run(run);
           else
             state->fail(detail::error_of(act));
         }});
    return Future<T>{std::move(state)};
  }
  template <class T>
  static Future<T> converted(const Future<Value>& values) {
    if constexpr (std::is_same_v<T, Value>) {
      return values;
    } else {
      auto state = std::make_shared<detail::StateOf<T>>();
      state->begin();
      state->on_cancel = [raw = std::weak_ptr{values.state()}] {
        if (const auto alive = raw.lock()) alive->cancel();
      };
      values.state()->then([state, from = values.state().get()] {
        auto read = detail::converted<T>(std::move(from->result));
        if (!state->claim()) return;
        state->result = std::move(read);
        state->publish();
      });
      return Future<T>{std::move(state)};
    }
  }

  std::shared_ptr<pool::PoolImpl> impl_;
  TaskOptions options_;
};

class Pool {
 public:
  /// Throws an Exception for a `preload` that it cannot have.
  explicit Pool(PoolOptions options = {});
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// The same pool, with options for the tasks that are given through it.
  PoolView with(TaskOptions options) const { return PoolView{impl_, std::move(options)}; }
  template <class... Given>
  auto run(Given&&... given) const {
    return view_.run(std::forward<Given>(given)...);
  }
  Future<Value> run_named(const std::string& name, Value arguments) const {
    return view_.run_named(name, std::move(arguments));
  }
  /// Runs a callable whose result nobody waits for: the cheapest way, in a pool of threads. What it
  /// throws is a notice on stderr. Errors: QueueFull; InvalidArgument, not a pool of threads.
  template <class F>
  Result<void> post(F&& function) const {
    return post_work(detail::Work{
        [run = std::decay_t<F>(std::forward<F>(function))](detail::Work::Act act) mutable {
          if (act == detail::Work::Act::Run) run();
        }});
  }
  /// `function(i)` for each i below `count`, on this thread, too, until all are done. In chunks,
  /// whose size follows how long they take. What it throws ends the rest, and is the error. In a
  /// pool of threads; from any thread.
  template <class F>
  Result<void> for_each(std::size_t count, F&& function) const {
    return for_each_chunk(
        count,
        [](const void* given, std::size_t begin, std::size_t end) {
          // As it was given: const or not.
          auto& run = *static_cast<std::remove_reference_t<F>*>(const_cast<void*>(given));
          for (std::size_t i = begin; i < end; ++i) run(i);
        },
        std::addressof(function));
  }
  /// `task` of each input. The results in the order of the inputs, each a value or an error; blocks
  /// until all are there. Inputs go to workers in chunks.
  template <class R, class A, std::ranges::random_access_range Range>
  auto map(const Range& inputs, const Task<R(A)>& task) const {
    using T = typename Task<R(A)>::Returned;
    std::vector<Result<T>> results(std::ranges::size(inputs),
                                   Result<T>{make_error(Errc::CallFailed, "run " + task.name())});
    map_as_completed(inputs, task, [&results](std::size_t index, Result<T> result) {
      results[index] = std::move(result);
    });
    return results;
  }
  /// The same, each as soon as it is there: `handler(index, result)`, on this thread.
  template <class R, class A, std::ranges::random_access_range Range, class Handler>
  void map_as_completed(const Range& inputs, const Task<R(A)>& task, Handler&& handler) const {
    using T = typename Task<R(A)>::Returned;
    const auto input = [&inputs](std::size_t index) {
      return A(std::ranges::begin(inputs)[static_cast<std::ptrdiff_t>(index)]);
    };
    if (view_.in_threads()) {
      // Results wait for this thread with their index.
      using Answer = std::pair<std::size_t, Result<T>>;
      map_in_threads(
          std::ranges::size(inputs),
          [&](std::size_t index) -> std::shared_ptr<void> {
            return std::make_shared<Answer>(index,
                                            detail::outcome<T>([&] { return task(input(index)); }));
          },
          [&handler](const std::shared_ptr<void>& answer) {
            auto& [index, result] = *static_cast<Answer*>(answer.get());
            handler(index, std::move(result));
          });
    } else {
      map_named(
          task.name(), std::ranges::size(inputs),
          [&](std::size_t index) { return Value::array({value_from<A>(input(index))}); },
          [&handler](std::size_t index, Result<Value> result) {
            handler(index, detail::converted<T>(std::move(result)));
          });
    }
  }

  PoolStatistics statistics() const;
  /// Other limits from now on, as in PoolOptions.
  void resize(unsigned min_workers, unsigned max_workers) const;

 private:
  Result<void> post_work(detail::Work work) const;
  using Chunk = void (*)(const void* given, std::size_t begin, std::size_t end);
  Result<void> for_each_chunk(std::size_t count, Chunk chunk, const void* given) const;
  void map_in_threads(std::size_t count,
                      const std::function<std::shared_ptr<void>(std::size_t)>& run,
                      const std::function<void(const std::shared_ptr<void>&)>& take) const;
  void map_named(const std::string& name, std::size_t count,
                 const std::function<Value(std::size_t)>& input,
                 const std::function<void(std::size_t, Result<Value>)>& take) const;

  std::shared_ptr<pool::PoolImpl> impl_;
  PoolView view_;
};

/// In a process that a pool has started: runs its tasks until the pool ends it, and returns the
/// exit code. In any other: nothing. Call it first in `main`.
std::optional<int> run_as_pool_worker();

}  // namespace cohort
