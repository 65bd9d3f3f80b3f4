// A thread, seen from the loop that started it, and from within.
//
// `ThreadImpl` belongs to that loop: handles and its io_context own it. `Inside` is on the stack of
// the thread. Between them is a channel, in which a thread's own news come in order with its
// messages, and `ThreadControl`, by which it is told to end.
#pragma once

#include <pthread.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "base/event.h"
#include "base/loop.h"
#include "base/this_thread.h"
#include "cohort/thread.h"
#include "thread/counted_memory.h"

namespace cohort::thread {

/// What a thread has to say, besides what its user posts.
struct Posted {
  Value value;
  Transfer transfer;
};
struct Online {};
struct Failed {
  Error error;
};
struct Ended {
  int code = 0;
};
using News = std::variant<Posted, Online, Failed, Ended>;

/// What ends a thread, from outside. Shared with it.
class ThreadControl {
 public:
  /// Any thread; again and again.
  void stop();
  std::stop_token token() const { return stop_.get_token(); }
  /// The thread's own: its loop, which `stop` stops; null: it has none any more.
  void run_on(boost::asio::io_context* io);
  /// The thread's own, as its last word.
  void has_ended();
  /// Blocks. False: not in time.
  bool wait_for_end(std::chrono::steady_clock::time_point until) const;

 private:
  std::mutex mutex_;  // of `io_`
  boost::asio::io_context* io_ = nullptr;
  std::stop_source stop_;
  std::atomic<std::uint32_t> ended_ = 0;
};

/// What a thread is started with; moved to it.
struct ThreadStart {
  Thread::Main main;
  ThreadIdentity identity;
  Value worker_data;
  Transfer transfer;
  Value environment;
  std::optional<std::uint64_t> memory_max;
  MessagePort<News> news;  ///< To the one who started it; of any length, so that its end comes.
  MessagePort<> inbox;     ///< From there.
  std::shared_ptr<ThreadControl> control;
};

/// The thread itself.
class Inside {
 public:
  explicit Inside(ThreadStart start);
  /// The exit code.
  int run();

  const ThreadStart& start() const { return start_; }
  Transfer& transferred() { return start_.transfer; }
  boost::asio::io_context& io() { return io_; }
  const Loop& loop() const { return loop_; }
  CountedMemory& memory() { return memory_; }
  SendResult post(const Value& message, Transfer transfer) const;
  void exit(int code);

 private:
  int live();

  ThreadStart start_;
  CountedMemory memory_;
  boost::asio::io_context io_{1};
  Loop loop_{io_, io_.get_executor()};
  std::optional<int> exit_code_;
};

class ThreadImpl final : public std::enable_shared_from_this<ThreadImpl> {
 public:
  ThreadImpl(const Loop& loop, ThreadOptions options);
  ~ThreadImpl();
  ThreadImpl(const ThreadImpl&) = delete;
  ThreadImpl& operator=(const ThreadImpl&) = delete;

  void start(Thread::Main main);
  SendResult post(const Value& message, Transfer transfer) const;
  void tell_to_end() const;
  void terminate(std::function<void(int)> done);
  void set_ref(bool ref);
  /// The io_context ends: waits for the thread, which was told to end. False: it goes on.
  bool abandon(std::chrono::steady_clock::time_point until);

  int id() const { return id_; }
  const std::string& name() const { return options_.name; }
  const std::optional<int>& exit_code() const { return exit_code_; }

  struct {
    Event<> online;
    Event<const Value&, Transfer&> message;
    Event<const Error&> error;
    Event<int> exit;
  } events;

 private:
  std::optional<Error> create(Thread::Main main, MessagePort<News> news, MessagePort<> inbox);
  void hear(News& news);
  void failed(const Error& error);
  void ended(int code);

  const Loop loop_;
  const int id_;
  ThreadOptions options_;
  MessagePort<News> news_;
  MessagePort<> inbox_;  // the end for posting
  std::shared_ptr<ThreadControl> control_ = std::make_shared<ThreadControl>();
  std::optional<pthread_t> thread_;  // to be joined
  std::optional<int> exit_code_;
  boost::asio::steady_timer patience_;
};

}  // namespace cohort::thread
