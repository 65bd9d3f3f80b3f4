#include "process/child_impl.h"

#include <unistd.h>

#include <boost/throw_exception.hpp>
#include <cerrno>
#include <stdexcept>

#include "base/notices.h"
#include "base/standard_stdio.h"
#include "base/sys.h"
#include "process/tree.h"

namespace cohort {

namespace asio = boost::asio;
using boost::system::error_code;

ChildImpl::~ChildImpl() {
  if (channel_) channel_->abandon();
  for (const auto& stream : streams_) {
    if (!stream) continue;
    stream->when_ended(nullptr);
    stream->when_read(nullptr);
  }
}

// Starting.

void ChildImpl::start(process::LaunchKind kind, const std::string& file,
                      const std::vector<std::string>& args, const SpawnOptions& options) {
  sys::open_standard_descriptors();
  process::Children::of(loop_.context()).add(shared_from_this());
  process::ChildLaunch launch;
  const auto prepared = process::prepare(loop_, kind, file, args, options, launch);
  file_ = launch.request.file;
  argv_ = launch.request.argv;
  if (!prepared) {
    open_streams(launch, options);
    return not_started(prepared.error());
  }
  auto child = process::spawn(launch.request);
  if (!child) {
    open_streams(launch, options);
    return not_started(child.error());
  }
  // First in the queue: no event can come before.
  loop_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->state_ == State::Closed) return;
    self->spawn_emitted_ = true;
    self->events.spawn.emit(self->loop_);
  });
  started(std::move(*child), std::move(launch), options);
}

void ChildImpl::started(process::Child child, process::ChildLaunch launch,
                        const SpawnOptions& options) {
  state_ = State::Running;
  pid_ = child.pid;
  kill_signal_ = options.kill_signal;
  detached_ = options.detached;
  leads_group_ = options.detached || options.process_group == 0;
  group_is_its_own_ = !options.detached && options.process_group == 0;
  for (const auto& stream : launch.given) stream->lent();
  cgroup_ = std::move(launch.cgroup);
  if (cgroup_) cgroup_->joined();
  open_streams(launch, options);
  if (launch.channel) {
    disconnect_due_ = true;
    const ipc::ChannelLimits limits{.message_size_max = options.message_size_max,
                                    .queue_size_max = options.queue_size_max,
                                    .shared_memory_max = options.shared_memory_max};
    channel_ =
        std::make_shared<ipc::Channel>(loop_, std::move(launch.channel), options.serialization,
                                       limits, static_cast<ipc::ChannelUser&>(*this));
    sender_->open(channel_);
    channel_->start();
  }
  process_ = std::make_unique<process::ChildWatch>(
      loop_, std::move(child), [this](const Exit& exit) { process_ended(exit); });
  watch_limits(options);
}

void ChildImpl::open_streams(process::ChildLaunch& launch, const SpawnOptions& options) {
  streams_ = std::move(launch.streams);
  for (const auto& stream : streams_) {
    handles_.emplace_back(stream);
    if (stream) stream->when_ended([this] { close_if_all_ended(); });
  }
  stderr_lines_ = options.stderr_lines;
  if (launch.stderr_plan)
    stderr_tail_ = process::StderrTail::start(loop_, std::move(*launch.stderr_plan));
  else if (stderr_lines_ > 0 && streams_.size() > 2 && streams_[2])
    streams_[2]->when_read([this](std::string_view bytes) { stderr_read_.append(bytes); });
}

void ChildImpl::watch_limits(const SpawnOptions& options) {
  if (options.timeout.count() > 0) {
    timeout_.emplace(loop_.executor(), options.timeout);
    timeout_->async_wait([weak = weak_from_this()](const error_code& cancelled) {
      const auto self = weak.lock();
      if (!cancelled && self) self->end_because(ExitCause::Timeout);
    });
  }
  if (options.stop.stop_possible())
    stop_.emplace(options.stop, [weak = weak_from_this(), loop = loop_] {
      loop.post([weak] {
        if (const auto self = weak.lock()) self->end_because(ExitCause::Cancelled);
      });
    });
}

void ChildImpl::not_started(Error error) {
  const bool system = error.code.category() == boost::system::system_category();
  exit_ = Exit::not_started(system ? error.code.value() : EINVAL);
  for (const auto& stream : streams_)
    if (stream) stream->destroy();
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
  events.error.emit(loop_, error);
}

// Signals.

bool ChildImpl::kill(int signal_number) {
  if (state_ != State::Running || !process_ || !process_->alive()) return false;
  const auto sent = process_->signal(signal_number);
  if (sent) {
    killed_ = true;
    if (signal_number != 0) last_signal_ = signal_number;
    return true;
  }
  if (sent.error().code.value() != ESRCH)
    loop_.post([self = shared_from_this(), error = sent.error()] { self->report(error); });
  return false;
}

