#include "process/child_impl.h"

#include <boost/asio/append.hpp>
#include <boost/asio/post.hpp>
#include <boost/throw_exception.hpp>
#include <cerrno>
#include <stdexcept>

#include "base/notices.h"
#include "base/standard_stdio.h"
#include "base/sys.h"

namespace cohort {

namespace asio = boost::asio;
using boost::system::error_code;

ChildImpl::ChildImpl(const Loop& loop)
    : loop_{loop},
      peer_{std::make_shared<ipc::Peer>(loop, static_cast<ipc::PeerUser&>(*this),
                                        ipc::Peer::Early::Waits)} {}

ChildImpl::~ChildImpl() { peer_->abandon(); }

// Starting.

void ChildImpl::start(process::LaunchKind kind, const std::string& file,
                      const std::vector<std::string>& args, const SpawnOptions& options,
                      const Spawner& spawner) {
  sys::open_standard_descriptors();
  process::Children::of(loop_.context()).add(shared_from_this());
  process::ChildLaunch launch;
  const auto prepared = process::prepare(loop_, kind, file, args, options, launch);
  file_ = launch.request.file;
  argv_ = launch.request.argv;
  if (!prepared) {
    open_streams(launch);
    return not_started(prepared.error());
  }
  auto child = spawner(launch.request);
  if (!child) {
    open_streams(launch);
    return not_started(child.error());
  }
  // First in the queue: no event can come before.
  loop_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->state_ == State::Closed) return;
    self->spawn_emitted_ = true;
    self->events.spawn.emit();
  });
  started(std::move(*child), std::move(launch), options);
}

void ChildImpl::started(process::Child child, process::ChildLaunch launch,
                        const SpawnOptions& options) {
  state_ = State::Running;
  open_streams(launch);
  if (launch.channel) {
    disconnect_due_ = true;
    peer_->open(std::move(launch.channel), options.serialization.value_or(Serialization::Json),
                process::channel_limits(options));
    peer_->start();
  }
  process_ = std::make_unique<process::RunningChild>(
      loop_, std::move(child), launch, options, process::ChildWatch::Ends::Alone, streams_,
      process::RunningChild::User{.exited = [this](const Exit& exit) { process_ended(exit); },
                                  .has_to_end = [this](ExitCause cause) { end_because(cause); }});
}

void ChildImpl::open_streams(process::ChildLaunch& launch) {
  streams_.open(std::move(launch.streams), [this] { close_if_all_ended(); });
}

void ChildImpl::not_started(Error error) {
  const bool system = error.code.category() == boost::system::system_category();
  exit_ = Exit::not_started(system ? error.code.value() : EINVAL);
  streams_.each([](StdioStream& stream) { stream.destroy(); });
  failure_ = std::move(error);
  // Two turns later: a coroutine that goes on to wait for the child gets into the queue before.
  loop_.post([self = shared_from_this()] { self->loop_.post([self] { self->report_failure(); }); });
}

void ChildImpl::report_failure() {
  if (state_ != State::Starting) return;  // abandoned
  state_ = State::Exited;
  // Posted: `close` comes although a handler may throw.
  loop_.post([self = shared_from_this()] { self->close_if_all_ended(); });
  if (!failure_awaited_ || events.error.has_listener()) report(*failure_);
}

void ChildImpl::report(const Error& error) {
  if (!events.error.has_listener()) boost::throw_exception(std::runtime_error(error.message()));
  events.error.emit(error);
}

// Signals.

bool ChildImpl::kill(int signal_number) {
  if (state_ != State::Running || !process_->alive()) return false;
  const auto sent = process_->signal(signal_number);
  if (!sent) report_unless_gone(sent.error());
  return sent.has_value();
}

void ChildImpl::report_unless_gone(const Error& error) {
  if (error.code.value() != ESRCH)
    loop_.post([self = shared_from_this(), error] { self->report(error); });
}

std::size_t ChildImpl::kill_tree(int signal_number) {
  return state_ == State::Running ? process_->signal_tree(signal_number) : 0;
}

void ChildImpl::end_because(ExitCause cause) {
  if (state_ != State::Running || !process_->alive()) return;
  if (const auto ended = process_->end(cause); !ended) return report_unless_gone(ended.error());
  if (cuts_output_) streams_.each([](StdioStream& stream) { stream.destroy(); });
  if (cause == ExitCause::Cancelled && events.error.has_listener())
    events.error.emit(system_error(ECANCELED, "spawn " + file_));
}

// The channel.

Result<void> ChildImpl::disconnect() {
  if (!peer_->connected()) return make_error(Errc::ChannelClosed, "disconnect");
  disconnect_asked_ = true;
  peer_->close();
  return {};
}

std::string ChildImpl::describe_peer() const {
  return file_ + " (pid " + std::to_string(pid()) + ")";
}

