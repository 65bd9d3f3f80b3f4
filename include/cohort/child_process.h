// Child processes: Node's `child_process` module.
//
//   cohort::ChildProcess child = cohort::spawn(cluster, "ffmpeg", {"-i", "-", "out.mp4"});
//   cohort::Output out = co_await cohort::async_exec(cluster, "sha256sum big", use_awaitable);
//   cohort::Output now = cohort::exec_sync("ls | wc -l");
//
// `ChildProcess` and `ChildStream` are cheap handles: copy them freely. The loop owns a child until
// its `close` event; a handle to one that has ended stays valid and says so. Everything is called
// on the executor of the loop that was given (`get_executor()`), where handlers run too, one at a
// time; only `send` may be called from any thread. Its messages are in the order in which the calls
// return, and every end comes after them. No event comes before the call that started the
// process has returned and the loop has turned. Handles must not outlive the io_context. A child
// that lives when its io_context is destroyed is killed, unless it is `detached`.
//
// The kernel kills a child when this process ends, however it ends, unless the child is `detached`.
// Contract: Node's documentation of `child_process`; where we differ it says so here.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cohort/callback.h"
#include "cohort/error.h"
#include "cohort/exit.h"
#include "cohort/handle.h"
#include "cohort/loop_ref.h"
#include "cohort/send_result.h"
#include "cohort/serialization.h"
#include "cohort/value.h"

namespace cohort {

class ChildImpl;
class StdioStream;

/// Added to, or replacing, variables of an environment.
using Environment = std::vector<std::pair<std::string, std::string>>;

/// One entry of a child's stdio: what its descriptor i is.
enum class Stdio {
  Inherit,            ///< This process's descriptor i; or as Ignore (closed, close-on-exec).
  Pipe,               ///< A stream to this process.
  Overlapped = Pipe,  ///< Node's word for a pipe of another kind on Windows.
  Ignore,             ///< 0 to 2: /dev/null; above: closed.
};

/// The entry of a child's stdio that is the channel for messages. At most one.
struct Ipc {};

/// One stream between this process and a child: the parent's end of a `Stdio::Pipe`.
///
/// Works in two ways, of which a program uses one at a time: with Node's callbacks, or as an Asio
/// AsyncReadStream and AsyncWriteStream (`asio::async_read_until`, `asio::async_write`...).
///
/// Bytes from the child wait in the kernel (64 KiB for stdout and stderr, about 200 KiB else) until
/// somebody reads: then the child waits. When the child has exited, what it had written and nobody
/// has read is kept here, up to 1 MiB, so that the `close` event need not wait for a reader.
class ChildStream {
 public:
  /// No stream: false as a bool, and its functions do nothing.
  ChildStream() = default;
  explicit ChildStream(std::shared_ptr<StdioStream> stream) : stream_{std::move(stream)} {}

  explicit operator bool() const { return stream_ != nullptr; }

  // Node's side.

  /// Sends `data`, copying what the system does not take at once. False if more than 64 KiB wait:
  /// stop until `on_drain`. `done` is called once, later: with nothing when the system has taken
  /// all of it, else with the reason (EPIPE after `end` or if the child reads no more).
  bool write(std::string_view data, Callback<void(std::optional<Error>)> done = {}) const;
  /// Sends `data`; the child sees the end of the stream after it.
  void end(std::string_view data = {}) const;
  /// Closes at once, in both directions.
  void destroy() const;
  /// Stops and restarts `on_data`; the child's writes wait meanwhile.
  void pause() const;
  void resume() const;
  /// The child's bytes, valid during the call. Reading starts with the first handler.
  void on_data(Callback<void(std::string_view)> handler) const;
  /// Everything was delivered, and no process holds the other end any more. Only noticed while the
  /// stream is read or once the child has exited. Not emitted after `destroy`.
  void on_end(Callback<void()> handler) const;
  /// Everything that waited was written, after a `write` that returned false.
  void on_drain(Callback<void()> handler) const;
  /// A write failed (EPIPE). Without a handler it is only the result of `write`, where Node's
  /// process ends.
  void on_error(Callback<void(const Error&)> handler) const;