std::size_t ChildImpl::kill_tree(int signal_number) {
  if (state_ != State::Running || !process_ || !process_->alive()) return 0;
  std::size_t reached = process::signal_tree(pid_, signal_number);
  // Those that lost their parent are still in the group, if it is theirs alone.
  if (leads_group_) sys::kill(-pid_, signal_number);
  if (cgroup_ && signal_number == SIGKILL) cgroup_->kill();
  if (reached > 0) {
    killed_ = true;
    if (signal_number != 0) last_signal_ = signal_number;
  }
  return reached;
}

void ChildImpl::end_because(ExitCause cause) {
  if (state_ != State::Running || !process_->alive()) return;
  if (!kill(kill_signal_)) return;
  if (group_is_its_own_) sys::kill(-pid_, kill_signal_);
  if (!cause_) cause_ = cause;
  if (cuts_output_)
    for (const auto& stream : streams_)
      if (stream) stream->destroy();
  if (cause == ExitCause::Cancelled && events.error.has_listener())
    events.error.emit(loop_, system_error(ECANCELED, "spawn " + file_));
}

// The channel.

SendResult ChildImpl::send(const Value& message, Handle handle, ipc::HandleTraffic::Done done) {
  sender_->catch_up();
  const auto sent =
      traffic_->send(connected() ? channel_ : nullptr, message, std::move(handle), std::move(done));
  return sent;
}

Result<void> ChildImpl::disconnect() {
  if (!connected()) return make_error(Errc::ChannelClosed, "disconnect");
  sender_->close();
  disconnect_asked_ = true;
  channel_->close();
  return {};
}

void ChildImpl::message(ipc::Incoming incoming) {
  // What is not a user's is about sockets, or belongs to a cluster; Node ignores what it does not
  // know.
  if (incoming.kind != ipc::MessageKind::User)
    traffic_->answer(channel_, incoming);
  else if (!wants_messages() || !early_messages_.empty())
    keep(std::move(incoming));
  else
    emit_message(std::move(incoming));
}

// A cohort child sends only so much more than was taken.
void ChildImpl::keep(ipc::Incoming incoming) {
  channel_->withhold(incoming.size);
  early_messages_.push_back(std::move(incoming));
}

void ChildImpl::emit_message(ipc::Incoming incoming) {
  Handle handle = traffic_->receive(channel_, incoming);
  events.message.emit(loop_, incoming.value);
  on_handle_(incoming.value, handle);
}

void ChildImpl::on_message(std::function<void(const Value&)> handler) {
  events.message.on(std::move(handler));
  if (!early_messages_.empty())
    loop_.post([self = shared_from_this()] { self->deliver_early_messages(); });
}

void ChildImpl::on_message(std::function<void(const Value&, Handle&)> handler) {
  on_handle_.add(std::move(handler));
  if (!early_messages_.empty())
    loop_.post([self = shared_from_this()] { self->deliver_early_messages(); });
}

void ChildImpl::deliver_early_messages() {
  while (!early_messages_.empty() && wants_messages()) {
    ipc::Incoming incoming = std::move(early_messages_.front());
    early_messages_.pop_front();
    if (channel_) channel_->consumed(incoming.size);
    try {
      emit_message(std::move(incoming));
    } catch (...) {
      // The others come all the same.
      loop_.post([thrown = std::current_exception()] { std::rethrow_exception(thrown); });
    }
  }
}

void ChildImpl::channel_closed(std::optional<Error> why) {
  const auto self = shared_from_this();
  channel_.reset();
  sender_->close();
  if (why) {
    // It broke the protocol, which must not end us, whether or not somebody listens.
    kill(SIGKILL);
    const std::string name = file_ + " (pid " + std::to_string(pid_) + ")";
    const Error error{why->code, name, "it was killed"};
    if (!events.error.has_listener())
      say(loop_, {"child_error", error.message(), {{"file", file_}, {"pid", std::int64_t{pid_}}}});
    events.error.emit(loop_, error);
  }
  emit_disconnect();
  close_if_all_ended();
}

void ChildImpl::emit_disconnect() {
  if (!std::exchange(disconnect_due_, false)) return;
  events.message.abort(loop_);
  events.drain.abort(loop_);
  events.disconnect.emit(loop_);
}

// Ending.

void ChildImpl::process_ended(const Exit& exit) {
  const auto self = shared_from_this();
  timeout_.reset();
  stop_.reset();
  // Everything that it sent is in the channel by now. Not up to the end: a grandchild may hold it.
  if (channel_) channel_->read_available();
  sender_->close();
  if (channel_) channel_->peer_ended();
  channel_.reset();
  if (stderr_tail_) stderr_tail_->drain_now();
  for (const auto& stream : streams_)
    if (stream) stream->child_exited();
  exit_ = exit.with_cause(cause_of(exit));
  if (stderr_lines_ > 0)
    exit_ = exit_->with_stderr(stderr_tail_ ? stderr_tail_->last_lines(stderr_lines_)
                                            : stderr_read_.last_lines(stderr_lines_));
  if (cgroup_) cgroup_->kill();  // what it left there; the group is removed at `close`
  state_ = State::Exited;
  // Posted: `close` comes although a handler may throw, and never before `exit`.
  loop_.post([self] { self->close_if_all_ended(); });
  emit_disconnect();
  events.exit.emit(loop_, *exit_);
}

