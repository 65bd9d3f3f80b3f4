// A thread with a loop of its own: Node's `Worker` of `worker_threads`.
//
//   cohort::Thread thread{cluster, [](cohort::ThisThread& self) {      // on the new thread
//     self.on_message([&self](const cohort::Value& n) { self.post_message(fibonacci(n)); });
//   }};
//   thread.on_message([](const cohort::Value& result) { ... });        // on the cluster's loop
//   thread.post_message(40);
//
// It shares the memory of this process: what it does wrong there nobody can undo, and a crash of it
// ends the process. Where that may not be, use a process: `Pool` with `Isolation::Process`, `fork`.
//
// The function runs on the thread first, then its loop, for as long as something keeps that
// running: a handler of messages, a timer, a server. An exception that escapes either is the
// `error` event, and the thread ends; the process does not.
//
// `Thread` is a cheap handle: copy it freely. All of it belongs to the loop that it was given, but
// `post_message`, which any thread may call. A thread keeps that loop running until it has ended
// (`unref`). One whose handle is gone goes on. When the io_context is destroyed its threads are
// told to end, and are waited for, 5 s at most.
//
// What a thread may use: its own `ThisThread`, everything that it makes on its own loop (servers,
// children, timers of Asio), MessagePorts, Pools, and `Worker::send` and `ChildProcess::send`. What
// belongs to another loop, as the Cluster, it may not; a debug build ends with the thread's name.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <memory_resource>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/callback.h"
#include "cohort/error.h"
#include "cohort/loop_ref.h"
#include "cohort/message_port.h"
#include "cohort/value.h"

namespace boost::asio {
class io_context;
}

namespace cohort {

namespace thread {
class ThreadImpl;
class Inside;
}  // namespace thread

struct ThreadOptions {
  /// What `top -H`, gdb and perf show; the first 15 bytes of it.
  std::string name = "thread";
  /// What `ThisThread::worker_data` is there: a clone.
  Value worker_data{};
  /// With it; taken by `ThisThread::transferred`.
  Transfer transfer{};
  /// In bytes. Default: the system's, 8 MiB.
  std::size_t stack_size = 0;
  /// The CPUs that it may run on. Default: this process's.
  std::vector<unsigned> cpus{};
  /// What `ThisThread::memory` gives out at most, in bytes. More is std::bad_alloc there and, if
  /// nobody catches that, an `error` that names the limit. Default: no limit. What a thread takes
  /// by other means is not counted: threads share one heap.
  std::optional<std::uint64_t> memory_max{};
  /// A thread that was told to end and has not after so long is said to be still running: an
  /// `error` (ETIMEDOUT). It cannot be ended by force.
  std::chrono::milliseconds patience{std::chrono::seconds{5}};
};

/// What a thread sees of itself. Its own thread only, but `stop_token`.
class ThisThread {
 public:
  explicit ThisThread(thread::Inside& inside) : inside_{&inside} {}

  /// 1, 2...: Node's `threadId`. The process's first thread is 0.
  int id() const;
  const std::string& name() const;
  const Value& worker_data() const;
  /// What came with it. Yours to move from.
  Transfer& transferred() const;
  /// To the one who started this thread. ChannelClosed: it is gone.
  SendResult post_message(const Value& message, Transfer transfer = {}) const;
  /// As of a MessagePort: keeps this thread running, until `close`.
  void on_message(Callback<void(const Value& message)> handler) const;
  void on_message(Callback<void(const Value& message, Transfer& transfer)> handler) const;
  /// No more messages, either way: a thread that has nothing else to do ends.
  void close() const;
  /// Ends this thread once the handler that calls it has returned.
  void exit(int code = 0) const;
  /// Somebody wants this thread to end (`terminate`): for work that takes long.
  std::stop_token stop_token() const;
  /// Its loop. Run by this thread, after the function has returned.
  boost::asio::io_context& io_context() const;
  operator LoopRef() const;
  /// Counted memory: for `std::pmr` containers. Must not outlive the thread.
  std::pmr::memory_resource& memory() const;

 private:
  thread::Inside* inside_;
};

class Thread {
 public:
  using Main = std::function<void(ThisThread& self)>;

  /// Starts it. A failure (EAGAIN: too many threads; InvalidArgument: no such CPU) is the `error`
  /// event, then `exit` with 1. Handlers run on `loop`; no event comes before the loop has turned.
  Thread(const LoopRef& loop, Callback<void(ThisThread& self)> main, ThreadOptions options = {});

  int id() const;
  const std::string& name() const;
  /// It has not ended yet.
  bool running() const;
  /// Its exit code, once it has ended: 0; what it gave to `exit`; 1 after an error or `terminate`.
  std::optional<int> exit_code() const;

  /// Any thread. ChannelClosed: it has ended, or has closed its port.
  SendResult post_message(const Value& message, Transfer transfer = {}) const;
  void on_message(Callback<void(const Value& message)> handler) const;
  void on_message(Callback<void(const Value& message, Transfer& transfer)> handler) const;
  /// It runs.
  void on_online(Callback<void()> handler) const;
  /// An exception escaped from it (CallFailed, with what it said), it could not be started, or it
  /// does not end (ETIMEDOUT).
  void on_error(Callback<void(const Error&)> handler) const;
  /// It has ended; after all of its messages.
  void on_exit(Callback<void(int code)> handler) const;

  /// Tells it to end: `ThisThread::stop_token` is set, and its loop stops after the handler that
  /// runs. What it has posted before arrives still. `done` is called once, with its exit code.
  void terminate(Callback<void(int code)> done = {}) const;
  void ref() const;
  void unref() const;

 private:
  std::shared_ptr<thread::ThreadImpl> impl_;  // shared by handles and the io_context
};

/// A value for all threads that start later, by name: each has a clone of its own, as it was when
/// it started. Undefined removes it. Node's `setEnvironmentData`. Any thread; what a thread sets is
/// seen by those that it starts.
void set_environment_data(const std::string& key, const Value& value);
/// As it was when this thread started, and what this thread has set since.
Value get_environment_data(std::string_view key);
/// This is no `Thread`'s: Node's `isMainThread`.
bool is_main_thread();

}  // namespace cohort
