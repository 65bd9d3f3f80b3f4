// One worker, seen from the primary (`cluster.fork()`, `cluster.workers()`) or from inside
// (`cluster.worker()`): Node's `Worker`.
//
// `Worker` is a cheap handle: copy it freely. The cluster owns the worker while it lives; a handle
// to a dead one stays valid and says so (`is_dead()`), it never dangles. Handlers run on the
// cluster's executor, one at a time. Everything is called there too, but for `send`, which any
// thread may call. Contract: Node's documentation of `cluster`, "Class: Worker".
#pragma once

#include <sys/types.h>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/address.h"
#include "cohort/call.h"
#include "cohort/callback.h"
#include "cohort/child_process.h"
#include "cohort/error.h"
#include "cohort/exit.h"
#include "cohort/fd.h"
#include "cohort/handle.h"
#include "cohort/value.h"

namespace cohort {

class WorkerImpl;

/// The process behind a worker (Node's `worker.process`). A handle, as `Worker` is.
class Process {
 public:
  explicit Process(std::shared_ptr<WorkerImpl> impl) : impl_{std::move(impl)} {}

  /// 0 if the process could not be started.
  pid_t pid() const;
  /// Whether messages can be sent.
  bool connected() const;
  /// Ends this process after its queued messages were written (5 s at most). In the primary, on
  /// another process: does nothing.
  void exit(int code) const;
  /// Output of a worker whose stdio has a pipe there (`SpawnOptions::silent`, `stdio`), in the
  /// pieces in which it arrives. Output that nobody listens for is read and dropped.
  void on_stdout(Callback<void(std::string_view)> handler) const;
  void on_stderr(Callback<void(std::string_view)> handler) const;
  /// The stream of a descriptor that is a pipe: `stdio(0).write(...)` for its stdin. An empty one
  /// else, and in the worker itself. Closed when the worker has exited. A reference, valid while a
  /// handle to this worker lives.
  const ChildStream& stdio(std::size_t index) const;

 private:
  std::shared_ptr<WorkerImpl> impl_;
};

/// What a worker's servers have under way, all of them together.
struct WorkerLoad {
  std::uint64_t accepted = 0;  ///< Connections taken from listening sockets, ever.
  /// Open now; not known if one of the servers does not own its connections (`cohort::Acceptor`,
  /// `on_connection`).
  std::optional<std::size_t> connections{};
  /// Of these, with something not answered: a request that arrives, is handled, or is being
  /// answered. Of a `net::Server`, whose protocol is not known, all.
  std::optional<std::size_t> in_flight{};
  /// Answered by its HTTP servers, ever; not known if it has none (`http::Server`).
  std::optional<std::uint64_t> requests{};
};

class Worker {
 public:
  explicit Worker(std::shared_ptr<WorkerImpl> impl) : impl_{std::move(impl)} {}

  /// 1, 2, 3... in the order of the forks, never used again. 0 in a process that no cluster forked.
  int id() const;
  /// Its number among those that serve beside each other, from 0: N workers are in slots 0 to N-1,
  /// and who comes in the place of one that died, or replaces it (`Cluster::replace`), has its
  /// slot. For what each worker has of its own:
  /// `"/var/lib/app/" + std::to_string(*cluster.worker().slot())`.
  ///
  /// Decided at the fork: the first number that no living process has. None in a process that no
  /// cohort cluster forked. Programs that do not use this library have it in COHORT_SLOT.
  std::optional<std::size_t> slot() const;
  Process process() const;
  /// The cluster's: where handlers run.
  boost::asio::any_io_executor get_executor() const;

  /// Sends a message to the other side, where `on_message` receives it. Never blocks. Messages
  /// arrive in the order in which the calls return, whatever their threads, and before the `exit`
  /// event of the sender, however it ends (but by a signal). False: wait for `drain`. Whoever goes
  /// on gets ChannelFull once `queue_size_max` bytes wait.
  SendResult send(const Value& message) const;
  /// `done` is called once, later: with nothing when the message was handed to the system, else
  /// with the reason.
  SendResult send(const Value& message, Callback<void(std::optional<Error>)> done) const;