void ChildImpl::channel_closed(std::optional<Error> why) {
  const auto self = shared_from_this();
  if (why) {
    // It broke the protocol, which must not end us, whether or not somebody listens.
    kill(SIGKILL);
    const Error error{why->code, describe_peer(), "it was killed"};
    if (!events.error.has_listener())
      say(loop_, {"child_error", error.message(), {{"file", file_}, {"pid", std::int64_t{pid()}}}});
    events.error.emit(error);
  }
  emit_disconnect();
  close_if_all_ended();
}

void ChildImpl::emit_disconnect() {
  if (std::exchange(disconnect_due_, false)) events.disconnect.emit();
}

// Ending.

void ChildImpl::process_ended(const Exit& exit) {
  const auto self = shared_from_this();
  // Everything that it sent is in the channel by now. Not up to the end: a grandchild may hold it.
  peer_->read_available();
  peer_->has_ended();
  const Exit settled = process_->settle(exit);
  exit_ = settled.with_cause(cause_of(settled));
  state_ = State::Exited;
  // Posted: `close` comes although a handler may throw, and never before `exit`.
  loop_.post([self] { self->close_if_all_ended(); });
  emit_disconnect();
  events.exit.emit(*exit_);
}

ExitCause ChildImpl::cause_of(const Exit& exit) const {
  if (exit.cause() != ExitCause::Unknown) return exit.cause();
  // Other signals may have been sent for what the process does with them.
  const int last = process_->last_signal();
  const bool meant_to_end = last == SIGTERM || last == SIGINT || last == SIGHUP || last == SIGQUIT;
  if (last != 0 && (meant_to_end || exit.signal() == last)) return ExitCause::Killed;
  return disconnect_asked_ ? ExitCause::Requested : ExitCause::Unknown;
}

void ChildImpl::close_if_all_ended() {
  if (state_ != State::Exited || peer_->has_channel() || disconnect_due_) return;
  if (!streams_.all_ended()) return;
  state_ = State::Closed;
  const auto self = shared_from_this();
  process::Children::of(loop_.context()).remove(self);
  loop_.post([self] {
    self->end_events(asio::error::operation_aborted);
    if (self->process_) self->process_->close();
  });
  events.close.emit(*exit_);
}

// Handlers often hold a handle to this very child, which would keep both for ever.
void ChildImpl::end_events(error_code why) {
  events.spawn.abort(why);
  events.error.abort(why);
  events.disconnect.abort(why);
  events.exit.abort(why);
  events.close.abort(why);
  const auto ended = std::exchange(events, {});
  peer_->end_events(why);
}

void ChildImpl::abandon() {
  const auto self = shared_from_this();
  state_ = State::Closed;
  disconnect_due_ = false;
  const auto ended = std::exchange(events, {});
  peer_->abandon();
  streams_.each([](StdioStream& stream) { stream.abandon(); });
  if (process_) process_->abandon();
}

// The rest.

void ChildImpl::set_ref(bool ref) {
  if (process_) process_->set_ref(ref);
}

namespace {

// What is known already. Never inside the call that asks.
template <class Handler, class... Values>
void complete(const Loop& loop, Handler handler, error_code error, Values... values) {
  asio::post(loop.executor(), asio::append(std::move(handler), error, std::move(values)...));
}

}  // namespace

// Whoever waits is told of it in the result.
bool ChildImpl::note_failure() {
  failure_awaited_ = failure_awaited_ || failure_;
  return failure_.has_value();
}

void ChildImpl::wait_spawn(Event<>::Waiting handler) {
  if (note_failure()) return complete(loop_, std::move(handler), failure_->code);
  if (spawn_emitted_) return complete(loop_, std::move(handler), {});
  events.spawn.once(loop_, std::move(handler));
}

void ChildImpl::wait_message(Event<const Value&>::Waiting handler) {
  if (note_failure()) return complete(loop_, std::move(handler), failure_->code, Value{});
  peer_->wait_message(std::move(handler));
}

void ChildImpl::wait_drain(Event<>::Waiting handler) {
  if (note_failure()) return complete(loop_, std::move(handler), failure_->code);
  peer_->wait_drain(std::move(handler));
}

void ChildImpl::wait_exit(Event<const Exit&>::Waiting handler) {
  if (note_failure()) return complete(loop_, std::move(handler), failure_->code, *exit_);
  if (exit_) return complete(loop_, std::move(handler), {}, *exit_);
  events.exit.once(loop_, std::move(handler));
}

void ChildImpl::wait_close(Event<const Exit&>::Waiting handler) {
  if (note_failure()) return complete(loop_, std::move(handler), failure_->code, *exit_);
  if (state_ == State::Closed)
    return exit_ ? complete(loop_, std::move(handler), {}, *exit_)
                 : complete(loop_, std::move(handler), asio::error::operation_aborted, Exit{});
  events.close.once(loop_, std::move(handler));
}

namespace process {

Children& Children::of(asio::io_context& io) { return asio::use_service<Children>(io); }

void Children::shutdown() {
  for (const auto& child : std::exchange(alive_, {})) child->abandon();
}

}  // namespace process
}  // namespace cohort
