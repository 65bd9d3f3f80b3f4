// One child process: what `ChildProcess` handles refer to.
//
// Owned by the `Children` of its io_context from the spawn to its `close` event, and by handles.
// Loop's executor only, but for `send`. The order of its events is made here:
//
//   spawn, message*, disconnect, exit, (the ends of its streams), close     it ran
//   error, close                                                           it could not be started
#pragma once

#include <boost/asio/execution_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/loop.h"
#include "cohort/child_process.h"
#include "ipc/peer.h"
#include "process/child_launch.h"
#include "process/child_streams.h"
#include "process/running_child.h"

namespace cohort {

class ChildImpl final : public std::enable_shared_from_this<ChildImpl>, private ipc::PeerUser {
 public:
  explicit ChildImpl(const Loop& loop);
  ~ChildImpl();
  ChildImpl(const ChildImpl&) = delete;
  ChildImpl& operator=(const ChildImpl&) = delete;

  /// How a process comes to be: process::spawn, or another like it.
  using Spawner = std::function<Result<process::Child>(const process::SpawnRequest&)>;
  /// Once. Every failure becomes the `error` event.
  void start(process::LaunchKind kind, const std::string& file,
             const std::vector<std::string>& args, const SpawnOptions& options,
             const Spawner& spawner = process::spawn);
  /// The io_context ends: kills the process unless it is detached. Nothing is called back.
  void abandon();

  /// Sends `kill_signal`, for this reason; the exit record will name it. Where the output is cut,
  /// it is read no more.
  void end_because(ExitCause cause);
  /// A kill by `end_because` ends the streams too: for those who wait for `close`.
  void cut_output_when_ended() { cuts_output_ = true; }

  bool kill(int signal_number);
  std::size_t kill_tree(int signal_number);
  Result<void> disconnect();
  void set_ref(bool ref);

  void wait_spawn(Event<>::Waiting handler);
  void wait_message(Event<const Value&>::Waiting handler);
  void wait_drain(Event<>::Waiting handler);
  void wait_exit(Event<const Exit&>::Waiting handler);
  void wait_close(Event<const Exit&>::Waiting handler);

  const Loop& loop() const { return loop_; }
  /// Who has the other end of its channel, if it has one.
  ipc::Peer& peer() const { return *peer_; }
  pid_t pid() const { return process_ ? process_->pid() : 0; }
  bool killed() const { return process_ && process_->killed(); }
  const std::optional<Exit>& exit() const { return exit_; }
  const std::string& file() const { return file_; }
  const std::vector<std::string>& argv() const { return argv_; }
  const process::ChildStreams& streams() const { return streams_; }

  struct {
    Event<> spawn;
    Event<const Error&> error;
    Event<> disconnect;
    Event<const Exit&> exit;
    Event<const Exit&> close;
  } events;

 private:
  enum class State { Starting, Running, Exited, Closed };

  // ipc::PeerUser
  std::string describe_peer() const override;
  void channel_closed(std::optional<Error> why) override;

  void started(process::Child child, process::ChildLaunch launch, const SpawnOptions& options);
  void open_streams(process::ChildLaunch& launch);
  void not_started(Error error);
  void report_failure();
  void report_unless_gone(const Error& error);
  void process_ended(const Exit& exit);
  ExitCause cause_of(const Exit& exit) const;
  void emit_disconnect();
  void report(const Error& error);
  void close_if_all_ended();
  void end_events(boost::system::error_code why);
  bool note_failure();

  const Loop loop_;                        // before what refers to it
  const std::shared_ptr<ipc::Peer> peer_;  // shared with what is on its way
  State state_ = State::Starting;
  std::string file_;
  std::vector<std::string> argv_;
  bool spawn_emitted_ = false;
  bool cuts_output_ = false;
  bool disconnect_asked_ = false;
  bool disconnect_due_ = false;   // the event has yet to come
  bool failure_awaited_ = false;  // an operation has got it
  std::optional<Exit> exit_;
  std::optional<Error> failure_;
  process::ChildStreams streams_;  // before the process, which reads them
  std::unique_ptr<process::RunningChild> process_;
};

namespace process {

/// As cohort::spawn, but for the process itself.
ChildProcess spawn_by(const ChildImpl::Spawner& spawner, const LoopRef& loop,
                      const std::string& file, const std::vector<std::string>& args,
                      const SpawnOptions& options);

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
  /// This process exits: what other threads have sent is written, as far as children take it.
  void flush() const {
    for (const auto& child : alive_) child->peer().catch_up();
  }

 private:
  void shutdown() override;

  std::set<std::shared_ptr<ChildImpl>> alive_;  // shared with handles
};

}  // namespace process
}  // namespace cohort
