// The cluster: Node's `cluster` module. One object per process, built first in `main`; `main` runs
// again in every worker, where `is_worker()` is true.
//
// Which side a process is on is decided by its environment, as in Node: a process started by
// `fork()` of a cohort or Node primary is a worker; any other is a primary. A program that is meant
// as a worker but was started by hand binds and serves by itself. COHORT_WORKERS=0 makes a program
// run its worker's part in the first process, without forking: for debuggers.
//
// Everything is called on the cluster's executor (the thread that runs the loop), where all
// handlers run too, one at a time. Only `Worker::send` may be called from other threads; where one
// thread runs the user's io_context, any handler of it may call everything. Never `fork(2)` a
// process that holds a Cluster.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cohort/callback.h"
#include "cohort/child_process.h"
#include "cohort/policy.h"
#include "cohort/rollout.h"
#include "cohort/serialization.h"
#include "cohort/settings.h"
#include "cohort/status.h"
#include "cohort/worker.h"

namespace boost::asio {
class io_context;
}

namespace cohort {

namespace net {
class Host;
}
namespace cluster {
class Timers;
}

/// A running `set_interval` or `set_timeout`. A handle: dropping it does not cancel.
class Timer {
 public:
  void cancel() const;

 private:
  friend class cluster::Timers;
  struct Impl;
  explicit Timer(std::shared_ptr<Impl> impl) : impl_{std::move(impl)} {}
  std::shared_ptr<Impl> impl_;
};

/// Something that whoever runs the program should know, and that is nobody's event: accepting
/// failed, `keep` gave up.
struct Notice {
  std::string code;  ///< One stable word: `gave_up`. docs/errors.md lists them, with their fields.
  std::string text;  ///< One line for people, without an end of line.
  Value fields;  ///< An object. `lines`, if there: what another program wrote, to be shown below.
};

/// Somebody asked for the end of the service.
struct Stopping {
  std::optional<int> signal{};  ///< TERM or INT; nothing: `Cluster::stop`.
  bool at_once = false;         ///< For the second time: what is being served is lost.
  /// The service goes on for so long; then it is told again, with 0. `Cluster::set_lame_duck`.
  std::chrono::milliseconds lame_duck{0};
  /// Whoever has not ended then is killed.
  std::chrono::steady_clock::time_point deadline{};
};

class Cluster {
 public:
  /// With a loop of its own: `run()` runs it.
  Cluster();
  /// On the user's loop, which may have several threads. Run it with `cohort::run(io)` or `run()`.
  explicit Cluster(boost::asio::io_context& io);
  /// In a worker: writes queued messages (5 s at most). In the primary: workers that live are
  /// killed.
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  bool is_primary() const;
  bool is_worker() const;
  /// Node's old name of `is_primary`.
  bool is_master() const { return is_primary(); }

  // The primary's side.

  /// Starts a worker as `settings()` say. It is in `workers()` when this returns; events come
  /// later, from the loop. A failure is the worker's `error` event. Never blocks for more than the
  /// exec.
  Worker fork(const Environment& env = {});
  /// Workers that live, by id. A worker leaves when it was told to disconnect, or has exited.
  std::vector<Worker> workers() const;
  const Settings& settings() const;
  /// Changes how later forks start; members that are not given keep their value. Emits `setup`.
  void setup_primary(const Settings& settings = {});
  /// Node's old name of `setup_primary`.
  void setup_master(const Settings& settings = {}) { setup_primary(settings); }
  /// `disconnect()` on every worker; `done` is called when all are gone and every port is closed.
  void disconnect(Callback<void()> done = {});