  /// Not ended and not destroyed.
  bool readable() const;
  bool writable() const;
  std::uint64_t bytes_read() const;
  /// Including what still waits to be sent.
  std::uint64_t bytes_written() const;

  // Asio's side. Not on an empty handle. Operations may be cancelled.

  using executor_type = boost::asio::any_io_executor;
  executor_type get_executor() const;
  /// Completes with (error_code, size_t); `asio::error::eof` at the end.
  template <class MutableBuffers, class Token>
  auto async_read_some(const MutableBuffers& buffers, Token&& token) const {
    return boost::asio::async_initiate<Token, Signature>(
        [self = *this, buffer = first<boost::asio::mutable_buffer>(buffers)](auto handler) {
          self.read_some(buffer, std::move(handler));
        },
        token);
  }
  template <class ConstBuffers, class Token>
  auto async_write_some(const ConstBuffers& buffers, Token&& token) const {
    return boost::asio::async_initiate<Token, Signature>(
        [self = *this, buffer = first<boost::asio::const_buffer>(buffers)](auto handler) {
          self.write_some(buffer, std::move(handler));
        },
        token);
  }

  friend bool operator==(const ChildStream&, const ChildStream&) = default;

 private:
  friend class ChildStdio;
  using Signature = void(boost::system::error_code, std::size_t);
  using Handler = boost::asio::any_completion_handler<Signature>;

  // One system call takes one buffer; Asio's composed operations come again for the others.
  template <class Buffer, class Buffers>
  static Buffer first(const Buffers& buffers) {
    const auto end = boost::asio::buffer_sequence_end(buffers);
    for (auto it = boost::asio::buffer_sequence_begin(buffers); it != end; ++it)
      if (Buffer{*it}.size() > 0) return *it;
    return {};
  }
  void read_some(boost::asio::mutable_buffer buffer, Handler handler) const;
  void write_some(boost::asio::const_buffer buffer, Handler handler) const;

  std::shared_ptr<StdioStream> stream_;  // shared by handles and the child
};

/// What one descriptor of a child is: a Stdio, `Ipc{}`, a descriptor of this process (which stays
/// the caller's, and may be closed once `spawn` has returned), or the stream of another child.
///
/// A descriptor is shared with the child, not copied. But as 0, 1 or 2 of the child it must block,
/// and a loop of this process that waits for it needs the contrary: a pipe or a terminal is opened
/// anew for the child. A socket, which cannot be, is made blocking, as in Node; one that is
/// inherited under its number while an epoll of this process waits for it is refused
/// (InvalidArgument). A stream that was given away is read no more here: one that only comes from a
/// child is closed and counts as ended; others can still be written.
class ChildStdio {
 public:
  ChildStdio(Stdio kind) : what_{kind} {}
  ChildStdio(Ipc) : what_{Ipc{}} {}
  ChildStdio(int fd) : what_{fd} {}
  ChildStdio(const ChildStream& stream) : what_{stream.stream_} {}

  using What = std::variant<Stdio, Ipc, int, std::shared_ptr<StdioStream>>;
  const What& what() const { return what_; }

 private:
  What what_;
};

/// All of a child's stdio: one word for 0, 1 and 2 (`.stdio = Stdio::Inherit`), to which `fork`
/// adds the channel, or a list (`.stdio = {Stdio::Pipe, 1, 2, Ipc{}}`), in which `fork` needs an
/// Ipc. What a list lacks of the first three is a pipe.
class StdioList {
 public:
  StdioList() = default;  ///< Not given.
  StdioList(Stdio all) : one_word_{true}, entries_{all, all, all} {}
  StdioList(std::initializer_list<ChildStdio> list) : given_{true}, entries_{list} {}
  StdioList(std::vector<ChildStdio> list) : given_{true}, entries_{std::move(list)} {}

  bool given() const { return given_ || one_word_; }
  bool is_one_word() const { return one_word_; }
  const std::vector<ChildStdio>& entries() const { return entries_; }