  /// Sends a descriptor with a message; the loop's executor only. It is this side's until the other
  /// has it: `done`, if given, is called once, later, with nothing, or with the reason and the
  /// handle, which is nobody else's then (ChannelClosed; EMFILE if the other process had no
  /// descriptors left, three times; InvalidArgument for none, or one that a Node process cannot
  /// take). Messages sent afterwards arrive afterwards, unless this one had to be sent again.
  SendResult send(const Value& message, Handle handle,
                  Callback<void(std::optional<Error>, Handle)> done = {}) const;

  /// Memory to make a large message's data in: `Value::buffer(std::move(memory))`, or as a part of
  /// any message. With `Serialization::Advanced`, towards another process of cohort, it is memory
  /// that both have, and sending it copies nothing; whoever cannot have that, or has no room (64
  /// MiB in all: `SpawnOptions::shared_memory_max`) gets ordinary memory, and sends work as ever.
  /// It is used again when nobody needs the Value any more, here and there. The loop's executor
  /// only, and for a `send` there; what it gives may be filled, and dropped, by any thread.
  WritableBuffer make_buffer(std::size_t size) const;

  /// Calls a method of the other side (`Cluster::handle`, or a Node process: docs/calls.md). `done`
  /// is called once, later: with the result, or with NoSuchMethod, CallFailed (the method's own
  /// message as the detail), ETIMEDOUT, or ChannelClosed if the other side is gone.
  void call(const std::string& method, Value params, Callback<void(Result<Value>)> done,
            const CallOptions& options = {}) const;
  /// The same with a completion token, `void(std::exception_ptr, Value)`: a coroutine gets the
  /// result, or an Exception is thrown. Cancellation tells the other side.
  template <class Token>
  auto async_call(const std::string& method, Value params, Token&& token,
                  const CallOptions& options = {}) const {
    return boost::asio::async_initiate<Token, void(std::exception_ptr, Value)>(
        [self = *this](auto handler, const std::string& name, Value arguments,
                       const CallOptions& given) {
          self.start_call(name, std::move(arguments), given, std::move(handler));
        },
        token, method, std::move(params), options);
  }

  /// Asks for a graceful end. The worker gets no new connections, closes its servers, finishes what
  /// it serves and closes the channel; it then exits by itself when nothing keeps its loop running.
  void disconnect() const;
  /// In the primary: sends `signal_number`; false if the process is dead already. In the worker:
  /// disconnects without waiting for its servers and exits with 0.
  bool kill(int signal_number = SIGTERM) const;

  bool is_connected() const;
  bool is_dead() const;
  /// True if the worker ends because somebody asked it to (`disconnect()` on either side, `kill()`
  /// in the worker), so that it need not be replaced. Set before the `disconnect` and `exit`
  /// events.
  bool exited_after_disconnect() const;
  /// Whether it leads: one worker of the cluster at a time does, for what is to be done once, and
  /// not by each: `if (cluster.worker().is_leader()) send_the_nightly_mail();`
  ///
  /// It is the first of the places of `Cluster::keep` (without those, the oldest worker) which
  /// listens, or has lived for 10 s. Another one leads when that has exited; or when it leaves its
  /// place, as in a reload, and its `on_leader` handlers have returned. So there can be none for a
  /// while, but never two. Only workers of this library can be told, and Node's with the preload.
  bool is_leader() const;
  /// What it has under way: `if (worker.load()->in_flight > 0) ...`. In the primary, of a worker
  /// that runs this library and has servers; nothing of others.
  ///
  /// As it is this moment, also while the worker is blocked. Of a dead one, how it was at its end:
  /// what was `in_flight` was lost with it, and so was what it had not yet read from its other
  /// connections.
  std::optional<WorkerLoad> load() const;
  /// In the primary: asks for a sign of life. `turned` is called once, later, when the worker's
  /// loop has turned; never, if the worker ends before. It answers by itself: a program of Node, or
  /// of this library, needs no code for it.
  ///
  /// Of one that does not speak the channel, and has ever sent WATCHDOG=1 (`Settings::watchdog`):
  /// `turned` is called when it sends that again. A worker that does both is satisfied by either.
  ///
  /// ChannelClosed: it does neither (any more). InvalidArgument: in the worker. EMFILE if this
  /// process has no descriptors for it.
  Result<void> ping(Callback<void()> turned) const;
  /// In the primary: a connection to this worker and no other, as a client's. The caller has the
  /// client's end, which does not block. To the port where it listened first, whether it gets
  /// connections from others or not. It is handed to it; or, where a program accepts by itself
  /// (`Settings::listen`), the kernel leads it there.
  ///
  /// InvalidArgument: it serves no connections, or only some that others accept, too (Shared, Unix
  /// sockets, of a program that accepts by itself); in the worker. Else what the system says.
  Result<OwnFd> open_connection() const;
  /// The last lines that it wrote to stderr, oldest first, at most 20: to be asked in its `exit`
  /// event. In the primary, of a worker that `Cluster::keep` keeps; none where stderr is a terminal
  /// or a socket, which show them.
  std::vector<std::string> last_stderr_lines() const;

