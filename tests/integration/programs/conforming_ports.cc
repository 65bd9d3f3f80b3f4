#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "conforming.h"

using cohort::Address;
using cohort::Cluster;
using cohort::Value;
using cohort::Worker;
using cohort::net::Server;
using cohort::net::Socket;

namespace {

Server serve_nothing(Cluster& cluster) {
  return cohort::net::create_server(cluster, [](const Socket&) {});
}

std::string text_of(const cohort::Error& error) {
  std::ostringstream text;
  text << error;
  return text.str();
}

void print_messages(Cluster& cluster) {
  cluster.on_message([](const Worker& worker, const Value& text) {
    std::cout << worker.id() << ": " << text << '\n';
  });
}

void print_exits(Cluster& cluster) {
  cluster.on_exit([](const Worker& worker, const cohort::Exit& exit) {
    std::cout << worker.id() << ": exit " << exit.code()
              << (worker.exited_after_disconnect() ? " asked\n" : " unasked\n");
  });
}

// The backlog of a listening socket of this process, as the kernel has it.
int backlog_of(std::uint16_t port) {
  for (int fd = 3; fd < 100; ++fd) {
    sockaddr_in6 address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) continue;
    // The port is at the same place in both families.
    tcp_info info{};
    socklen_t info_size = sizeof info;
    if (ntohs(address.sin6_port) == port &&
        ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_size) == 0 &&
        info.tcpi_state == TCP_LISTEN)
      return static_cast<int>(info.tcpi_sacked);
  }
  return -1;
}

// --workers N that listen on --host --port, or on --path; the primary prints where, or why not.
int listening(Cluster& cluster, const Flags& flags) {
  if (cluster.is_primary()) {
    print_messages(cluster);
    cluster.on_listening(
        [backlog = flags.has("--backlog")](const Worker& worker, const Address& address) {
          std::cout << worker.id() << ": listening " << address << '\n';
          if (backlog) std::cout << "backlog " << backlog_of(address.port()) << '\n';
        });
    for (unsigned i = 0; i < flags.number("--workers", 1); ++i) cluster.fork();
    return cluster.run();
  }
  const Worker self = cluster.worker();
  const Server server = cohort::net::create_server(
      cluster, [self](const Socket& socket) { socket.end(std::to_string(self.id())); });
  server.on_error([self](const cohort::Error& error) { self.send(text_of(error)); });
  const std::string path = flags.text("--path", "");
  const Address address =
      path.empty() ? Address{flags.text("--host", ""), flags.port(0)} : Address::from_path(path);
  server.listen(address, {.backlog = static_cast<int>(flags.number("--backlog", 0)),
                          .ipv6_only = flags.has("--ipv6-only"),
                          .readable_all = flags.has("--all"),
                          .writable_all = flags.has("--all")});
  self.on_message([](const Value&) {});  // stays, also when it could not listen
  return cluster.run();
}

// A worker whose port is taken: --how disconnect, or disconnect and then throw.
int listen_error(Cluster& cluster, const Flags& flags) {
  if (cluster.is_primary()) {
    print_exits(cluster);
    cluster.fork();
    return cluster.run();
  }
  const Server server = serve_nothing(cluster);
  server.on_error([&cluster, throws = flags.text("--how", "") == "throw"](const cohort::Error&) {
    cluster.worker().disconnect();
    if (throws) throw std::runtime_error{"on purpose"};
  });
  server.listen(flags.port(0));
  cluster.worker().on_message([](const Value&) {});
  return cluster.run();
}

// The first one that a worker listens on is closed, the next ones are others.
int listen_again(Cluster& cluster, const Flags&) {
  if (cluster.is_primary()) {
    print_messages(cluster);
    cluster.fork();
    return cluster.run();
  }
  const Server first = serve_nothing(cluster);
  const Server second = serve_nothing(cluster);
  const Server third = serve_nothing(cluster);
  const Worker self = cluster.worker();
  first.listen(0, [=] {
    first.close();
    second.listen(0, [=] {
      self.send("second listens");
      third.listen(0, [=] {
        self.send(second.address() == third.address() ? "the same port" : "another port");
        first.listen(0, [=] {
          self.send("first listens again");
          self.disconnect();
        });
      });
    });
  });
  return cluster.run();
}

// The second worker opens, closes and opens again the port that the first one holds.
int restart(Cluster& cluster, const Flags& flags) {
  if (cluster.is_primary()) {
    print_messages(cluster);
    print_exits(cluster);
    const Worker first = cluster.fork();
    first.on_message([&cluster, first](const Value&) {
      const Worker second = cluster.fork();
      second.on_message([first, second](const Value&) {
        first.disconnect();
        second.disconnect();
      });
    });
    return cluster.run();
  }
  const Worker self = cluster.worker();
  const Server server = serve_nothing(cluster);
  server.listen(flags.port(0), [=] {
    if (self.id() == 1) return void(self.send("listens"));
    server.close([=] { server.listen(flags.port(0), [self] { self.send("listens again"); }); });
  });
  return cluster.run();
}

