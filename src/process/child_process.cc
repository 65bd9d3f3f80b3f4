// The public ChildProcess, and what starts one.
#include "cohort/child_process.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>

#include "base/plain_loop.h"
#include "process/child_impl.h"

namespace cohort {

namespace asio = boost::asio;

pid_t ChildProcess::pid() const { return impl_->pid(); }
const ChildStream& ChildProcess::stdio(std::size_t index) const {
  return impl_->streams().handle(index);
}
bool ChildProcess::connected() const { return impl_->peer().connected(); }
bool ChildProcess::killed() const { return impl_->killed(); }
const std::optional<Exit>& ChildProcess::exit() const { return impl_->exit(); }
const std::string& ChildProcess::spawnfile() const { return impl_->file(); }
const std::vector<std::string>& ChildProcess::spawnargs() const { return impl_->argv(); }

std::optional<int> ChildProcess::exit_code() const {
  const auto& exit = impl_->exit();
  return exit && exit->signal() == 0 ? std::optional{exit->code()} : std::nullopt;
}

std::string ChildProcess::signal_code() const {
  return impl_->exit() ? impl_->exit()->signal_name() : std::string{};
}

bool ChildProcess::kill(int signal_number) const { return impl_->kill(signal_number); }
std::size_t ChildProcess::kill_tree(int signal_number) const {
  return impl_->kill_tree(signal_number);
}
SendResult ChildProcess::send(const Value& message,
                              Callback<void(std::optional<Error>)> done) const {
  return impl_->peer().send(message, std::move(done));
}
Result<void> ChildProcess::disconnect() const { return impl_->disconnect(); }
void ChildProcess::ref() const { impl_->set_ref(true); }
void ChildProcess::unref() const { impl_->set_ref(false); }
void ChildProcess::ref_channel() const { impl_->peer().set_ref(true); }
void ChildProcess::unref_channel() const { impl_->peer().set_ref(false); }

void ChildProcess::on_spawn(Callback<void()> handler) const {
  impl_->events.spawn.on(std::move(handler));
}
void ChildProcess::on_error(Callback<void(const Error&)> handler) const {
  impl_->events.error.on(std::move(handler));
}
SendResult ChildProcess::send(const Value& message, Handle handle,
                              Callback<void(std::optional<Error>, Handle)> done) const {
  return impl_->peer().send(message, std::move(handle), std::move(done));
}

void ChildProcess::on_message(Callback<void(const Value&, Handle&)> handler) const {
  impl_->peer().on_message(std::move(handler));
}
void ChildProcess::on_message(Callback<void(const Value&)> handler) const {
  impl_->peer().on_message(std::move(handler));
}
void ChildProcess::on_drain(Callback<void()> handler) const {
  impl_->peer().on_drain(std::move(handler));
}
void ChildProcess::on_disconnect(Callback<void()> handler) const {
  impl_->events.disconnect.on(std::move(handler));
}
void ChildProcess::on_exit(Callback<void(const Exit&)> handler) const {
  impl_->events.exit.on(std::move(handler));
}
void ChildProcess::on_close(Callback<void(const Exit&)> handler) const {
  impl_->events.close.on(std::move(handler));
}

asio::any_io_executor ChildProcess::get_executor() const { return impl_->loop().executor(); }

void ChildProcess::wait_spawn(Handler<void(boost::system::error_code)> handler) const {
  asio::dispatch(get_executor(), [impl = impl_, handler = std::move(handler)]() mutable {
    impl->wait_spawn(std::move(handler));
  });
}
void ChildProcess::wait_message(Handler<void(boost::system::error_code, Value)> handler) const {
  asio::dispatch(get_executor(), [impl = impl_, handler = std::move(handler)]() mutable {
    impl->wait_message(std::move(handler));
  });
}
void ChildProcess::wait_drain(Handler<void(boost::system::error_code)> handler) const {
  asio::dispatch(get_executor(), [impl = impl_, handler = std::move(handler)]() mutable {
    impl->wait_drain(std::move(handler));
  });
}
void ChildProcess::wait_exit(Handler<void(boost::system::error_code, Exit)> handler) const {
  asio::dispatch(get_executor(), [impl = impl_, handler = std::move(handler)]() mutable {
    impl->wait_exit(std::move(handler));
  });
}
void ChildProcess::wait_close(Handler<void(boost::system::error_code, Exit)> handler) const {
  asio::dispatch(get_executor(), [impl = impl_, handler = std::move(handler)]() mutable {
    impl->wait_close(std::move(handler));
  });
}

ChildProcess process::spawn_by(const ChildImpl::Spawner& spawner, const LoopRef& loop,
                               const std::string& file, const std::vector<std::string>& args,
                               const SpawnOptions& options) {
  const auto child = std::make_shared<ChildImpl>(loop.loop());
  child->start(LaunchKind::Spawn, file, args, options, spawner);
  return ChildProcess{child};
}

ChildProcess spawn(const LoopRef& loop, const std::string& file,
                   const std::vector<std::string>& args, const SpawnOptions& options) {
  return process::spawn_by(process::spawn, loop, file, args, options);
}

ChildProcess fork(const LoopRef& loop, const std::string& module,
                  const std::vector<std::string>& args, const SpawnOptions& options) {
  const auto child = std::make_shared<ChildImpl>(loop.loop());
  child->start(process::LaunchKind::Fork, module, args, options);
  return ChildProcess{child};
}

}  // namespace cohort