 private:
  bool given_ = false;
  bool one_word_ = false;
  std::vector<ChildStdio> entries_;
};

/// A limit of what a process may use (setrlimit): `{RLIMIT_NOFILE, 64, 64}`.
struct ResourceLimit {
  int resource;  ///< RLIMIT_...
  std::uint64_t soft;
  std::uint64_t hard;
};

/// How a child is started. Most callers leave most of this.
struct SpawnOptions {
  /// argv[0] of the child. Default: the file.
  std::string argv0{};
  /// Default: this process's. One that does not exist is an error that names it.
  std::string cwd{};
  /// The whole environment, as in Node; its PATH is where the file is looked up. Default: this
  /// process's, without the variables of this process's own channel.
  std::optional<Environment> env{};
  /// Added to the above.
  Environment add_env{};
  /// Default: pipes; `fork`: inherited, and the channel. The exec functions: always pipes.
  StdioList stdio{};
  /// The file and the arguments, joined by blanks, are a command for this shell: true for /bin/sh,
  /// or its path. Nothing is quoted. `fork` ignores it.
  std::variant<bool, std::string> shell{false};
  /// Leader of a session of its own, and lives on when this process ends.
  bool detached = false;
  /// Node's `uid` and `gid`: the child's real, effective and saved ids. Default: this process's. By
  /// name: `set_user`. Errors: EPERM without privilege (root, or CAP_SETUID and CAP_SETGID),
  /// InvalidArgument for -1. Setting either drops the supplementary groups, as in Node; a child of
  /// another uid than root has no capabilities.
  std::optional<uid_t> uid{};
  std::optional<gid_t> gid{};
  /// The supplementary groups (setgroups(2)). Default: this process's, or none where `uid` or `gid`
  /// is given. EPERM without CAP_SETGID.
  std::optional<std::vector<gid_t>> groups{};
  /// Sends `kill_signal` after so long. 0: never.
  std::chrono::milliseconds timeout{0};
  int kill_signal = SIGTERM;
  /// exec and the sync functions: how many bytes stdout, and stderr, may have each; above it the
  /// child gets `kill_signal`. Raising it costs that memory.
  std::size_t max_buffer = 1024 * 1024;
  std::optional<Serialization> serialization{};  ///< Default: Json.
  /// The largest message either way, in bytes of the wire. A larger `send` fails; a child that
  /// sends a larger one is killed. Most callers leave this. Default: 256 MiB.
  std::optional<std::size_t> message_size_max{};
  /// Bytes that may wait to be sent to a child that does not read; then `send` fails with
  /// ChannelFull. One message is always taken. A cohort child has the same limits. Default: 256
  /// MiB.
  std::optional<std::size_t> queue_size_max{};
  /// Memory that a cohort child and this process share, each way, once large data is sent with
  /// `Serialization::Advanced`. 0: none, all takes the socket. Default: 64 MiB.
  std::optional<std::size_t> shared_memory_max{};
  /// Node's `signal`: a stop request sends `kill_signal`.
  std::stop_token stop{};
  /// Sync functions: what the child reads from its stdin, which is then a pipe. A child that ends
  /// before it took all of it is the error EPIPE, whatever its code.
  std::string input{};

  // Only `fork`, and workers.
  /// The program that runs the module. Default: `node` for .js, .mjs and .cjs, else the module
  /// itself.
  std::string exec_path{};
  std::vector<std::string> exec_args{};  ///< Before the module.
  /// Pipes for 0 to 2 (of a worker: for 1 and 2), unless `stdio` is given. Default: false.
  std::optional<bool> silent{};

