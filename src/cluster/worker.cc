// The public Worker and Process handles.
#include "cohort/worker.h"

#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/post.hpp>

#include "cluster/worker_impl.h"

namespace cohort {

void WorkerImpl::end_events() {
  events.online.abort();
  events.listening.abort();
  events.error.abort();
  events.disconnect.abort();
  events.exit.abort();
  // Out of the object first: the last handle may be in one of them.
  const auto ended = std::exchange(events, {});
  peer_->end_events();
}

Result<void> WorkerImpl::ping(std::function<void()> /*turned*/) {
  return make_error(Errc::InvalidArgument, "ping", "only a primary asks its workers");
}

Result<OwnFd> WorkerImpl::open_connection() {
  return make_error(Errc::InvalidArgument, "open_connection",
                    "only a primary has connections to a worker of its own");
}

bool Worker::is_leader() const { return impl_->is_leader(); }
std::optional<WorkerLoad> Worker::load() const { return impl_->load(); }
Result<void> Worker::ping(Callback<void()> turned) const { return impl_->ping(std::move(turned)); }
Result<OwnFd> Worker::open_connection() const { return impl_->open_connection(); }
std::vector<std::string> Worker::last_stderr_lines() const { return impl_->last_stderr_lines(); }

pid_t Process::pid() const { return impl_->pid(); }
bool Process::connected() const { return impl_->peer().connected(); }
void Process::exit(int code) const { impl_->exit_process(code); }
void Process::on_stdout(Callback<void(std::string_view)> handler) const {
  impl_->events.stdout_data.on(std::move(handler));
}
void Process::on_stderr(Callback<void(std::string_view)> handler) const {
  impl_->events.stderr_data.on(std::move(handler));
}

const ChildStream& Process::stdio(std::size_t index) const { return impl_->stdio(index); }

int Worker::id() const { return impl_->id(); }
std::optional<std::size_t> Worker::slot() const { return impl_->slot_if_known(); }
Process Worker::process() const { return Process{impl_}; }
boost::asio::any_io_executor Worker::get_executor() const { return impl_->loop().executor(); }
SendResult Worker::send(const Value& message) const { return impl_->peer().send(message); }
SendResult Worker::send(const Value& message, Callback<void(std::optional<Error>)> done) const {
  return impl_->peer().send(message, std::move(done));
}

SendResult Worker::send(const Value& message, Handle handle,
                        Callback<void(std::optional<Error>, Handle)> done) const {
  return impl_->peer().send(message, std::move(handle), std::move(done));
}

WritableBuffer Worker::make_buffer(std::size_t size) const {
  return impl_->peer().make_buffer(size);
}

void Worker::call(const std::string& method, Value params, Callback<void(Result<Value>)> done,
                  const CallOptions& options) const {
  impl_->calls().call(impl_->peer(), method, std::move(params), options, std::move(done));
  impl_->peer().waits_changed();
}

void Worker::start_call(const std::string& method, Value params, const CallOptions& options,
                        CallHandler handler) const {
  auto slot = boost::asio::get_associated_cancellation_slot(handler);
  const auto waiting = std::make_shared<CallHandler>(std::move(handler));
  const std::int64_t id = impl_->calls().call(
      impl_->peer(), method, std::move(params), options,
      [waiting, slot, executor = impl_->loop().executor()](Result<Value> result) mutable {
        slot.clear();
        std::exception_ptr failure;
        if (!result) failure = std::make_exception_ptr(Exception{result.error()});
        boost::asio::post(executor, boost::asio::append(std::move(*waiting), failure,
                                                        result ? *result : Value{}));
      });
  if (slot.is_connected())
    slot.assign([weak = impl_->weak_from_this(), id](boost::asio::cancellation_type) {
      if (const auto worker = weak.lock()) worker->calls().cancel(id);
    });
  impl_->peer().waits_changed();
}

void Worker::disconnect() const { impl_->disconnect(); }
bool Worker::kill(int signal_number) const { return impl_->kill(signal_number); }
bool Worker::is_connected() const { return impl_->peer().connected(); }
bool Worker::is_dead() const { return impl_->is_dead(); }
bool Worker::exited_after_disconnect() const { return impl_->exited_after_disconnect(); }

void Worker::on_online(Callback<void()> handler) const {
  impl_->events.online.on(std::move(handler));
}
void Worker::on_listening(Callback<void(const Address&)> handler) const {
  impl_->events.listening.on(std::move(handler));
}
void Worker::on_leader(Callback<void(bool)> handler) const {
  impl_->events.leader.on(std::move(handler));
}
void Worker::on_message(Callback<void(const Value&)> handler) const {
  impl_->peer().on_message(std::move(handler));
}
void Worker::on_message(Callback<void(const Value&, Handle&)> handler) const {
  impl_->peer().on_message(std::move(handler));
}
void Worker::on_error(Callback<void(const Error&)> handler) const {
  impl_->events.error.on(std::move(handler));
}
void Worker::on_drain(Callback<void()> handler) const {
  impl_->peer().on_drain(std::move(handler));
}
void Worker::on_disconnect(Callback<void()> handler) const {
  impl_->events.disconnect.on(std::move(handler));
}
void Worker::on_exit(Callback<void(const Exit&)> handler) const {
  impl_->events.exit.on(std::move(handler));
}

void Worker::wait_online(Handler<void(boost::system::error_code)> handler) const {
  impl_->events.online.once(impl_->loop(), std::move(handler));
  if (impl_->is_dead()) impl_->events.online.abort();
}
void Worker::wait_listening(Handler<void(boost::system::error_code, Address)> handler) const {
  impl_->events.listening.once(impl_->loop(), std::move(handler));
  if (impl_->is_dead()) impl_->events.listening.abort();
}
void Worker::wait_message(Handler<void(boost::system::error_code, Value)> handler) const {
  impl_->peer().wait_message(std::move(handler));
}
void Worker::wait_drain(Handler<void(boost::system::error_code)> handler) const {
  impl_->peer().wait_drain(std::move(handler));
}
void Worker::wait_disconnect(Handler<void(boost::system::error_code)> handler) const {
  impl_->events.disconnect.once(impl_->loop(), std::move(handler));
  if (impl_->is_dead()) impl_->events.disconnect.abort();
}
void Worker::wait_exit(Handler<void(boost::system::error_code, Exit)> handler) const {
  if (const auto& exit = impl_->exit())
    return boost::asio::post(
        impl_->loop().executor(),
        boost::asio::append(std::move(handler), boost::system::error_code{}, Exit{*exit}));
  impl_->events.exit.once(impl_->loop(), std::move(handler));
  if (impl_->is_dead()) impl_->events.exit.abort();
}

}  // namespace cohort
