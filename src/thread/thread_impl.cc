#include "thread/thread_impl.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <exception>
#include <utility>

#include "base/notices.h"
#include "base/signals_blocked.h"
#include "base/sys.h"

namespace cohort {
namespace {

namespace asio = boost::asio;

thread_local Value t_environment = Value::object();

}  // namespace

void set_environment_data(const std::string& key, const Value& value) {
  if (value.is_undefined())
    t_environment.erase(key);
  else
    t_environment[key] = value.clone();
}

Value get_environment_data(std::string_view key) { return std::as_const(t_environment)[key]; }

bool is_main_thread() { return t_this_thread == nullptr; }

namespace thread {
namespace {

using Clock = std::chrono::steady_clock;

// When an io_context ends: all of its threads together.
constexpr std::chrono::seconds kLastPatience{5};

std::string op_of(const std::string& name) { return "thread " + name; }

// The threads that an io_context has started and that have not ended.
class Threads : public asio::execution_context::service {
 public:
  using key_type = Threads;
  inline static asio::execution_context::id id;
  explicit Threads(asio::execution_context& context) : asio::execution_context::service{context} {}

  void add(std::shared_ptr<ThreadImpl> one) { threads_.push_back(std::move(one)); }
  void remove(const ThreadImpl* one) {
    std::erase_if(threads_, [one](const auto& each) { return each.get() == one; });
  }

 private:
  void shutdown() override {
    const auto threads = std::exchange(threads_, {});
    const auto until = Clock::now() + kLastPatience;
    for (const auto& each : threads) each->tell_to_end();
    for (const auto& each : threads) {
      if (!each->abandon(until))
        std::fprintf(stderr, "cohort: thread %s does not end; its loop ends without it\n",
                     each->name().c_str());
    }
  }

  std::vector<std::shared_ptr<ThreadImpl>> threads_;
};

std::atomic<int> last_id = 0;

void* enter(void* given) {
  std::unique_ptr<ThreadStart> start{static_cast<ThreadStart*>(given)};
  const auto news = start->news;
  const auto control = start->control;
  int code = 0;
  {
    Inside inside{std::move(*start)};
    start.reset();
    code = inside.run();
  }
  news.post_message(Ended{code});
  control->has_ended();
  return nullptr;
}

}  // namespace

// --- from outside

void ThreadControl::stop() {
  stop_.request_stop();
  const std::lock_guard lock{mutex_};
  if (io_ != nullptr) io_->stop();
}

void ThreadControl::run_on(asio::io_context* io) {
  const std::lock_guard lock{mutex_};
  io_ = io;
  // Told before it had a loop.
  if (io != nullptr && stop_.stop_requested()) io->stop();
}

void ThreadControl::has_ended() {
  ended_.store(1, std::memory_order_release);
  sys::futex_wake(ended_, 1, false);
}

bool ThreadControl::wait_for_end(Clock::time_point until) const {
  while (ended_.load(std::memory_order_acquire) == 0) {
    const auto left = until - Clock::now();
    if (left.count() <= 0) return false;
    sys::futex_wait(ended_, 0, left, false);
  }
  return true;
}

ThreadImpl::ThreadImpl(const Loop& loop, ThreadOptions options)
    : loop_{loop}, id_{++last_id}, options_{std::move(options)}, patience_{loop.executor()} {}

ThreadImpl::~ThreadImpl() = default;

void ThreadImpl::start(Thread::Main main) {
  const MessageChannel<News> news{{.queue_max = SIZE_MAX}};
  const MessageChannel<> inbox;
  news_ = news.port1;
  inbox_ = inbox.port1;
  asio::use_service<Threads>(loop_.context()).add(shared_from_this());
  news_.on_message(LoopRef{loop_}, [self = shared_from_this()](News& heard) { self->hear(heard); });
  if (!news_.is_open()) {
    // It could not be heard.
    loop_.post([self = shared_from_this()] {
      self->failed(system_error(EMFILE, "start " + op_of(self->options_.name)));
      self->ended(1);
    });
    return;
  }
  if (auto problem = create(std::move(main), news.port2, inbox.port2)) {
    news.port2.post_message(Failed{*std::move(problem)});
    news.port2.post_message(Ended{1});
  }
}

std::optional<Error> ThreadImpl::create(Thread::Main main, MessagePort<News> news,
                                        MessagePort<> inbox) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  int problem = 0;
  if (options_.stack_size > 0) {
    const auto least = static_cast<std::size_t>(::sysconf(_SC_THREAD_STACK_MIN));
    problem = ::pthread_attr_setstacksize(&attributes, std::max(options_.stack_size, least));
  }
  if (problem == 0 && !options_.cpus.empty()) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (const unsigned cpu : options_.cpus)
      if (cpu < CPU_SETSIZE) CPU_SET(cpu, &cpus);
    problem = ::pthread_attr_setaffinity_np(&attributes, sizeof cpus, &cpus);
  }
  auto start = std::make_unique<ThreadStart>(ThreadStart{
      .main = std::move(main),
      .identity = {.name = options_.name, .id = id_},
      .worker_data = options_.worker_data.clone(),
      .transfer = std::move(options_.transfer),
      .environment = t_environment.clone(),
      .memory_max = options_.memory_max,
      .news = std::move(news),
      .inbox = std::move(inbox),
      .control = control_,
  });
  for (const MessagePort<>& port : start->transfer.ports) port.untyped().detach();
  pthread_t thread{};
  if (problem == 0) {
    const SignalsBlocked blocked;
    problem = ::pthread_create(&thread, &attributes, &enter, start.get());
  }
  ::pthread_attr_destroy(&attributes);
  if (problem != 0)
    return system_error(problem, "start " + op_of(options_.name),
                        problem == EINVAL   ? "no such CPU, or no such size of a stack"
                        : problem == EAGAIN ? "too many threads: see `ulimit -u` and pids.max"
                                            : "");
  std::ignore = start.release();
  thread_ = thread;
  return std::nullopt;
}