  // Beyond Node.
  /// So many of the last lines of stderr are kept for the exit record. An inherited stderr then
  /// goes through this process, unless it is a file, which is read: nothing is lost, and a slow
  /// reader slows the child down.
  std::size_t stderr_lines = 0;
  std::optional<mode_t> umask{};
  std::optional<int> nice{};  ///< Added to this process's.
  std::vector<ResourceLimit> limits{};
  std::vector<unsigned> cpus{};  ///< Those it may run on. Default: this process's.
  /// Neither set-user-id programs nor file capabilities give it, or what it starts, any privilege:
  /// `sudo` and `ping` may fail. It cannot be undone. As NoNewPrivileges= of systemd; prctl(2),
  /// PR_SET_NO_NEW_PRIVS. Default: as this process.
  std::optional<bool> no_new_privs{};
  /// 0: a process group of its own: Ctrl-C does not reach it, and `timeout`, `max_buffer` and
  /// `stop` end all of the group (the programs of a pipeline). Else the group to join.
  std::optional<pid_t> process_group{};
  /// What the child gets when this process ends, unless detached. Default: SIGKILL. The child has
  /// a pipe for that, as its first descriptor above those of `stdio` (3 where that has three); 0:
  /// no such pipe, and the child lives on.
  std::optional<int> parent_death_signal{};
  /// In a cgroup (v2) of its own with these limits, which ends with it: bytes of memory, CPUs (1.5
  /// is one and a half), processes. At `memory_max` the kernel kills all that is in it; above
  /// `memory_high` it takes back what it can, and slows it down. 0 bytes: no limit. An error where
  /// cgroups cannot be made: see `cgroup_parent`.
  std::optional<std::uint64_t> memory_max{};
  std::optional<std::uint64_t> memory_high{};
  std::optional<double> cpu_max{};
  std::optional<std::uint64_t> processes_max{};
  /// The directory below which that cgroup is made. Default: this process's own cgroup, which works
  /// where it was delegated to us and holds no process of its own.
  std::string cgroup_parent{};
};

/// Makes the options those of a user, a name or a number, as systemd's User= and Group= do: `uid`,
/// `gid`, all `groups` of the user (initgroups(3)), and HOME, USER and LOGNAME in `add_env`.
/// `group` is in the place of the user's own. What the process already is and may not set is left
/// alone. Looks names up, which may block: call it once, before there is anything to serve. The
/// options hold for every worker that is started with them; groups that change later are not seen.
///
/// Errors, whose detail is a sentence: InvalidArgument, there is no such user or group, or a number
/// without a user and no `group`; EPERM, this process may not (root, or CAP_SETUID, CAP_SETGID and
/// CAP_KILL, as a worker has to be signalled); what the directory service failed with.
Result<void> set_user(SpawnOptions& options, const std::string& user,
                      const std::string& group = {});

/// A child process.
class ChildProcess {
 public:
  explicit ChildProcess(std::shared_ptr<ChildImpl> impl) : impl_{std::move(impl)} {}

  /// 0 if it could not be started.
  pid_t pid() const;
  /// Streams of those descriptors that are pipes, else empty ones. Of a child that could not be
  /// started they have ended. References, for Asio's functions take streams by reference: valid
  /// while a handle to this child lives.
  const ChildStream& stdin_() const { return stdio(0); }
  const ChildStream& stdout_() const { return stdio(1); }
  const ChildStream& stderr_() const { return stdio(2); }
  const ChildStream& stdio(std::size_t index) const;

  /// Messages can be sent.
  bool connected() const;
  /// A `kill` succeeded; says nothing about death.
  bool killed() const;
  /// Of a process that has exited by itself. A negative errno if it could not be started.
  std::optional<int> exit_code() const;
  /// `SIGTERM`, of a process that a signal has ended; else empty.
  std::string signal_code() const;
  /// The whole record, from the `exit` event on.
  const std::optional<Exit>& exit() const;
  /// What was run: the file, or the shell.
  const std::string& spawnfile() const;
  /// All of its argv.
  const std::vector<std::string>& spawnargs() const;

  /// Sends a signal (0: only tests whether it could). False if the process has ended. Another
  /// failure (EPERM, EINVAL) is the `error` event.
  bool kill(int signal_number = SIGTERM) const;
  /// Sends the signal to the process and to all that descend from it, found by stopping each and
  /// reading its children from /proc, by its process group if it leads one, and by its cgroup if it
  /// has one of its own. A descendant whose parent had ended before is found by the latter two
  /// only. The number of processes that got it.
  std::size_t kill_tree(int signal_number = SIGKILL) const;

  /// Sends a message to the child. Never blocks. Messages arrive in the order in which the calls
  /// return, and before the channel ends. `done` is called once, later: with nothing when the
  /// message was handed to the system, else with the reason. Any thread.
  SendResult send(const Value& message, Callback<void(std::optional<Error>)> done = {}) const;
  /// With a descriptor: `Worker::send` says how. A child is taken for a Node process: it gets
  /// sockets and pipes only.
  SendResult send(const Value& message, Handle handle,
                  Callback<void(std::optional<Error>, Handle)> done = {}) const;
  /// Closes the channel once what was sent is written; the child sees the end of it. An error
  /// (ChannelClosed) if it is not connected.
  Result<void> disconnect() const;

