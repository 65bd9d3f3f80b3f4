// The public Cluster: one side or the other, timers, signals, and how the loop ends.
#include "cohort/cluster.h"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <iostream>

#include "base/callback_scope.h"
#include "base/notices.h"
#include "base/standard_stdio.h"
#include "base/this_thread.h"
#include "cluster/own_worker.h"
#include "cluster/primary.h"
#include "cluster/stop_control.h"
#include "cluster/timers.h"
#include "cluster/topics.h"
#include "cluster/uncaught.h"
#include "ipc/rpc.h"
#include "net/host_of_loop.h"
#include "process/child_impl.h"
#include "process/stderr_relay.h"
#include "process/zygote_main.h"

namespace cohort {

namespace asio = boost::asio;
using cluster::OwnWorker;
using cluster::Primary;

namespace {

constexpr const char* kBroadcast = "cohort.broadcast";

bool workers_part_here() {
  const char* value = std::getenv("COHORT_WORKERS");
  return value != nullptr && std::string_view(value) == "0";
}

Value to_value(const auto& detail) { return detail; }
Value to_value(const std::vector<std::string>& lines) {
  Value array = Value::array({});
  for (const std::string& line : lines) array.push_back(line);
  return array;
}

// The Cluster of each loop, for `run(io)`; kept in the loop itself.
class ClusterOfLoop : public asio::execution_context::service {
 public:
  using key_type = ClusterOfLoop;
  inline static asio::execution_context::id id;
  explicit ClusterOfLoop(asio::execution_context& context)
      : asio::execution_context::service{context} {}
  void shutdown() override {}
  Cluster* cluster = nullptr;
};

}  // namespace

struct Cluster::Impl {
  Impl(Cluster& owner, std::unique_ptr<asio::io_context> own, asio::io_context* users,
       cluster::ParentChannel parent = cluster::take_parent_channel())
      : own_io{std::move(own)},
        io{users != nullptr ? *users : *own_io},
        loop{users != nullptr ? Loop{io, asio::make_strand(io.get_executor())}
                              : Loop{io, io.get_executor()}},
        is_worker{parent.worker_id.has_value() || workers_part_here()},
        calls{std::make_shared<ipc::Calls>(loop)},
        own_worker{std::make_shared<OwnWorker>(loop, calls, std::move(parent),
                                               [this](int code) { side_over(own_over, code); })},
        primary{loop, calls, !is_worker, [this](int code) { side_over(primary_over, code); }},
        topics{*calls, is_worker ? &own_worker->peer() : nullptr},
        timers{loop},
        stop_control{loop, [this](const Stopping& stopping) { stop(stopping); }} {
    asio::use_service<ClusterOfLoop>(io).cluster = &owner;
    net::HostOfLoop::of(io).use(&own_worker->host());
    Notices::of(io).run_on(loop);
    // Whoever read our output may leave: that is an error of the write, as in Node, not the end.
    struct sigaction ignore{};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignore, nullptr);
    // So that output into a pipe is seen line by line, as Node's is.
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    own_worker->when_disconnected([this] { timers.cancel_all(); });
    own_worker->also_waits([this] { return is_worker && topics.has_handlers(); });
    // From a worker, for all the others.
    calls->on_notification(kBroadcast, [this](ipc::Peer& peer, const Value& params) {
      if (!is_worker) send_to_all(params["message"], &peer);
    });
    own_worker->start();
    loop.post([copy = loop] { copy.mark_started(); });
  }

  // Only a thread that may have it: no Thread of another loop, no worker of a Pool.
  Impl& here() {
    assert_own_loop(loop);
    return *this;
  }

  ~Impl() {
    asio::use_service<ClusterOfLoop>(io).cluster = nullptr;
    net::HostOfLoop::of(io).use(nullptr);
    Notices::of(io).clear();
    flush();
    calls->abandon();
    own_worker->abandon();
    timers.cancel_all();
  }

  // A process that was told to end leaves when both have: its servers, and its workers.
  void side_over(bool& side, int code) {
    side = true;
    exit_code = std::max(exit_code, code);
    if (!is_worker && stop_control.ends() && !(own_over && primary_over)) return;
    // Not now: a handler of the user's for the same signal is to run first.
    asio::post(io, callbacks.wrap([this] { io.stop(); }));
  }

  void stop(const Stopping& stopping) {
    own_worker->terminate(stopping.signal.value_or(SIGTERM), stop_control.rest());
    if (is_worker) return;
    if (!stopping.at_once) primary.set_drain_timeout(stop_control.rest());
    primary.terminate();
  }

  std::size_t send_to_all(const Value& message, const ipc::Peer* except) {
    std::size_t sent = 0;
    for (const Worker& worker : primary.workers())
      if (&worker.impl_->peer() != except && !worker.send(message).error()) ++sent;
    return sent;
  }

  // What was sent, by other threads too, is written before the process ends; and what stderr has
  // not taken yet.
  void flush() {
    own_worker->flush();
    process::Children::of(io).flush();
    process::finish_relays(io);
    finish_notices(io);
  }