// One port among two servers of the first worker, and two workers.
int port_reuse(Cluster& cluster, const Flags& flags) {
  if (cluster.is_primary()) {
    print_messages(cluster);
    const Worker first = cluster.fork();
    first.on_message([&cluster, first](const Value& text) {
      if (text == "listens again") cluster.disconnect();
      if (text != "closed") return;
      const Worker second = cluster.fork();
      second.on_message([first](const Value&) { first.send("listen"); });
    });
    return cluster.run();
  }
  const Worker self = cluster.worker();
  const Server server = serve_nothing(cluster);
  const std::uint16_t port = flags.port(0);
  if (self.id() == 2) {
    server.listen(port, [=] {
      server.close([=] { server.listen(port, [self] { self.send("listens, twice"); }); });
    });
    return cluster.run();
  }
  const Server duplicate = serve_nothing(cluster);
  duplicate.on_error([=](const cohort::Error& error) {
    self.send(text_of(error));
    server.close([=] { self.send("closed"); });
  });
  server.listen(port, [=] { duplicate.listen(port); });
  self.on_message([=](const Value&) { server.listen(port, [=] { self.send("listens again"); }); });
  return cluster.run();
}

// Twice: eight workers with two servers each, which end when a connection says so.
int disconnect_all(Cluster& cluster, const Flags&) {
  constexpr int kWorkers = 8;
  if (cluster.is_worker()) {
    const Worker self = cluster.worker();
    for (int i = 0; i < 2; ++i)
      cohort::net::create_server(cluster, [self](const Socket& socket) {
        socket.on_data([=](std::string_view data) {
          if (data == "end") self.send("end");
          socket.end("yes");
        });
      }).listen(0);
    return cluster.run();
  }
  int round = 0;
  const std::function<void()> start = [&] {
    ++round;
    for (int i = 0; i < kWorkers; ++i) cluster.fork();
  };
  cluster.on_listening([&round](const Worker&, const Address& address) {
    std::cout << "round " << round << ": " << address.port() << '\n';
  });
  cluster.on_message([&](const Worker&, const Value&) {
    cluster.disconnect([&] {
      std::cout << "round " << round << " over, " << cluster.workers().size() << " workers\n";
      if (round == 1) start();
    });
  });
  start();
  return cluster.run();
}

// A worker that never listened leaves; the server of another one stays until it is told.
int unshared(Cluster& cluster, const Flags& flags) {
  if (cluster.is_worker()) {
    const Worker self = cluster.worker();
    self.on_message([](const Value&) {});
    if (self.id() == 2)
      cohort::net::create_server(cluster, [self](const Socket& socket) {
        socket.end("still here");
        self.send("asked");
      }).listen(flags.port(0));
    return cluster.run();
  }
  print_exits(cluster);
  const Worker unbound = cluster.fork();
  unbound.on_online([&cluster, unbound] {
    cluster.fork().on_listening([unbound](const Address&) { unbound.disconnect(); });
  });
  cluster.on_message([&cluster](const Worker&, const Value&) { cluster.disconnect(); });
  return cluster.run();
}

// What a connection says is told to the primary, whose answer goes back to the connection.
int message(Cluster& cluster, const Flags& flags) {
  if (cluster.is_worker()) {
    const Worker self = cluster.worker();
    cohort::net::create_server(cluster, [self](const Socket& socket) {
      socket.on_data([self](std::string_view data) { self.send(std::string{data}); });
      self.on_message(
          [socket](const Value& answer) { socket.write(std::string{answer.string_or("")}); });
    }).listen(flags.port(0));
    return cluster.run();
  }
  print_exits(cluster);
  print_messages(cluster);
  const Worker worker = cluster.fork();
  worker.on_message([worker](const Value& text) {
    std::cout << "worker: " << text << '\n';
    if (text == "leave") {
      worker.kill();
    } else {
      worker.send("from the primary");
    }
  });
  return cluster.run();
}

// A connection is there when the worker is told to disconnect, by --who.
int connected_at_the_end(Cluster& cluster, const Flags& flags) {
  const bool by_primary = flags.text("--who", "") == "primary";
  if (cluster.is_primary()) {
    print_exits(cluster);
    cluster.on_message([by_primary](const Worker& worker, const Value& text) {
      std::cout << text << '\n';
      if (by_primary) worker.disconnect();
    });
    cluster.on_disconnect([](const Worker&) { std::cout << "disconnect\n"; });
    cluster.fork();
    return cluster.run();
  }
  const Worker self = cluster.worker();
  cohort::net::create_server(cluster, [=](const Socket& socket) {
    self.send("connected");
    if (!by_primary) self.disconnect();
    socket.on_data([socket](std::string_view data) { socket.write(data); });
  }).listen(flags.port(0));
  return cluster.run();
}

