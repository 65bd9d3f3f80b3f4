// A primary for workers of any make: runs --exec FILE --workers N times and
// prints what it hears, a line per event, as primaries/primary.js does:
//
//   fork ID PID, online ID, listening ID PORT|PATH, message ID JSON, disconnect ID,
//   exit ID CODE|SIGNAL asked|unasked
//
// --say JSON: an array; each worker is sent each element right after its fork. A worker that sends
// {"echo": X} gets X; {"ask": "disconnect"}, {"ask": "kill"} and {"ask": "terminate"} end it.
// --serialization advanced: the channel's.
// --lend stream|datagram: a socket of the primary's on $PORT, whose number workers have as $FD.
#include <arpa/inet.h>
#include <cohort/cohort.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

#include "flags.h"

namespace {

void print_events(cohort::Cluster& cluster) {
  cluster.on_online([](cohort::Worker worker) { std::cout << "online " << worker.id() << '\n'; });
  cluster.on_listening([](cohort::Worker worker, const cohort::Address& address) {
    std::cout << "listening " << worker.id() << ' '
              << (address.is_unix() ? address.path() : std::to_string(address.port())) << '\n';
  });
  cluster.on_disconnect(
      [](cohort::Worker worker) { std::cout << "disconnect " << worker.id() << '\n'; });
  cluster.on_exit([](cohort::Worker worker, const cohort::Exit& exit) {
    std::cout << "exit " << worker.id() << ' '
              << (exit.signal() != 0 ? exit.signal_name() : std::to_string(exit.code()))
              << (worker.exited_after_disconnect() ? " asked\n" : " unasked\n");
  });
}

void answer(cohort::Worker worker, const cohort::Value& message, cohort::Handle& handle) {
  std::cout << "message " << worker.id() << ' ' << cohort::to_json(message)
            << (handle ? " with a handle\n" : "\n");
  if (message.contains("echo")) worker.send(message["echo"]);
  if (message["ask"] == "disconnect") worker.disconnect();
  if (message["ask"] == "kill") worker.kill(SIGKILL);
  if (message["ask"] == "terminate") worker.kill();
}

// A bound socket; it stays open as long as the primary runs.
int open_socket(const std::string& kind) {
  const int fd = ::socket(AF_INET, (kind == "stream" ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(std::getenv("PORT"))));
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
  return kind != "stream" || ::listen(fd, 8) == 0 ? fd : -1;
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  cluster.setup_primary({.exec = flags.text("--exec", "")});
  if (flags.text("--serialization", "json") == "advanced")
    cluster.setup_primary({.spawn = {.serialization = cohort::Serialization::Advanced}});
  if (const std::string kind = flags.text("--lend", ""); !kind.empty())
    cluster.setup_primary({.spawn = {.add_env = {{"FD", std::to_string(open_socket(kind))}}}});
  print_events(cluster);
  cluster.on_message(answer);
  const auto greetings = cohort::parse_json(flags.text("--say", "[]"));
  for (unsigned i = 0; i < flags.number("--workers", 1); ++i) {
    cohort::Worker worker = cluster.fork();
    std::cout << "fork " << worker.id() << ' ' << worker.process().pid() << '\n';
    for (const cohort::Value& greeting : greetings->elements()) worker.send(greeting);
  }
  return cluster.run();
}