  /// Keeps `count` workers running: forks them, replaces the dead after 100 ms, doubling to 10 s
  /// while a place keeps failing and starting over after 10 s of health. If no worker was ever
  /// ready (listening, or alive for 10 s) after five tries, `run()` returns 1 and the reason is a
  /// notice, with the last lines that the worker wrote to stderr (unless that is a terminal or a
  /// socket, where they are to be seen). Where this process's stderr is a pipe, the workers' goes
  /// through one of 1 MiB: nothing of it is lost, and a slow reader slows them down. Does nothing
  /// in a worker.
  ///
  /// One that exits with 100 by itself says that it is of no use to start it again: nobody is, in
  /// its place, until the next `reload` (which starts one there, and fails if that exits so). When
  /// no other place is left the service ends, and `run()` returns 100. `status().closed` has them.
  ///
  /// A worker that ends on purpose is replaced as soon as it accepts no more. When its channel is
  /// closed and nobody is connected to its ports, it is ended as at the end of the service
  /// (docs/signals.md), whatever keeps it alive, and killed after the drain timeout. When more than
  /// eight live beside their successor, the oldest is ended. A worker that never used a port, and
  /// those that were forked with `fork()`, are left alone.
  void keep(unsigned count);
  /// Starts a successor for a worker that `keep` keeps, as `settings()` say by now, and returns it;
  /// the old one goes on serving. It has the same `Worker::slot`: the same weight, and the same
  /// clients under Hash and Sticky. Once it listens (or has lived for 10 s, if the old one never
  /// used a port), new connections come to it, and no more to the old one. That one accepts what
  /// waits for it, then it is ended as at the end of the service: `exited_after_disconnect()` is
  /// true. Connections are lost no more than when a worker is told to disconnect
  /// (docs/policies.md). What is not steered by the kernel, Unix sockets and Shared, both may
  /// accept from until the old one has closed it.
  ///
  /// If the successor fails to start, or dies before it listens, the old one stays, and nothing is
  /// tried again; one that never listens stays beside it. If the old one dies first, the successor
  /// has its place. Both are in `workers()`, and have the events of any worker.
  ///
  /// Nothing, and nothing is done: in a worker, for one that `keep` does not keep or that ends,
  /// while a successor of it starts, and while the one that it replaced still accepts connections.
  std::optional<Worker> replace(const Worker& worker);
  /// `keep`, but the workers of places that are no more (those first whose worker exited with 100,
  /// so that nobody is in them) get no new connections, finish what they
  /// serve, and are ended, as after `replace`.
  void scale(unsigned count);
  /// Replaces every worker that `keep` keeps by one of a new generation, and returns its number;
  /// the first generation is 1. Nobody is ended before that has worked:
  ///
  /// - First the canaries, then a batch at a time: a successor is started for each, as by
  ///   `replace`. Whom it replaces gets no new connections, finishes what it serves, and stays.
  /// - When all have listened, and none of them has failed within `prove`, the old ones are ended.
  /// - If one of the new cannot be started, dies, or does not listen within `ready_within`, all of
  ///   it is undone: the old ones get the new connections again, and the new ones are ended. Where
  ///   an old one is gone by then, another like it is started.
  ///
  /// `done` is called once, in a later turn. A reload during a reload undoes that first; of those
  /// that wait for it, the last counts. A worker that dies meanwhile is replaced by one of its own
  /// generation; places that `keep` or `scale` adds belong to it, too. Where connections come to
  /// both (Unix sockets, Shared), the old ones serve until the end. Needs the memory of both.
  ///
  /// 0, and `done` with Stopped: in a worker.
  int reload(const ReloadOptions& options = {}, Callback<void(const RolloutResult&)> done = {});

  /// Back to the generation before: of a reload that is under way, or, once it was reached, while
  /// its workers are parked (`ReloadOptions::park`). Those get the new connections at once; where
  /// one has died, another of its generation is started first. The newer ones are ended. The number
  /// of that generation. `on_rollout` tells when every place has it, as RolledBack.
  ///
  /// InvalidArgument: there is none; in a worker.
  Result<int> rollback();