// Three workers that take 1, 2 and 9 connections, which they keep.
int full(Cluster& cluster, const Flags& flags) {
  if (cluster.is_primary()) {
    cluster.on_listening([](const Worker&, const Address&) { std::cout << "listening\n"; });
    for (int i = 0; i < 3; ++i) cluster.fork();
    return cluster.run();
  }
  const Worker self = cluster.worker();
  const Server server = cohort::net::create_server(
      cluster, [self](const Socket& socket) { socket.write(std::to_string(self.id())); });
  server.max_connections(self.id() == 1 ? 1 : self.id() == 2 ? 2 : 9);
  server.listen(Address::from_path(flags.text("--path", "")));
  return cluster.run();
}

// All are told to disconnect at the first connection, while others come.
int disconnect_under_load(Cluster& cluster, const Flags& flags) {
  if (cluster.is_primary()) {
    print_exits(cluster);
    cluster.on_message([&cluster](const Worker&, const Value&) { cluster.disconnect(); });
    cluster.fork();
    cluster.fork();
    return cluster.run();
  }
  const Worker self = cluster.worker();
  cohort::net::create_server(cluster, [self](const Socket& socket) {
    self.send("connection");
    socket.end("served");
  }).listen(flags.port(0));
  return cluster.run();
}

// Nothing but its server keeps the worker, which closes it at the first connection.
int close_server(Cluster& cluster, const Flags& flags) {
  if (cluster.is_primary()) {
    print_exits(cluster);
    cluster.on_listening([](const Worker&, const Address&) { std::cout << "listening\n"; });
    cluster.fork();
    return cluster.run();
  }
  // Its handler refers to the server, not owns it: that would be a circle, which a closed server
  // keeps.
  std::optional<Server> server;
  server = cohort::net::create_server(cluster, [&server](const Socket& socket) {
    server->close();
    socket.end("closed");
  });
  server->listen(flags.port(0));
  return cluster.run();
}

// The first of two workers is told to close its server while it is stopped by the test: it finds
// connections behind the message.
int close_before_connection(Cluster& cluster, const Flags& flags) {
  if (cluster.is_worker()) {
    const Worker self = cluster.worker();
    const Server server = cohort::net::create_server(
        cluster, [self](const Socket& socket) { socket.end(std::to_string(self.id())); });
    server.listen(flags.port(0));
    self.on_message([server](const Value&) { server.close(); });
    return cluster.run();
  }
  cluster.setup_primary({.exec = flags.text("--exec", "")});
  const Worker first = cluster.fork();
  int servers = 0;
  cluster.on_listening([=](const Worker&, const Address&) mutable {
    if (++servers < 2) return;
    ::kill(first.process().pid(), SIGSTOP);
    first.send("close");
    std::cout << "stopped " << first.process().pid() << '\n';
  });
  cluster.fork();
  return cluster.run();
}

// A worker that listens on a socket of its own: its primary does not hear of it.
int own_socket(Cluster& cluster, const Flags& flags) {
  if (cluster.is_primary()) {
    print_messages(cluster);
    cluster.on_listening([](const Worker&, const Address&) { std::cout << "listening\n"; });
    cluster.fork();
    return cluster.run();
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(flags.port(0));
  cohort::OwnFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 8) != 0)
    return 1;
  const Worker self = cluster.worker();
  cohort::net::create_server(cluster, [](const Socket& socket) {
    socket.end("served");
  }).listen(cohort::Handle{std::move(fd)}, [self] { self.send("serves"); });
  return cluster.run();
}

// The primary accepts, and a worker's HTTP server, which listens nowhere, serves.
int send_to_http(Cluster& cluster, const Flags& flags) {
  if (cluster.is_worker()) {
    const auto server = cohort::http::create_server(
        cluster, [](const auto&, auto& res) { res.end("of the worker"); });
    cluster.worker().on_message(
        [server](const Value&, cohort::Handle& handle) { server.adopt(std::move(handle)); });
    return cluster.run();
  }
  const Worker worker = cluster.fork();
  cohort::net::create_server(cluster, [worker](const Socket& socket) {
    worker.send("serve", *socket.release());
  }).listen(flags.port(0));
  return cluster.run();
}

}  // namespace

const std::map<std::string, Scenario>& port_scenarios() {
  static const std::map<std::string, Scenario> scenarios{
      {"listening", listening},
      {"listen_error", listen_error},
      {"listen_again", listen_again},
      {"restart", restart},
      {"port_reuse", port_reuse},
      {"disconnect_all", disconnect_all},
      {"unshared", unshared},
      {"message", message},
      {"connected_at_the_end", connected_at_the_end},
      {"full", full},
      {"disconnect_under_load", disconnect_under_load},
      {"close_server", close_server},
      {"close_before_connection", close_before_connection},
      {"own_socket", own_socket},
      {"send_to_http", send_to_http},
  };
  return scenarios;
}