  // Events. A handler stays for the life of the worker; several are called in the order of
  // addition.
  void on_online(Callback<void()> handler) const;
  /// The worker listens; the address has the real port. Once per server.
  void on_listening(Callback<void(const Address&)> handler) const;
  /// It leads from now on (true), or no more (false): another may, as soon as the worker's handlers
  /// have returned. Said in the worker; and in the primary, when the worker is told. Not when it
  /// exits.
  void on_leader(Callback<void(bool)> handler) const;
  /// In the worker, messages that arrive before the first handler wait for it.
  void on_message(Callback<void(const Value&)> handler) const;
  /// The same, with the descriptor that came along, or none. The first handler that moves it out
  /// owns it; one that nobody takes is closed.
  void on_message(Callback<void(const Value&, Handle&)> handler) const;
  /// The process could not be started, or the peer broke the protocol. Without a handler the error
  /// is written to stderr.
  void on_error(Callback<void(const Error&)> handler) const;
  /// Little waits to be sent again (64 KiB or less), after a `send` that said false.
  void on_drain(Callback<void()> handler) const;
  void on_disconnect(Callback<void()> handler) const;
  /// After every message and after `disconnect`. Not emitted for a process that never started.
  void on_exit(Callback<void(const Exit&)> handler) const;

  // The same events, awaited once: `Exit e = co_await worker.async_exit(asio::use_awaitable);`
  // They complete with operation_aborted if the worker is gone and the event can come no more; but
  // an exit that has been told comes at once. They keep the loop running, and can be cancelled.
  template <class Token>
  auto async_online(Token&& token) const {
    return wait<void(boost::system::error_code)>(&Worker::wait_online, token);
  }
  template <class Token>
  auto async_listening(Token&& token) const {
    return wait<void(boost::system::error_code, Address)>(&Worker::wait_listening, token);
  }
  template <class Token>
  auto async_message(Token&& token) const {
    return wait<void(boost::system::error_code, Value)>(&Worker::wait_message, token);
  }
  /// Completes when little waits, at once if it is so now:
  /// `if (!worker.send(chunk)) co_await worker.async_drain(asio::use_awaitable);`
  template <class Token>
  auto async_drain(Token&& token) const {
    return wait<void(boost::system::error_code)>(&Worker::wait_drain, token);
  }
  template <class Token>
  auto async_disconnect(Token&& token) const {
    return wait<void(boost::system::error_code)>(&Worker::wait_disconnect, token);
  }
  template <class Token>
  auto async_exit(Token&& token) const {
    return wait<void(boost::system::error_code, Exit)>(&Worker::wait_exit, token);
  }

  friend bool operator==(const Worker& a, const Worker& b) { return a.impl_ == b.impl_; }

 private:
  friend class Cluster;
  template <class Signature>
  using Handler = boost::asio::any_completion_handler<Signature>;

  template <class Signature, class Token>
  auto wait(void (Worker::*start)(Handler<Signature>) const, Token& token) const {
    return boost::asio::async_initiate<Token, Signature>(
        [self = *this, start](auto handler) { (self.*start)(std::move(handler)); }, token);
  }
  using CallHandler = Handler<void(std::exception_ptr, Value)>;
  void start_call(const std::string& method, Value params, const CallOptions& options,
                  CallHandler handler) const;
  void wait_online(Handler<void(boost::system::error_code)> handler) const;
  void wait_listening(Handler<void(boost::system::error_code, Address)> handler) const;
  void wait_message(Handler<void(boost::system::error_code, Value)> handler) const;
  void wait_drain(Handler<void(boost::system::error_code)> handler) const;
  void wait_disconnect(Handler<void(boost::system::error_code)> handler) const;
  void wait_exit(Handler<void(boost::system::error_code, Exit)> handler) const;

  std::shared_ptr<WorkerImpl> impl_;
};

}  // namespace cohort