  /// How connections come to the workers: `cluster.set_policy(Policy::Sticky)`. Before the first
  /// `setup_primary`, `fork` or `keep`; later it changes nothing, and a notice says so. By itself:
  /// Auto, unless NODE_CLUSTER_SCHED_POLICY names another (`rr` and `none` as in Node).
  ///
  /// `rescue_after`: how long connections wait for a worker that takes none before they move to
  /// another: `set_policy(Policy::Adaptive, 50ms)`. 0: they never move. Default: 6 ms; 1 s under
  /// Hash; never under Sticky, where only the connections of a dead worker wait so long, for its
  /// successor. Round-robin and shared have no such queues. While any wait, the primary looks that
  /// often, and every 20 ms at least; up to 16 times less often while every worker is full.
  ///
  /// Throws std::invalid_argument for Policy::Own, which is the other one's.
  void set_policy(Policy policy, std::optional<std::chrono::milliseconds> rescue_after = {});
  /// A policy of your own: `pick` says which worker a connection is for, by its slot.
  ///
  ///   cluster.set_policy([](const cohort::Arrival& arrival) -> std::optional<std::size_t> {
  ///     return arrival.client.host() == "10.0.0.7" ? std::optional<std::size_t>{0} : std::nullopt;
  ///   });
  ///
  /// Nothing: any worker. It waits for the worker in that slot while that one serves the port; if
  /// none does, it goes to another. `peek_size`: so many bytes of it `pick` wants to see (the head
  /// of a request, a TLS ClientHello). Then connections are accepted with their first data, or
  /// after about a second without.
  ///
  /// Called in the primary, for each connection: it must not block. What it throws ends `run()`;
  /// the connection goes to any worker. As above once decided. Throws std::invalid_argument for an
  /// empty function.
  void set_policy(Callback<std::optional<std::size_t>(const Arrival&)> pick,
                  std::size_t peek_size = 0);
  Policy policy() const;
  /// Under Adaptive, how much of the load each slot gets: `set_weights({2, 1})` gives slot 0 two of
  /// three new connections, while its queue is no longer than the other's. At any time, in the
  /// primary; of no effect under the other policies.
  ///
  /// A slot that is not given has 1. A slot of 0 gets none while others can take them; if all are
  /// 0, all weigh the same. The largest counts for at most 255 times the smallest. A successor has
  /// the weight of its slot.
  ///
  /// `slow_start`: a worker that comes while others serve gets its share little by little, within
  /// this time. 0, and where connections never move: at once. By itself: all weigh the same, 1 s.
  void set_weights(std::vector<unsigned> of_slots,
                   std::chrono::milliseconds slow_start = std::chrono::seconds{1});

  // Calls and topics, on either side (docs/calls.md).

  /// Answers calls of `method` from every peer: each worker, and whoever forked this process. The
  /// task returns the result, or takes a Reply to answer later; what it throws (std::exception)
  /// fails the call. A second one of the same name replaces the first. In a child, having a method
  /// keeps the loop running, as a handler of messages does.
  void handle(const std::string& method, Callback<Value(const Value& params)> task);
  void handle(const std::string& method, Callback<void(const Value& params, Reply reply)> task);
  /// Sends a message to every worker (in a worker: to the others too, through the primary, but not
  /// to the primary itself). In the primary, how many took it; in a worker, 1 if the primary did.
  std::size_t broadcast(const Value& message);
  /// Calls `handler` for what anybody in the cluster publishes under `topic`, this process
  /// included. There are no patterns, and what was published before is not repeated.
  void subscribe(const std::string& topic, Callback<void(const Value& data)> handler);
  /// Drops this process's handlers of the topic.
  void unsubscribe(const std::string& topic);
  /// To every subscriber, in the order in which the primary got it. Fails in a worker whose primary
  /// is gone.
  SendResult publish(const std::string& topic, const Value& data);

  // The worker's side.

  /// This process as a worker. In a process that no primary forked: not connected; `send` fails.
  Worker worker() const;

  // Both sides.

  Timer set_interval(std::chrono::milliseconds period, Callback<void()> task);
  Timer set_timeout(std::chrono::milliseconds delay, Callback<void()> task);