  /// Whether the process keeps the loop running; it does at first. Streams that are read and the
  /// channel keep it running too.
  void ref() const;
  void unref() const;
  /// The same for the channel (Node's `channel.ref()`).
  void ref_channel() const;
  void unref_channel() const;

  // Events, in this order; a handler stays until `close`. Several are called in the order of
  // addition.
  /// It runs.
  void on_spawn(Callback<void()> handler) const;
  /// It could not be started; a signal could not be sent; `stop` was requested (ECANCELED, only
  /// where there is a handler). Without a handler, and without an operation that waits, the error
  /// leaves the loop as a std::runtime_error: the process ends, as in Node.
  void on_error(Callback<void(const Error&)> handler) const;
  /// Messages that arrive before the first handler wait for it.
  void on_message(Callback<void(const Value&)> handler) const;
  /// The same, with the descriptor that came along, or none. The first handler that moves it out
  /// owns it; one that nobody takes is closed.
  void on_message(Callback<void(const Value&, Handle&)> handler) const;
  /// Little waits to be sent again (64 KiB or less), after a `send` that said false.
  void on_drain(Callback<void()> handler) const;
  /// The channel is closed, by either side.
  void on_disconnect(Callback<void()> handler) const;
  /// It has ended; its streams may still be open. After every message that it sent. Not for one
  /// that could not be started.
  void on_exit(Callback<void(const Exit&)> handler) const;
  /// The last event: it has ended, and so has all its output and the channel. Also for a child that
  /// could not be started, and after an own `disconnect()`, where Node has a hole.
  void on_close(Callback<void(const Exit&)> handler) const;

  // The same, awaited once: `Exit e = co_await child.async_exit(asio::use_awaitable);` They
  // complete at once if the child is that far already, and with the error if it could not be
  // started or the event can come no more (operation_aborted). They keep the loop running, and can
  // be cancelled: `co_await (child.async_exit(use_awaitable) || timer.async_wait(use_awaitable))`.
  template <class Token>
  auto async_spawn(Token&& token) const {
    return wait<void(boost::system::error_code)>(&ChildProcess::wait_spawn, token);
  }
  template <class Token>
  auto async_message(Token&& token) const {
    return wait<void(boost::system::error_code, Value)>(&ChildProcess::wait_message, token);
  }
  /// When little waits to be sent, at once if it is so now.
  template <class Token>
  auto async_drain(Token&& token) const {
    return wait<void(boost::system::error_code)>(&ChildProcess::wait_drain, token);
  }
  template <class Token>
  auto async_exit(Token&& token) const {
    return wait<void(boost::system::error_code, Exit)>(&ChildProcess::wait_exit, token);
  }
  template <class Token>
  auto async_close(Token&& token) const {
    return wait<void(boost::system::error_code, Exit)>(&ChildProcess::wait_close, token);
  }

  boost::asio::any_io_executor get_executor() const;
  friend bool operator==(const ChildProcess&, const ChildProcess&) = default;

 private:
  template <class Signature>
  using Handler = boost::asio::any_completion_handler<Signature>;

  template <class Signature, class Token>
  auto wait(void (ChildProcess::*start)(Handler<Signature>) const, Token& token) const {
    return boost::asio::async_initiate<Token, Signature>(
        [self = *this, start](auto handler) { (self.*start)(std::move(handler)); }, token);
  }
  void wait_spawn(Handler<void(boost::system::error_code)> handler) const;
  void wait_message(Handler<void(boost::system::error_code, Value)> handler) const;
  void wait_drain(Handler<void(boost::system::error_code)> handler) const;
  void wait_exit(Handler<void(boost::system::error_code, Exit)> handler) const;
  void wait_close(Handler<void(boost::system::error_code, Exit)> handler) const;