  // Where other threads may run the loop, what is theirs is not touched beside them.
  void flush_in_turn() {
    if (own_io) return flush();
    constexpr std::chrono::milliseconds kIfAnybodyRunsIt{200};
    const auto taken = std::make_shared<std::atomic_flag>();
    const auto done = std::make_shared<std::promise<void>>();
    auto flushed = done->get_future();
    loop.post([this, taken, done] {
      if (taken->test_and_set()) return;
      flush();
      done->set_value();
    });
    if (flushed.wait_for(kIfAnybodyRunsIt) == std::future_status::ready) return;
    if (taken->test_and_set())
      flushed.wait();
    else
      flush();
  }

  // Before the first worker: a signal that ended this process alone would leave it behind. In a
  // loop of the user's own only while `run` has it: whose signals they are is his to say.
  void will_fork() {
    if (own_io && !is_worker) stop_control.listen();
  }

  int run() {
    try {
      // In the loop, where the count of outstanding work cannot reach zero meanwhile.
      asio::post(io, callbacks.wrap([this] { stop_control.listen(); }));
      io.restart();
      io.run();
    } catch (...) {
      cluster::print_uncaught(std::current_exception());
      exit_code = 1;
      flush_in_turn();
      return leave();
    }
    flush();
    return leave();
  }

  int leave() {
    std::cout.flush();
    std::fflush(stdout);
    return exit_code;
  }

  std::unique_ptr<asio::io_context> own_io;
  asio::io_context& io;
  Loop loop;
  bool is_worker;
  std::shared_ptr<ipc::Calls> calls;      // shared with replies
  std::shared_ptr<OwnWorker> own_worker;  // shared with user handles
  Primary primary;
  cluster::Topics topics;
  cluster::Timers timers;
  cluster::StopControl stop_control;
  bool own_over = false;
  bool primary_over = false;
  int exit_code = 0;
  cluster::ExitHooks hooks{[this] { flush(); }};
  CallbackScope callbacks;
};

namespace {

// One thread runs it: Asio then needs no locks.
std::unique_ptr<asio::io_context> own_context() {
  sys::open_standard_descriptors();  // before its own get such a number
  return std::make_unique<asio::io_context>(1);
}

}  // namespace

Cluster::Cluster()
    : impl_{(process::become_worker_if_zygote(nullptr),
             std::make_unique<Impl>(*this, own_context(), nullptr))} {}
Cluster::Cluster(asio::io_context& io)
    : impl_{(process::become_worker_if_zygote(&io), sys::open_standard_descriptors(),
             std::make_unique<Impl>(*this, nullptr, &io))} {}
Cluster::~Cluster() = default;

bool Cluster::is_primary() const { return !impl_->is_worker; }
bool Cluster::is_worker() const { return impl_->is_worker; }

Worker Cluster::fork(const Environment& env) {
  impl_->will_fork();
  return impl_->here().primary.fork(env);
}
std::vector<Worker> Cluster::workers() const { return impl_->here().primary.workers(); }
const Settings& Cluster::settings() const { return impl_->here().primary.settings(); }
void Cluster::setup_primary(const Settings& settings) { impl_->here().primary.setup(settings); }
void Cluster::disconnect(Callback<void()> done) {
  impl_->here().primary.disconnect(std::move(done));
}
void Cluster::keep(unsigned count) {
  if (!is_primary()) return;
  impl_->will_fork();
  impl_->here().primary.keep(count);
}
void Cluster::scale(unsigned count) {
  if (!is_primary()) return;
  impl_->will_fork();
  impl_->here().primary.scale(count);
}
int Cluster::reload(const ReloadOptions& options, Callback<void(const RolloutResult&)> done) {
  return impl_->here().primary.reload(options, std::move(done));
}
Result<int> Cluster::rollback() { return impl_->here().primary.rollback(); }
std::optional<Worker> Cluster::replace(const Worker& worker) {
  return is_primary() ? impl_->here().primary.replace(worker) : std::nullopt;
}
void Cluster::set_policy(Policy policy, std::optional<std::chrono::milliseconds> rescue_after) {
  if (policy == Policy::Own)
    throw std::invalid_argument{"Policy::Own needs a function that picks: set_policy(pick)"};
  impl_->here().primary.set_policy({.policy = policy, .rescue_after = rescue_after});
}
void Cluster::set_policy(Callback<std::optional<std::size_t>(const Arrival&)> pick,
                         std::size_t peek_size) {
  if (!pick) throw std::invalid_argument{"set_policy: the function that picks is empty"};
  impl_->here().primary.set_policy(
      {.policy = Policy::Own, .pick = std::move(pick), .peek_size = peek_size});
}
void Cluster::set_weights(std::vector<unsigned> of_slots, std::chrono::milliseconds slow_start) {
  impl_->here().primary.set_weights({std::move(of_slots), slow_start});
}
Policy Cluster::policy() const { return impl_->here().primary.policy(); }
Worker Cluster::worker() const { return Worker{impl_->own_worker}; }

