// Passes handles to and from a worker of any make (--exec FILE, else itself), over three ports:
//
//   --shared P   a listening socket of the primary's that the worker gets too: both answer
//   --down P     each connection goes to the worker, with what was read of it if that is ours
//   --up P       each connection of the worker's comes to the primary
//
// Whoever answers says `primary` or `worker`, then what it was sent. `ready` when all is set up; a
// Node worker then prints `counted N`: its connections, those that we have included.
#include <cohort/cohort.h>

#include <iostream>

#include "flags.h"

using cohort::Handle;
using cohort::Value;
using cohort::net::Socket;

namespace {

void answer(const Socket& socket, const std::string& who) {
  socket.on_data(
      [socket, who](std::string_view data) { socket.end(who + ' ' + std::string{data}); });
}

class Primary {
 public:
  Primary(cohort::Cluster& cluster, const Flags& flags) {
    const std::string exec = flags.text("--exec", "");
    if (!exec.empty()) cluster.setup_primary({.exec = exec, .args = {flags.text("--up", "0")}});
    const bool ours = exec.empty();
    const cohort::Worker worker = cluster.fork();

    auto shared = cohort::net::create_server(
        cluster, [](const Socket& socket) { answer(socket, "primary"); });
    shared.listen(port(flags, "--shared"), [worker, shared] {
      auto handle = shared.handle();
      if (!handle) std::cout << handle.error() << '\n';
      worker.send({{"take", "server"}}, std::move(*handle));
    });

    auto down = cohort::net::create_server(cluster, [worker, ours](const Socket& socket) {
      const auto pass = [worker, socket](std::string_view unread) {
        auto handle = socket.release(unread);
        if (!handle) std::cout << handle.error() << '\n';
        worker.send({{"take", "socket"}}, std::move(*handle), [](auto error, Handle back) {
          if (error) std::cout << *error << (back ? ", back\n" : "\n");
        });
      };
      if (ours)
        socket.on_data(pass);
      else
        pass({});
    });
    down.listen(port(flags, "--down"));

    worker.on_message([&cluster](const Value& message, Handle& handle) {
      if (handle) return answer(cohort::net::adopt(cluster, std::move(handle)), "primary");
      std::cout << message << '\n';
    });
    worker.on_exit([&cluster](const cohort::Exit&) { cluster.disconnect(); });
  }

 private:
  static std::uint16_t port(const Flags& flags, const char* name) {
    return static_cast<std::uint16_t>(flags.number(name, 0));
  }
};

void be_worker(cohort::Cluster& cluster, std::uint16_t up) {
  const cohort::Worker self = cluster.worker();
  self.on_message([&cluster](const Value& message, Handle& handle) {
    if (message["take"] == "socket")
      return answer(cohort::net::adopt(cluster, std::move(handle)), "worker");
    if (message["take"] == "server")
      cohort::net::create_server(cluster, [](const Socket& socket) {
        answer(socket, "worker");
      }).listen(std::move(handle), [&cluster] { cluster.worker().send("ready"); });
  });
  cohort::net::create_server(cluster, [self](const Socket& socket) {
    socket.on_data([self, socket](std::string_view data) {
      auto handle = socket.release(data);
      self.send({{"take", "socket"}}, std::move(*handle));
    });
  }).listen(up);
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  std::optional<Primary> primary;
  if (cluster.is_primary())
    primary.emplace(cluster, flags);
  else
    be_worker(cluster, static_cast<std::uint16_t>(flags.number("--up", 0)));
  return cluster.run();
}