ExitCause ChildImpl::cause_of(const Exit& exit) const {
  if (exit.cause() != ExitCause::Unknown) return exit.cause();
  if (cgroup_ && cgroup_->out_of_memory() && !exit.success()) return ExitCause::OutOfMemory;
  if (cause_) return *cause_;
  // Others may have been sent for what the process does with them.
  const bool meant_to_end = last_signal_ == SIGTERM || last_signal_ == SIGINT ||
                            last_signal_ == SIGHUP || last_signal_ == SIGQUIT;
  if (last_signal_ != 0 && (meant_to_end || exit.signal() == last_signal_))
    return ExitCause::Killed;
  return disconnect_asked_ ? ExitCause::Requested : ExitCause::Unknown;
}

void ChildImpl::close_if_all_ended() {
  if (state_ != State::Exited || channel_ || disconnect_due_) return;
  for (const auto& stream : streams_)
    if (stream && !stream->ended()) return;
  state_ = State::Closed;
  const auto self = shared_from_this();
  process::Children::of(loop_.context()).remove(self);
  loop_.post([self] {
    self->end_events(asio::error::operation_aborted);
    self->stderr_tail_.reset();
    self->cgroup_.reset();
  });
  events.close.emit(loop_, *exit_);
}

// Handlers often hold a handle to this very child, which would keep both for ever.
void ChildImpl::end_events(error_code why) {
  events.spawn.abort(loop_, why);
  events.error.abort(loop_, why);
  events.message.abort(loop_, why);
  events.drain.abort(loop_, why);
  events.disconnect.abort(loop_, why);
  events.exit.abort(loop_, why);
  events.close.abort(loop_, why);
  const bool messages_wait = !early_messages_.empty();
  auto ended = std::exchange(events, {});
  auto ended_handlers = std::exchange(on_handle_, {});
  if (!messages_wait) return;
  events.message = std::move(ended.message);
  on_handle_ = std::move(ended_handlers);
}

void ChildImpl::abandon() {
  const auto self = shared_from_this();
  state_ = State::Closed;
  sender_->close();
  disconnect_due_ = false;
  early_messages_.clear();
  const auto ended = std::exchange(events, {});
  const auto ended_handlers = std::exchange(on_handle_, {});
  stop_.reset();
  timeout_.reset();
  if (channel_) channel_->abandon();
  channel_.reset();
  stderr_tail_.reset();
  for (const auto& stream : streams_)
    if (stream) stream->abandon();
  if (process_ && !detached_) process_->kill_and_reap();
  process_.reset();
  cgroup_.reset();
}

// The rest.

void ChildImpl::set_ref(bool ref) {
  if (process_) process_->set_ref(ref);
}

void ChildImpl::set_channel_ref(bool ref) {
  if (channel_) channel_->set_ref(ref);
}

const ChildStream& ChildImpl::stream(std::size_t index) const {
  static const ChildStream none;
  return index < handles_.size() ? handles_[index] : none;
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
  events.spawn.once(std::move(handler));
}

void ChildImpl::wait_message(Event<const Value&>::Waiting handler) {
  if (!early_messages_.empty()) {
    const ipc::Incoming incoming = std::move(early_messages_.front());
    early_messages_.pop_front();
    if (channel_) channel_->consumed(incoming.size);
    Value value = incoming.value;
    return complete(loop_, std::move(handler), {}, std::move(value));
  }
  if (note_failure()) return complete(loop_, std::move(handler), failure_->code, Value{});
  if (!channel_)
    return complete(loop_, std::move(handler), asio::error::operation_aborted, Value{});
  events.message.once(std::move(handler));
}

void ChildImpl::wait_drain(Event<>::Waiting handler) {
  if (note_failure()) return complete(loop_, std::move(handler), failure_->code);
  if (!channel_) return complete(loop_, std::move(handler), asio::error::operation_aborted);
  events.drain.once(std::move(handler));
  channel_->want_drained();
}

void ChildImpl::wait_exit(Event<const Exit&>::Waiting handler) {
  if (note_failure()) return complete(loop_, std::move(handler), failure_->code, *exit_);
  if (exit_) return complete(loop_, std::move(handler), {}, *exit_);
  events.exit.once(std::move(handler));
}

void ChildImpl::wait_close(Event<const Exit&>::Waiting handler) {
  if (note_failure()) return complete(loop_, std::move(handler), failure_->code, *exit_);
  if (state_ == State::Closed)
    return exit_ ? complete(loop_, std::move(handler), {}, *exit_)
                 : complete(loop_, std::move(handler), asio::error::operation_aborted, Exit{});
  events.close.once(std::move(handler));
}

namespace process {

Children& Children::of(asio::io_context& io) { return asio::use_service<Children>(io); }

void Children::shutdown() {
  for (const auto& child : std::exchange(alive_, {})) child->abandon();
}

}  // namespace process
}  // namespace cohort