  std::shared_ptr<ChildImpl> impl_;  // shared by handles and, until `close`, the loop
};

/// What a child left behind.
struct Output {
  pid_t pid = 0;  ///< 0 if it could not be started.
  Exit exit;
  /// Bytes, at most `max_buffer` each; empty where the descriptor is no pipe.
  std::string stdout_;
  std::string stderr_;
  /// Of descriptors 3 and above, in their order.
  std::vector<std::string> more;
  /// Why it failed: it could not be started; ETIMEDOUT; OutputTooLarge; ECANCELED; EPIPE (`input`
  /// was left); and, of the exec functions, CommandFailed for another code than 0 or a signal.
  std::optional<Error> error;
};

// Asynchronous.

/// Runs a file: a path if it contains a slash, else looked up in PATH. Blocks for the time up to
/// exec (about a millisecond). Every failure is the `error` event.
ChildProcess spawn(const LoopRef& loop, const std::string& file,
                   const std::vector<std::string>& args = {}, const SpawnOptions& options = {});
/// Runs a program with a channel for messages: a Node script, or a C++ program, which sees it as
/// `cluster.worker()`. The module is looked up as `Settings::exec` is.
ChildProcess fork(const LoopRef& loop, const std::string& module,
                  const std::vector<std::string>& args = {}, const SpawnOptions& options = {});

using OnOutput = Callback<void(const Output&)>;
/// Runs a command of the shell and collects what it prints; `done` is called once, after `close`,
/// whatever happened. stdio is always pipes. After a kill by timeout, `max_buffer` or `stop`, only
/// the exit is waited for.
ChildProcess exec(const LoopRef& loop, const std::string& command, const SpawnOptions& options = {},
                  OnOutput done = {});
/// The same without a shell.
ChildProcess exec_file(const LoopRef& loop, const std::string& file,
                       const std::vector<std::string>& args = {}, const SpawnOptions& options = {},
                       OnOutput done = {});

using OutputHandler = boost::asio::any_completion_handler<void(boost::system::error_code, Output)>;
namespace detail {
void start_exec(const LoopRef& loop, const std::string& file, const std::vector<std::string>& args,
                const SpawnOptions& options, OutputHandler handler);
SpawnOptions with_shell(SpawnOptions options);
}  // namespace detail

/// The same, to be awaited. Completes with an error_code only if the child could not be started or
/// the operation was cancelled, which kills it; how a child ended is in the Output. May be started
/// in any thread that runs the loop. Give arguments and options names before a `co_await`: GCC 12
/// and 13 destroy what is written in braces within it twice.
template <class Token>
auto async_exec_file(const LoopRef& loop, const std::string& file,
                     const std::vector<std::string>& args, const SpawnOptions& options,
                     Token&& token) {
  return boost::asio::async_initiate<Token, void(boost::system::error_code, Output)>(
      [loop, file, args, options](auto handler) {
        detail::start_exec(loop, file, args, options, std::move(handler));
      },
      token);
}
template <class Token>
auto async_exec_file(const LoopRef& loop, const std::string& file,
                     const std::vector<std::string>& args, Token&& token) {
  return async_exec_file(loop, file, args, SpawnOptions{}, std::forward<Token>(token));
}
template <class Token>
auto async_exec(const LoopRef& loop, const std::string& command, const SpawnOptions& options,
                Token&& token) {
  return async_exec_file(loop, command, {}, detail::with_shell(options),
                         std::forward<Token>(token));
}
template <class Token>
auto async_exec(const LoopRef& loop, const std::string& command, Token&& token) {
  return async_exec(loop, command, SpawnOptions{}, std::forward<Token>(token));
}

// Blocking, in any thread, without a loop. They wait for the end of the child's output too, unless
// it was killed (timeout, `max_buffer`, `stop`). An Ipc entry is an error.

/// A code other than 0 is no error.
Output spawn_sync(const std::string& file, const std::vector<std::string>& args = {},
                  const SpawnOptions& options = {});
/// A code other than 0, or a signal, is an error. If `stdio` is not given, the child's stderr is
/// also copied to ours.
Output exec_file_sync(const std::string& file, const std::vector<std::string>& args = {},
                      const SpawnOptions& options = {});
Output exec_sync(const std::string& command, const SpawnOptions& options = {});

}  // namespace cohort
