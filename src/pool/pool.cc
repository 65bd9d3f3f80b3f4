#include "cohort/pool.h"

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "base/sys.h"
#include "pool/pool_impl.h"
#include "pool/task_registry.h"
#include "process/preload.h"

namespace cohort {

using pool::PoolImpl;

namespace pool {

namespace {

Result<void> load_once(const std::string& name) {
  static std::mutex mutex;
  static std::set<std::string> done;
  const std::lock_guard lock{mutex};
  if (done.contains(name)) return {};
  auto loaded = process::load(name);
  if (loaded) done.insert(name);
  return loaded;
}

// A pool without what its tasks need is none.
void load_here(const PoolOptions& options) {
  if (options.preload.empty() || options.isolation == Isolation::Process) return;
  const Result<void> loaded =
      options.isolation == Isolation::Thread
          ? load_once(options.preload)
          : make_error(Errc::InvalidArgument, "preload " + options.preload,
                       "the program of a pool of commands loads what it needs by itself");
  if (!loaded) throw Exception{loaded.error()};
}

}  // namespace

PoolImpl::PoolImpl(PoolOptions options)
    : options_{std::move(options)}, deadlines_{options_.name + "-timer"} {
  load_here(options_);
  if (in_threads())
    threads_ = std::make_unique<ThreadCrew>(options_);
  else
    processes_ = std::make_shared<ProcessCrew>(options_);
}

void PoolImpl::close() {
  // They stay: tasks and views may still give something, and are refused.
  if (threads_) threads_->end();
  if (processes_) processes_->end();
}

void PoolImpl::give(const std::shared_ptr<detail::TaskState>& state, Work work) {
  if (!in_threads()) {
    state->fail(make_error(Errc::InvalidArgument, "run a task",
                           "a pool of processes runs a Task, which has a name"));
    return work(Work::Act::Cancel);
  }
  if (state->options.cancel.stop_possible() || state->options.deadline.count() > 0) watch(state);
  const auto given = threads_->give(work, state->options.priority);
  if (given) return;
  state->fail(given.error());
  work(Work::Act::Refuse);
}

void PoolImpl::give_named(const std::shared_ptr<detail::StateOf<Value>>& state,
                          const std::string& name, Value arguments) {
  if (processes_) return processes_->give(state, name, std::move(arguments));
  const detail::NamedTask* const task = find_task(name);
  if (task == nullptr) {
    state->fail(make_error(Errc::NoSuchMethod, "run the task " + name));
    return;
  }
  give(state, Work{[state, task, arguments = std::move(arguments)](Work::Act act) {
         auto run = [&] { return (*task)(arguments); };
         if (act == Work::Act::Run)
           state->run(run);
         else
           state->fail(detail::error_of(act));
       }});
}

void PoolImpl::watch(const std::shared_ptr<detail::TaskState>& state) {
  const std::weak_ptr<detail::TaskState> weak = state;
  if (state->options.cancel.stop_possible()) {
    // Lives as long as the task.
    const auto cancel = [weak] {
      if (const auto alive = weak.lock()) alive->cancel();
    };
    state->on_stop =
        std::make_shared<std::stop_callback<std::function<void()>>>(state->options.cancel, cancel);
  }
  const auto deadline = state->options.deadline;
  if (deadline.count() <= 0) return;
  state->on_late = [this] { overdue_.fetch_sub(1); };
  // `state` lives while this is called.
  deadlines_.add(std::chrono::steady_clock::now() + deadline, state, [this, weak, deadline] {
    const auto alive = weak.lock();
    alive->request_stop();
    bool ran = false;
    if (!alive->claim(&ran)) return;
    // Counted before anybody may see that it has failed. It may have ended since, and be counted
    // off already.
    if (ran) overdue_.fetch_add(1);
    alive->end(system_error(ETIMEDOUT, "run a task",
                            "its deadline is " + std::to_string(deadline.count()) +
                                " ms; a thread that runs it goes on until it is done"));
  });
}

Result<void> PoolImpl::post(Work work) {
  if (!in_threads()) {
    work(Work::Act::Cancel);
    return make_error(Errc::InvalidArgument, "post to the pool " + options_.name,
                      "a pool of processes runs a Task, which has a name");
  }
  auto given = threads_->give(work, Priority::Normal);
  if (!given) work(Work::Act::Refuse);
  return given;
}

PoolStatistics PoolImpl::statistics() const {
  PoolStatistics sum;
  if (threads_) threads_->add_to(sum);
  if (processes_) processes_->add_to(sum);
  sum.overdue = static_cast<unsigned>(std::max(overdue_.load(), 0));
  return sum;
}

void PoolImpl::resize(unsigned min_workers, unsigned max_workers) {
  if (threads_) threads_->resize(min_workers, max_workers);
  if (processes_) processes_->resize(min_workers, max_workers);
}

}  // namespace pool

bool PoolView::in_threads() const { return impl_->in_threads(); }

void PoolView::give(const std::shared_ptr<detail::TaskState>& state, detail::Work work) const {
  impl_->give(state, work);
}

Future<Value> PoolView::run_named(const std::string& name, Value arguments) const {
  auto state = std::make_shared<detail::StateOf<Value>>();
  state->options = options_;
  impl_->give_named(state, name, std::move(arguments));
  return Future<Value>{std::move(state)};
}

Pool::Pool(PoolOptions options)
    : impl_{std::make_shared<PoolImpl>(std::move(options))}, view_{impl_, {}} {}
Pool::~Pool() { impl_->close(); }

PoolStatistics Pool::statistics() const { return impl_->statistics(); }
void Pool::resize(unsigned min_workers, unsigned max_workers) const {
  impl_->resize(min_workers, max_workers);
}
Result<void> Pool::post_work(detail::Work work) const { return impl_->post(work); }

Result<void> Pool::for_each_chunk(std::size_t count, Chunk chunk, const void* given) const {
  if (!impl_->in_threads())
    return make_error(Errc::InvalidArgument, "for_each in the pool " + impl_->options().name,
                      "a pool of processes runs a Task: use `map`");
  return impl_->threads().for_each(
      count, [chunk, given](std::size_t begin, std::size_t end) { chunk(given, begin, end); });
}

void Pool::map_in_threads(std::size_t count,
                          const std::function<std::shared_ptr<void>(std::size_t)>& run,
                          const std::function<void(const std::shared_ptr<void>&)>& take) const {
  // Answers of all chunks, for this thread, which takes them when its own chunk is done.
  std::mutex mutex;
  std::vector<std::shared_ptr<void>> answers;
  const auto here = std::this_thread::get_id();
  std::exception_ptr thrown;  // by `take`, which is not called again
  const auto take_all = [&] {
    std::vector<std::shared_ptr<void>> taken;
    {
      const std::lock_guard lock{mutex};
      taken.swap(answers);
    }
    try {
      for (const auto& answer : taken)
        if (!thrown) take(answer);
    } catch (...) {
      thrown = std::current_exception();
    }
  };
  const auto all = impl_->threads().for_each(count, [&](std::size_t begin, std::size_t end) {
    std::vector<std::shared_ptr<void>> made;
    made.reserve(end - begin);
    for (std::size_t i = begin; i < end; ++i) made.push_back(run(i));
    {
      const std::lock_guard lock{mutex};
      answers.insert(answers.end(), made.begin(), made.end());
    }
    if (std::this_thread::get_id() == here) take_all();
  });
  std::ignore = all;  // `run` keeps what a task throws
  take_all();
  if (thrown) std::rethrow_exception(thrown);
}

void Pool::map_named(const std::string& name, std::size_t count,
                     const std::function<Value(std::size_t)>& input,
                     const std::function<void(std::size_t, Result<Value>)>& take) const {
  impl_->processes().map(name, count, input, take);
}

}  // namespace cohort
