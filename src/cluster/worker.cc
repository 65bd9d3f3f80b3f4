// The public Worker and Process handles.
#include "cohort/worker.h"

#include "cluster/worker_impl.h"

namespace cohort {

void WorkerImpl::end_events() {
  events.online.abort(loop_);
  events.listening.abort(loop_);
  events.message.abort(loop_);
  events.error.abort(loop_);
  events.disconnect.abort(loop_);
  events.exit.abort(loop_);
  // Out of the object first: the last handle may be in one of them.
  const auto ended = std::exchange(events, {});
}

SendResult WorkerImpl::send(const Value& message_value, ipc::Channel::Done done) {
  if (loop_.runs_here()) {
    ipc::Channel* target = channel();
    auto sent = target != nullptr ? target->send(message_value, done)
                                  : Result<bool>(make_error(Errc::ChannelClosed, "send"));
    if (sent) return SendResult::queued(*sent);
    if (done) loop_.post([done, why = sent.error()] { done(why); });
    return SendResult::failed(sent.error());
  }
  // Another thread: the message is encoded here, since its contents are not guarded, and sent
  // there.
  std::string line;
  if (auto encoded = ipc::encode_line(message_value, line, message_size_max()); !encoded) {
    if (done) loop_.post([done, why = encoded.error()] { done(why); });
    return SendResult::failed(encoded.error());
  }
  if (!connected()) {
    const Error closed = make_error(Errc::ChannelClosed, "send");
    if (done) loop_.post([done, closed] { done(closed); });
    return SendResult::failed(closed);
  }
  loop_.post([self = shared_from_this(), line = std::move(line), done] {
    ipc::Channel* target = self->channel();
    auto sent = target != nullptr ? target->send_line(line, done)
                                  : Result<bool>(make_error(Errc::ChannelClosed, "send"));
    if (!sent && done) done(sent.error());
  });
  return SendResult::queued(true);
}

pid_t Process::pid() const { return impl_->pid(); }
bool Process::connected() const { return impl_->connected(); }
void Process::exit(int code) const { impl_->exit_process(code); }
void Process::on_stdout(std::function<void(std::string_view)> handler) const {
  impl_->events.stdout_data.on(std::move(handler));
}
void Process::on_stderr(std::function<void(std::string_view)> handler) const {
  impl_->events.stderr_data.on(std::move(handler));
}

int Worker::id() const { return impl_->id(); }
Process Worker::process() const { return Process{impl_}; }
SendResult Worker::send(const Value& message) const { return impl_->send(message, {}); }
SendResult Worker::send(const Value& message,
                        std::function<void(std::optional<Error>)> done) const {
  return impl_->send(message, std::move(done));
}
void Worker::disconnect() const { impl_->disconnect(); }
bool Worker::kill(int signal_number) const { return impl_->kill(signal_number); }
bool Worker::is_connected() const { return impl_->connected(); }
bool Worker::is_dead() const { return impl_->is_dead(); }
bool Worker::exited_after_disconnect() const { return impl_->exited_after_disconnect(); }

void Worker::on_online(std::function<void()> handler) const {
  impl_->events.online.on(std::move(handler));
}
void Worker::on_listening(std::function<void(const Address&)> handler) const {
  impl_->events.listening.on(std::move(handler));
}
void Worker::on_message(std::function<void(const Value&)> handler) const {
  impl_->events.message.on(std::move(handler));
  impl_->message_wanted();
}
void Worker::on_error(std::function<void(const Error&)> handler) const {
  impl_->events.error.on(std::move(handler));
}
void Worker::on_disconnect(std::function<void()> handler) const {
  impl_->events.disconnect.on(std::move(handler));
}
void Worker::on_exit(std::function<void(const Exit&)> handler) const {
  impl_->events.exit.on(std::move(handler));
}

void Worker::wait_online(Handler<void(boost::system::error_code)> handler) const {
  impl_->events.online.once(std::move(handler));
  if (impl_->is_dead()) impl_->events.online.abort(impl_->loop());
}
void Worker::wait_listening(Handler<void(boost::system::error_code, Address)> handler) const {
  impl_->events.listening.once(std::move(handler));
  if (impl_->is_dead()) impl_->events.listening.abort(impl_->loop());
}
void Worker::wait_message(Handler<void(boost::system::error_code, Value)> handler) const {
  impl_->events.message.once(std::move(handler));
  if (impl_->is_dead())
    impl_->events.message.abort(impl_->loop());
  else
    impl_->message_wanted();
}
void Worker::wait_disconnect(Handler<void(boost::system::error_code)> handler) const {
  impl_->events.disconnect.once(std::move(handler));
  if (impl_->is_dead()) impl_->events.disconnect.abort(impl_->loop());
}
void Worker::wait_exit(Handler<void(boost::system::error_code, Exit)> handler) const {
  impl_->events.exit.once(std::move(handler));
  if (impl_->is_dead()) impl_->events.exit.abort(impl_->loop());
}

}  // namespace cohort
