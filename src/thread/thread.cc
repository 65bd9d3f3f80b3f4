#include "cohort/thread.h"

#include <utility>

#include "thread/thread_impl.h"

namespace cohort {

Thread::Thread(const LoopRef& loop, Callback<void(ThisThread& self)> main, ThreadOptions options)
    : impl_{std::make_shared<thread::ThreadImpl>(loop.loop(), std::move(options))} {
  impl_->start(std::move(main));
}

int Thread::id() const { return impl_->id(); }
const std::string& Thread::name() const { return impl_->name(); }
bool Thread::running() const { return !impl_->exit_code(); }
std::optional<int> Thread::exit_code() const { return impl_->exit_code(); }

SendResult Thread::post_message(const Value& message, Transfer transfer) const {
  return impl_->post(message, std::move(transfer));
}

void Thread::on_message(Callback<void(const Value& message)> handler) const {
  impl_->events.message.on([handler = std::function<void(const Value&)>{std::move(handler)}](
                               const Value& message, Transfer&) { handler(message); });
}

void Thread::on_message(Callback<void(const Value& message, Transfer& transfer)> handler) const {
  impl_->events.message.on(std::move(handler));
}

void Thread::on_online(Callback<void()> handler) const {
  impl_->events.online.on(std::move(handler));
}

void Thread::on_error(Callback<void(const Error&)> handler) const {
  impl_->events.error.on(std::move(handler));
}

void Thread::on_exit(Callback<void(int code)> handler) const {
  impl_->events.exit.on(std::move(handler));
}

void Thread::terminate(Callback<void(int code)> done) const { impl_->terminate(std::move(done)); }
void Thread::ref() const { impl_->set_ref(true); }
void Thread::unref() const { impl_->set_ref(false); }

int ThisThread::id() const { return inside_->start().identity.id; }
const std::string& ThisThread::name() const { return inside_->start().identity.name; }
const Value& ThisThread::worker_data() const { return inside_->start().worker_data; }
Transfer& ThisThread::transferred() const { return inside_->transferred(); }

SendResult ThisThread::post_message(const Value& message, Transfer transfer) const {
  return inside_->post(message, std::move(transfer));
}

void ThisThread::on_message(Callback<void(const Value& message)> handler) const {
  inside_->start().inbox.on_message(LoopRef{inside_->loop()}, std::move(handler));
}

void ThisThread::on_message(
    Callback<void(const Value& message, Transfer& transfer)> handler) const {
  inside_->start().inbox.on_message(LoopRef{inside_->loop()}, std::move(handler));
}

void ThisThread::close() const { inside_->start().inbox.close(); }
void ThisThread::exit(int code) const { inside_->exit(code); }
std::stop_token ThisThread::stop_token() const { return inside_->start().control->token(); }
boost::asio::io_context& ThisThread::io_context() const { return inside_->io(); }
ThisThread::operator LoopRef() const { return LoopRef{inside_->loop()}; }
std::pmr::memory_resource& ThisThread::memory() const { return inside_->memory(); }

}  // namespace cohort
