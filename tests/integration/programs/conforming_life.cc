#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>
#include <stdexcept>

#include "conforming.h"

using cohort::Address;
using cohort::Cluster;
using cohort::Value;
using cohort::Worker;

namespace {

cohort::net::Server serve_nothing(Cluster& cluster) {
  return cohort::net::create_server(cluster, [](const cohort::net::Socket&) {});
}

std::string how(const cohort::Exit& exit) {
  return exit.signal() != 0 ? exit.signal_name() : std::to_string(exit.code());
}

bool is_listed(const Cluster& cluster, const Worker& worker) {
  for (const Worker& other : cluster.workers())
    if (other == worker) return true;
  return false;
}

void print_state(const char* event, const Cluster& cluster, const Worker& worker) {
  std::cout << event << ": " << (worker.is_connected() ? "connected, " : "not connected, ")
            << (worker.is_dead() ? "dead, " : "alive, ")
            << (is_listed(cluster, worker) ? "listed\n" : "gone\n");
}

const char* asked(const Worker& worker) {
  return worker.exited_after_disconnect() ? "asked" : "unasked";
}

// The events of a worker's end, on the worker and on the cluster.
void print_end(Cluster& cluster, const Worker& worker) {
  worker.on_disconnect([worker] {
    std::cout << "worker disconnect " << asked(worker)
              << (worker.is_connected() ? ", still connected\n" : "\n");
  });
  worker.on_exit([worker](const cohort::Exit& exit) {
    std::cout << "worker exit " << how(exit) << ' ' << asked(worker) << '\n';
  });
  cluster.on_disconnect(
      [](const Worker& of) { std::cout << "cluster disconnect " << asked(of) << '\n'; });
  cluster.on_exit([&cluster](const Worker& of, const cohort::Exit& exit) {
    std::cout << "cluster exit " << how(exit) << ' ' << asked(of) << '\n';
    print_state("at the exit", cluster, of);
  });
}

// --- events

int basic(Cluster& cluster, const Flags&) {
  if (cluster.is_worker()) {
    cluster.worker().send(std::getenv("NODE_UNIQUE_ID") == nullptr ? "no id" : "an id");
    serve_nothing(cluster).listen(Address{"127.0.0.1", 0});
    return cluster.run();
  }
  cluster.on_fork([](const Worker& of) { std::cout << "cluster fork " << of.id() << '\n'; });
  cluster.on_online([](const Worker& of) { std::cout << "cluster online " << of.id() << '\n'; });
  cluster.on_listening([](const Worker& of, const Address& address) {
    std::cout << "cluster listening " << of.id() << ' ' << address.host() << ' '
              << address.address_type() << (address.port() != 0 ? " with a port\n" : " without\n");
    of.disconnect();
  });
  const Worker worker = cluster.fork();
  worker.on_online([] { std::cout << "worker online\n"; });
  worker.on_message([](const Value& text) { std::cout << "environment: " << text << '\n'; });
  worker.on_listening(
      [](const Address& address) { std::cout << "worker listening " << address.host() << '\n'; });
  print_end(cluster, worker);
  print_state("forked", cluster, worker);
  return cluster.run();
}

// --- the end: --how says who ends the worker, and in which way, once it listens

int ending(Cluster& cluster, const Flags& flags) {
  const std::string way = flags.text("--how", "");
  if (cluster.is_primary()) {
    const Worker worker = cluster.fork();
    if (!worker.is_connected() || worker.is_dead()) return 4;
    print_end(cluster, worker);
    worker.on_listening([worker, way](const Address&) {
      if (way == "primary disconnect") worker.disconnect();
      if (way == "primary SIGKILL") worker.kill(SIGKILL);
    });
    if (way == "destroy in disconnect") worker.on_disconnect([worker] { worker.kill(); });
    return cluster.run();
  }
  const Worker self = cluster.worker();
  const auto end = [self, way] {
    if (way == "exit") self.process().exit(42);
    if (way == "kill") self.kill();
    if (way == "disconnect and kill") self.disconnect(), self.kill();
    if (way == "disconnect" || way == "kill in disconnect" || way == "destroy in disconnect")
      self.disconnect();
  };
  self.on_disconnect([self, way] {
    std::cout << (self.is_connected() ? "still connected\n" : "its own disconnect\n");
    if (way == "kill in disconnect") self.kill();
    if (way == "primary disconnect") self.process().exit(42);
  });
  if (self.is_dead() || !self.is_connected()) return 3;
  serve_nothing(cluster).listen(0, [&cluster, end] {
    // `listening` is to be seen first.
    cluster.set_timeout(std::chrono::milliseconds{0}, end);
  });
  return cluster.run();
}

// The primary's cluster.disconnect() when the worker has left, and has not exited yet.
int disconnect_before_exit(Cluster& cluster, const Flags&) {
  if (cluster.is_worker()) {
    const Worker self = cluster.worker();
    self.on_message([self](const Value&) { self.disconnect(); });
    return cluster.run();
  }
  const Worker worker = cluster.fork();
  worker.on_disconnect([&cluster, worker] {
    std::cout << "disconnect\n";
    cluster.disconnect(
        [worker] { std::cout << (worker.is_dead() ? "all gone\n" : "too early\n"); });
  });
  worker.on_exit([](const cohort::Exit& exit) { std::cout << "exit " << how(exit) << '\n'; });
  worker.send("leave");
  return cluster.run();
}

// Everybody tells everybody to disconnect, again and again.
int concurrent_disconnect(Cluster& cluster, const Flags&) {
  constexpr int kWorkers = 6;
  const auto tell_all = [&cluster] {
    for (const Worker& worker : cluster.workers()) {
      worker.send("leave");
      worker.disconnect();
      worker.disconnect();
    }
  };
  if (cluster.is_worker()) {
    const Worker self = cluster.worker();
    self.on_message([self](const Value&) { self.disconnect(); });
    serve_nothing(cluster).listen(0, [self] {
      self.send("ready");
      if (self.id() % 2 == 0) self.disconnect();
    });
    return cluster.run();
  }
  int ready = 0;
  cluster.on_message([&](const Worker&, const Value&) {
    if (++ready == kWorkers) tell_all();
  });
  cluster.on_disconnect([&](const Worker&) { tell_all(); });
  cluster.on_exit(
      [](const Worker&, const cohort::Exit& exit) { std::cout << "exit " << how(exit) << '\n'; });
  for (int i = 0; i < kWorkers; ++i) cluster.fork();
  return cluster.run();
}

// Idle workers, told before they can have started.
int disconnect_idle(Cluster& cluster, const Flags&) {
  if (cluster.is_worker()) {
    cluster.worker().on_message([](const Value&) {});
    return cluster.run();
  }
  cluster.fork();
  cluster.fork();
  cluster.disconnect(
      [&cluster] { std::cout << "disconnected, " << cluster.workers().size() << " left\n"; });
  std::cout << "told\n";
  return cluster.run();
}

// Told to disconnect while it waits for its port.
int disconnect_in_flight(Cluster& cluster, const Flags&) {
  if (cluster.is_worker()) {
    serve_nothing(cluster).listen(0);
    return cluster.run();
  }
  print_end(cluster, cluster.fork());
  cluster.on_online([&cluster](const Worker&) { cluster.disconnect(); });
  return cluster.run();
}

// One disconnects while another one starts.
int disconnect_race(Cluster& cluster, const Flags&) {
  if (cluster.is_worker()) {
    const Worker self = cluster.worker();
    serve_nothing(cluster).listen(0, [self] { self.send("listening"); });
    return cluster.run();
  }
  const Worker first = cluster.fork();
  first.on_message([&cluster, first](const Value&) {
    const Worker second = cluster.fork();
    first.disconnect();
    second.on_online([second] { second.disconnect(); });
  });
  cluster.on_exit([](const Worker& of, const cohort::Exit& exit) {
    std::cout << "exit " << of.id() << ' ' << how(exit) << '\n';
  });
  return cluster.run();
}

// A primary that throws, with workers that serve.
int primary_throws(Cluster& cluster, const Flags&) {
  if (cluster.is_worker()) {
    serve_nothing(cluster).listen(0);
    return cluster.run();
  }
  int listening = 0;
  cluster.on_listening([&listening](const Worker& of, const Address&) {
    std::cout << "worker " << of.process().pid() << '\n';
    if (++listening == 2) throw std::runtime_error{"on purpose"};
  });
  cluster.fork();
  cluster.fork();
  return cluster.run();
}

// A worker that never gets to its loop.
int endless(Cluster& cluster, const Flags&) {
  if (cluster.is_worker()) {
    cluster.worker().send("busy", [](auto) {});
    for (volatile bool forever = true; forever;) {
    }
  }
  const Worker worker = cluster.fork();
  print_end(cluster, worker);
  worker.on_online([worker] { worker.kill(); });
  return cluster.run();
}

// --- settings

int settings(Cluster& cluster, const Flags& flags) {
  if (cluster.is_worker()) {
    std::cout << "out of worker " << cluster.worker().id() << '\n';
    const auto variable = [](const char* name) {
      const char* value = std::getenv(name);
      return std::string{value == nullptr ? "none" : value};
    };
    cluster.worker().send({{"argument", flags.text("--argument", "none")},
                           {"cwd", std::filesystem::current_path().string()},
                           {"added", variable("ADDED")},
                           {"replaced", variable("REPLACED")}});
    return cluster.run();
  }
  const auto fork = [&cluster](const cohort::Environment& env) {
    const Worker worker = cluster.fork(env);
    worker.process().on_stdout([worker](std::string_view text) { std::cout << "piped: " << text; });
    worker.on_message([](const Value& told) { std::cout << cohort::to_json(told) << '\n'; });
    return worker;
  };
  // Three, one after the other: as we are, with settings, and with an environment.
  fork({}).on_exit([&cluster, fork](const cohort::Exit&) {
    cluster.setup_primary(
        {.args = {"settings", "--argument", "custom"}, .spawn = {.cwd = "/", .silent = true}});
    std::cout << "silent " << *cluster.settings().spawn.silent << ", own program "
              << cluster.settings().exec.empty() << '\n';
    fork({}).on_exit(
        [fork](const cohort::Exit&) { fork({{"ADDED", "yes"}, {"REPLACED", "by fork"}}); });
  });
  return cluster.run();
}

// Descriptor 4 of the worker is one end of a pair.
int fork_stdio(Cluster& cluster, const Flags&) {
  char text[16];
  if (cluster.is_worker()) {
    const ssize_t size = ::read(4, text, sizeof text);
    const std::string answer = "worker got " + std::string(text, static_cast<std::size_t>(size));
    return ::write(4, answer.data(), answer.size()) > 0 ? 0 : 1;
  }
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return 1;
  using cohort::Stdio;
  cluster.setup_primary({.spawn = {.stdio = {Stdio::Inherit, Stdio::Inherit, Stdio::Inherit,
                                             Stdio::Ignore, pair[1]}}});
  cluster.fork().on_exit([pair](const cohort::Exit& exit) {
    char back[32];
    const ssize_t size = ::read(pair[0], back, sizeof back);
    std::cout << std::string(back, static_cast<std::size_t>(size)) << ", exit " << how(exit)
              << '\n';
  });
  return ::write(pair[0], "hello", 5) == 5 ? cluster.run() : 1;
}

// --- handles: each side sends --handles at the same time, with a large message, and counts what
// comes

int cross_handles(Cluster& cluster, const Flags& flags) {
  const unsigned handles = flags.number("--handles", 50);
  const std::string payload(flags.number("--payload", 0), 'x');
  const bool primary = cluster.is_primary();
  if (primary) cluster.setup_primary({.exec = flags.text("--exec", "")});
  const Worker peer = primary ? cluster.fork() : cluster.worker();
  // Not in order: a large message whose handle a Node process missed is sent again.
  std::set<std::int64_t> received;
  const auto send = [peer, payload, handles](const cohort::Handle& handle) {
    for (unsigned i = 0; i < handles; ++i)
      peer.send({{"i", i}, {"payload", payload}}, *handle.duplicate());
  };
  bool peer_has_all = false;
  peer.on_message([&, primary](const Value& message, cohort::Handle& handle) {
    if (message.contains("received")) {
      std::cout << "worker received " << message["received"] << '\n';
      peer_has_all = true;
    } else if (handle && message["payload"].string_or("").size() == payload.size()) {
      received.insert(message["i"].int64_or(-1));
    }
    const bool has_all = received.size() == handles;
    if (!primary && has_all) peer.send({{"received", handles}});
    if (peer_has_all && has_all) {
      std::cout << "primary received " << received.size() << '\n';
      cluster.disconnect();
    }
  });
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return 1;
  const cohort::OwnFd other{pair[1]};
  send(cohort::Handle{cohort::OwnFd{pair[0]}});
  return cluster.run();
}

}  // namespace

const std::map<std::string, Scenario>& life_scenarios() {
  static const std::map<std::string, Scenario> scenarios{
      {"basic", basic},
      {"ending", ending},
      {"disconnect_before_exit", disconnect_before_exit},
      {"concurrent_disconnect", concurrent_disconnect},
      {"disconnect_idle", disconnect_idle},
      {"disconnect_in_flight", disconnect_in_flight},
      {"disconnect_race", disconnect_race},
      {"primary_throws", primary_throws},
      {"endless", endless},
      {"settings", settings},
      {"fork_stdio", fork_stdio},
      {"cross_handles", cross_handles},
  };
  return scenarios;
}