  /// Runs the loop until nothing is left to do, and returns the exit code. TERM and INT drain:
  /// workers finish what they serve, for `drain_timeout` at most; a second one, 100 ms later or
  /// more, kills at once. An exception that escapes a handler ends the process as in Node: message
  /// on stderr, messages flushed, 1.
  int run();
  /// Ends the service, as TERM does: workers finish what they serve, then `run()` returns. Called
  /// again, 100 ms later or more: at once. In a later turn of the loop. On either side; a worker
  /// ends itself only.
  void stop();
  /// The cluster as it is this moment. In a worker: nobody, and no ports. Cheap enough for once a
  /// second: a system call for each port, or slot of one.
  ClusterStatus status() const;
  /// The grace time: how long the end of the service may take before the workers are killed. At any
  /// time before that. Default: 25 s.
  void set_drain_timeout(std::chrono::milliseconds timeout);
  /// How long the service goes on as before once somebody wants its end (TERM, INT, `stop()`), so
  /// that whoever sends it requests has the time to stop that: a load balancer, Kubernetes. It is a
  /// part of the grace time: the end itself has what is left, nothing if this is as long. A second
  /// wish ends the service at once, as ever. `on_stopping` and `status()` say that it has begun. At
  /// any time before the first wish. In a worker: nothing. Default: 0.
  void set_lame_duck(std::chrono::milliseconds time);
  /// How long connections wait at a port of whom the last worker died, or left its place, before
  /// there is a successor. Then the port is closed: connections are refused, so that whoever sends
  /// them can go elsewhere, until a worker listens there again. 0: at once. A port number that the
  /// system chose, a socket that this process was given, and those of `Settings::listen` stay open.
  /// While it waits the loop runs. At any time. In a worker: nothing. Default: nothing, they wait
  /// for ever.
  void set_when_empty(std::optional<std::chrono::milliseconds> hold);
  boost::asio::io_context& io_context();

  /// For `http::create_server(cluster, ...)`, `net::create_server`, `Acceptor`...
  operator net::Host&();
  /// For `spawn(cluster, ...)`, `fork`, `exec`...
  operator LoopRef() const;

  // Events of all workers, with Node's arguments. Each is emitted on the worker first, then here,
  // but for `message`, which the cluster gets first, as in Node.
  void on_setup(Callback<void(const Settings&)> handler);
  void on_fork(Callback<void(Worker)> handler);
  void on_online(Callback<void(Worker)> handler);
  void on_listening(Callback<void(Worker, const Address&)> handler);
  /// Beyond Node, in the primary: how the connections of a port come to the workers, and why so, in
  /// half a sentence. Whenever a port was opened, as soon as it is decided: where workers have
  /// queues of their own a quarter of a second after the first one listens.
  void on_policy(Callback<void(const Address&, Policy, std::string_view why)> handler);
  void on_message(Callback<void(Worker, const Value&)> handler);
  void on_message(Callback<void(Worker, const Value&, Handle&)> handler);
  void on_disconnect(Callback<void(Worker)> handler);
  void on_exit(Callback<void(Worker, const Exit&)> handler);
  /// Beyond Node, in the primary: a reload is over, whoever began it. Before its own `done`.
  void on_rollout(Callback<void(const RolloutResult&)> handler);
  /// Beyond Node, on either side: somebody asked for the end (TERM, INT, `stop()`). Before workers
  /// are told, and before they are killed if it is the second time. With a lame duck time, when it
  /// begins, too.
  void on_stopping(Callback<void(const Stopping&)> handler);
  /// Beyond Node, on either side: what the library has to say, from anything that runs on this
  /// loop. Without a handler it is written to stderr, as `cohort: TEXT`, which never blocks: 256
  /// KiB wait for a slow reader, then lines are dropped, counted and said.
  void on_notice(Callback<void(const Notice&)> handler);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// `Cluster::run()` for a user's own loop: runs `io`, with the same treatment of signals and of
/// exceptions, and returns the exit code. The process's Cluster has to be on `io`.
int run(boost::asio::io_context& io);

}  // namespace cohort
