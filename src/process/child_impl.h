// One child process: what `ChildProcess` handles refer to.
//
// Owned by the `Children` of its io_context from the spawn to its `close` event, and by handles.
// Loop's executor only, but for `send`. The order of its events is made here:
//
//   spawn, message*, disconnect, exit, (the ends of its streams), close     it ran
//   error, close                                                           it could not be started
#pragma once

#include <boost/asio/execution_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/handlers.h"
#include "base/loop.h"
#include "cohort/child_process.h"
#include "ipc/any_thread_sender.h"
#include "ipc/channel.h"
#include "ipc/handle.h"
#include "process/child_launch.h"
#include "process/child_watch.h"
#include "process/stdio_stream.h"
#include "process/stdio_tail.h"

namespace cohort {

class ChildImpl final : public std::enable_shared_from_this<ChildImpl>, private ipc::ChannelUser {
 public:
  explicit ChildImpl(const Loop& loop)
      : loop_{loop},
        sender_{std::make_shared<ipc::AnyThreadSender>(loop)},
        traffic_{std::make_shared<ipc::HandleTraffic>(loop)} {}
  ~ChildImpl();

  /// Once. Every failure becomes the `error` event.
  void start(process::LaunchKind kind, const std::string& file,
             const std::vector<std::string>& args, const SpawnOptions& options);
  /// The io_context ends: kills the process unless it is detached. Nothing is called back.
  void abandon();

  /// Sends `kill_signal`, for this reason; the exit record will name it. Where the output is cut,
  /// it is read no more.
  void end_because(ExitCause cause);
  /// A kill by `end_because` ends the streams too: for those who wait for `close`.
  void cut_output_when_ended() { cuts_output_ = true; }

  bool kill(int signal_number);
  std::size_t kill_tree(int signal_number);
  SendResult send(const Value& message, ipc::Channel::Done done) {
    return sender_->send(message, std::move(done));
  }
  SendResult send(const Value& message, Handle handle, ipc::HandleTraffic::Done done);
  Result<void> disconnect();
  /// The process exits: what other threads have sent is written, as far as the child takes it.
  void flush() { sender_->catch_up(); }
  void set_ref(bool ref);
  void set_channel_ref(bool ref);
  void on_message(std::function<void(const Value&)> handler);
  void on_message(std::function<void(const Value&, Handle&)> handler);

  void wait_spawn(Event<>::Waiting handler);
  void wait_message(Event<const Value&>::Waiting handler);
  void wait_drain(Event<>::Waiting handler);
  void wait_exit(Event<const Exit&>::Waiting handler);
  void wait_close(Event<const Exit&>::Waiting handler);

  const Loop& loop() const { return loop_; }
  pid_t pid() const { return pid_; }
  bool connected() const { return sender_->is_open(); }
  bool killed() const { return killed_; }
  const std::optional<Exit>& exit() const { return exit_; }
  const std::optional<Error>& failure() const { return failure_; }
  const std::string& file() const { return file_; }
  const std::vector<std::string>& argv() const { return argv_; }
  std::size_t stdio_count() const { return streams_.size(); }
  const ChildStream& stream(std::size_t index) const;

  struct {
    Event<> spawn;
    Event<const Error&> error;
    Event<const Value&> message;
    Event<> drain;
    Event<> disconnect;
    Event<const Exit&> exit;
    Event<const Exit&> close;
  } events;

 private:
  enum class State { Starting, Running, Exited, Closed };

  // ChannelUser
  void message(ipc::Incoming incoming) override;
  void channel_drained() override { events.drain.emit(loop_); }
  void channel_closed(std::optional<Error> why) override;

  void started(process::Child child, process::ChildLaunch launch, const SpawnOptions& options);
  void open_streams(process::ChildLaunch& launch, const SpawnOptions& options);
  void watch_limits(const SpawnOptions& options);
  void not_started(Error error);
  bool wants_messages() const { return events.message.has_listener() || !on_handle_.empty(); }
  void keep(ipc::Incoming incoming);
  void emit_message(ipc::Incoming incoming);
  void report_failure();
  void deliver_early_messages();
  void process_ended(const Exit& exit);
  ExitCause cause_of(const Exit& exit) const;
  void emit_disconnect();
  void report(const Error& error);
  void close_if_all_ended();
  void end_events(boost::system::error_code why);
  bool note_failure();

  Loop loop_;  // before what refers to it
  State state_ = State::Starting;
  pid_t pid_ = 0;
  std::string file_;
  std::vector<std::string> argv_;
  int kill_signal_ = SIGTERM;
  bool leads_group_ = false;
  bool group_is_its_own_ = false;  // on request: `end_because` ends all of it
  bool detached_ = false;
  bool spawn_emitted_ = false;
  bool killed_ = false;
  int last_signal_ = 0;  // that `kill` sent
  bool cuts_output_ = false;
  bool disconnect_asked_ = false;
  bool failure_awaited_ = false;    // an operation has got it
  std::optional<ExitCause> cause_;  // of our own doing
  std::optional<Exit> exit_;
  std::optional<Error> failure_;

  std::unique_ptr<process::ChildWatch> process_;
  std::unique_ptr<process::ChildCgroup> cgroup_;
  std::vector<std::shared_ptr<StdioStream>> streams_;  // shared with handles
  std::vector<ChildStream> handles_;                   // of the same
  std::unique_ptr<process::StderrTail> stderr_tail_;
  process::LineTail stderr_read_;
  std::size_t stderr_lines_ = 0;

  std::shared_ptr<ipc::Channel> channel_;         // shared with its own pending callbacks
  bool disconnect_due_ = false;                   // the event has yet to come
  std::shared_ptr<ipc::AnyThreadSender> sender_;  // shared with messages on their way
  std::shared_ptr<ipc::HandleTraffic> traffic_;   // shared with handles on their way
  Handlers<const Value&, Handle&> on_handle_;     // of messages, with or without one
  std::deque<ipc::Incoming> early_messages_;      // before the first listener

  std::optional<boost::asio::steady_timer> timeout_;
  std::optional<std::stop_callback<std::function<void()>>> stop_;
};

namespace process {

/// The children of one io_context.
class Children : public boost::asio::execution_context::service {
 public:
  using key_type = Children;
  inline static boost::asio::execution_context::id id;
  explicit Children(boost::asio::execution_context& context)
      : boost::asio::execution_context::service{context} {}

  static Children& of(boost::asio::io_context& io);
  void add(std::shared_ptr<ChildImpl> child) { alive_.insert(std::move(child)); }
  void remove(const std::shared_ptr<ChildImpl>& child) { alive_.erase(child); }
  void flush() const {
    for (const auto& child : alive_) child->flush();
  }

 private:
  void shutdown() override;

  std::set<std::shared_ptr<ChildImpl>> alive_;  // shared with handles
};

}  // namespace process
}  // namespace cohort