SendResult ThreadImpl::post(const Value& message, Transfer transfer) const {
  return inbox_.post_message(message, std::move(transfer));
}

void ThreadImpl::hear(News& news) {
  const auto kept = shared_from_this();
  if (auto* posted = std::get_if<Posted>(&news))
    events.message.emit(posted->value, posted->transfer);
  else if (const auto* failure = std::get_if<Failed>(&news))
    failed(failure->error);
  else if (const auto* end = std::get_if<Ended>(&news))
    ended(end->code);
  else
    events.online.emit();
}

void ThreadImpl::failed(const Error& error) {
  if (!events.error.has_listener())
    say(loop_, {.code = "thread_failed",
                .text = error.message(),
                .fields = {{"thread", options_.name}, {"id", std::int64_t{id_}}}});
  events.error.emit(error);
}

void ThreadImpl::ended(int code) {
  exit_code_ = code;
  patience_.cancel();
  // It has said so as the last that it did.
  if (const auto thread = std::exchange(thread_, std::nullopt)) ::pthread_join(*thread, nullptr);
  news_.close();
  inbox_.close();
  asio::use_service<Threads>(loop_.context()).remove(this);
  events.exit.emit(code);
}

void ThreadImpl::tell_to_end() const { control_->stop(); }

void ThreadImpl::terminate(std::function<void(int)> done) {
  if (exit_code_) {
    if (done) loop_.post([done = std::move(done), code = *exit_code_] { done(code); });
    return;
  }
  events.exit.on(std::move(done));
  tell_to_end();
  patience_.expires_after(options_.patience);
  patience_.async_wait([self = weak_from_this()](boost::system::error_code error) {
    const auto alive = self.lock();
    if (error || !alive || alive->exit_code_) return;
    alive->failed(system_error(
        ETIMEDOUT, "end " + op_of(alive->options_.name),
        "it was told to " + std::to_string(alive->options_.patience.count()) +
            " ms ago and still runs: look at ThisThread::stop_token() where work takes long"));
  });
}

void ThreadImpl::set_ref(bool ref) { ref ? news_.ref() : news_.unref(); }

bool ThreadImpl::abandon(Clock::time_point until) {
  const auto thread = std::exchange(thread_, std::nullopt);
  if (!thread) return true;
  const bool ended = control_->wait_for_end(until);
  ended ? ::pthread_join(*thread, nullptr) : ::pthread_detach(*thread);
  return ended;
}

// --- from within

Inside::Inside(ThreadStart start) : start_{std::move(start)}, memory_{start_.memory_max} {}

int Inside::run() {
  start_.identity.io = &io_;
  t_this_thread = &start_.identity;
  t_environment = std::move(start_.environment);
  ::pthread_setname_np(::pthread_self(), start_.identity.name.substr(0, 15).c_str());
  start_.control->run_on(&io_);
  start_.news.post_message(Online{});
  const int code = live();
  start_.control->run_on(nullptr);
  return code;
}

int Inside::live() {
  const std::string op = "in " + op_of(start_.identity.name);
  const auto failed = [&](const std::string& what) {
    start_.news.post_message(Failed{make_error(Errc::CallFailed, op, what)});
    return 1;
  };
  try {
    ThisThread self{*this};
    start_.main(self);
    if (!exit_code_) io_.run();
    return exit_code_.value_or(start_.control->token().stop_requested() ? 1 : 0);
  } catch (const std::bad_alloc& error) {
    if (!memory_.refused()) return failed(error.what());
    return failed("it has reached its memory_max, " + std::to_string(*start_.memory_max) +
                  " bytes, and used " + std::to_string(memory_.used()));
  } catch (const std::exception& error) {
    return failed(error.what());
  } catch (...) {
    return failed("an exception that is no std::exception");
  }
}

SendResult Inside::post(const Value& message, Transfer transfer) const {
  const std::string op = "post a message from " + op_of(start_.identity.name);
  if (!start_.inbox.is_open()) return SendResult::failed(make_error(Errc::ChannelClosed, op));
  if (start_.news.waiting_at_peer() >= ChannelOptions{}.queue_max)
    return SendResult::failed(make_error(Errc::ChannelFull, op));
  for (const MessagePort<>& port : transfer.ports) port.untyped().detach();
  return start_.news.post_message(Posted{message.clone(), std::move(transfer)});
}

void Inside::exit(int code) {
  exit_code_ = code;
  io_.stop();
}

}  // namespace thread
}  // namespace cohort