void Cluster::handle(const std::string& method, Callback<Value(const Value&)> task) {
  std::function<Value(const Value&)> answer = std::move(task);
  handle(method, [answer = std::move(answer)](const Value& params, const Reply& reply) {
    reply(answer(params));
  });
}
void Cluster::handle(const std::string& method, Callback<void(const Value&, Reply)> task) {
  impl_->here().calls->handle(method, std::move(task));
  impl_->own_worker->peer().look_again();
}
std::size_t Cluster::broadcast(const Value& message) {
  if (is_primary()) return impl_->send_to_all(message, nullptr);
  const Value asked = ipc::rpc_notification(kBroadcast, Value::object({{"message", message}}));
  return worker().send(asked).error() ? 0 : 1;
}
void Cluster::subscribe(const std::string& topic, Callback<void(const Value&)> handler) {
  impl_->here().topics.subscribe(topic, std::move(handler));
  impl_->own_worker->peer().look_again();
}
void Cluster::unsubscribe(const std::string& topic) {
  impl_->here().topics.unsubscribe(topic);
  impl_->own_worker->peer().look_again();
}
SendResult Cluster::publish(const std::string& topic, const Value& data) {
  return impl_->here().topics.publish(topic, data);
}

Timer Cluster::set_interval(std::chrono::milliseconds period, Callback<void()> task) {
  return impl_->here().timers.add(period, true, std::move(task));
}
Timer Cluster::set_timeout(std::chrono::milliseconds delay, Callback<void()> task) {
  return impl_->here().timers.add(delay, false, std::move(task));
}

int Cluster::run() { return impl_->run(); }
void Cluster::stop() {
  impl_->loop.post(impl_->callbacks.wrap([this] { impl_->here().stop_control.wish({}); }));
}
ClusterStatus Cluster::status() const {
  ClusterStatus status = impl_->here().primary.status();
  if (impl_->here().stop_control.is_lame_duck() && status.phase == ClusterStatus::Phase::Running)
    status.phase = ClusterStatus::Phase::LameDuck;
  return status;
}

void Cluster::set_drain_timeout(std::chrono::milliseconds timeout) {
  impl_->here().stop_control.set_grace(timeout);
  impl_->here().primary.set_drain_timeout(timeout);
}
void Cluster::set_lame_duck(std::chrono::milliseconds time) {
  if (is_primary()) impl_->here().stop_control.set_lame_duck(time);
}

void Cluster::set_when_empty(std::optional<std::chrono::milliseconds> hold) {
  impl_->here().primary.set_when_empty(hold);
}

asio::io_context& Cluster::io_context() { return impl_->io; }
Cluster::operator net::Host&() { return impl_->own_worker->host(); }
Cluster::operator LoopRef() const { return LoopRef{impl_->loop}; }

void Cluster::on_setup(Callback<void(const Settings&)> handler) {
  impl_->here().primary.events.setup.on(std::move(handler));
}
void Cluster::on_fork(Callback<void(Worker)> handler) {
  impl_->here().primary.events.fork.on(std::move(handler));
}
void Cluster::on_online(Callback<void(Worker)> handler) {
  impl_->here().primary.events.online.on(std::move(handler));
}
void Cluster::on_policy(Callback<void(const Address&, Policy, std::string_view why)> handler) {
  impl_->here().primary.events.policy.on(std::move(handler));
}
void Cluster::on_listening(Callback<void(Worker, const Address&)> handler) {
  impl_->here().primary.events.listening.on(std::move(handler));
}
void Cluster::on_message(Callback<void(Worker, const Value&)> handler) {
  impl_->here().primary.events.message.on(std::move(handler));
}
void Cluster::on_message(Callback<void(Worker, const Value&, Handle&)> handler) {
  impl_->here().primary.events.handle.add(
      std::function<void(Worker, const Value&, Handle&)>{std::move(handler)});
}
void Cluster::on_disconnect(Callback<void(Worker)> handler) {
  impl_->here().primary.events.disconnect.on(std::move(handler));
}
void Cluster::on_exit(Callback<void(Worker, const Exit&)> handler) {
  impl_->here().primary.events.exit.on(std::move(handler));
}
void Cluster::on_rollout(Callback<void(const RolloutResult&)> handler) {
  impl_->here().primary.events.rollout.on(std::move(handler));
}
void Cluster::on_stopping(Callback<void(const Stopping&)> handler) {
  impl_->here().stop_control.on_stopping.on(std::move(handler));
}
void Cluster::on_notice(Callback<void(const Notice&)> handler) {
  std::function<void(const Notice&)> kept = std::move(handler);
  Notices::of(impl_->io).on([handler = std::move(kept)](const Remark& remark) {
    Value fields = Value::object();
    for (const auto& [name, detail] : remark.fields)
      fields[name] = std::visit([](const auto& value) { return to_value(value); }, detail);
    handler({remark.code, remark.text, std::move(fields)});
  });
}

int run(asio::io_context& io) {
  Cluster* cluster = asio::use_service<ClusterOfLoop>(io).cluster;
  if (cluster != nullptr) return cluster->run();
  try {
    io.run();
    return 0;
  } catch (...) {
    cluster::print_uncaught(std::current_exception());
    return 1;
  }
}

}  // namespace cohort
