// A worker for primaries of any make, which does what their messages say:
//
//   {"say": X}           sends X
//   {"listen": PORT}     opens a TCP server, which answers the first bytes of a connection with
//   PORT
//                        (as asked for); sends {"listening": REAL_PORT} or {"error": TEXT}
//   {"burst": N}         sends the numbers below N and exits
//   {"leave": "disconnect"|"kill"|CODE}   ends in the worker's own ways
//   a connection         is answered with `guest` when it said something
//   {"at_disconnect": CODE}   exits with it when the channel is closed
//
// Without a primary (--alone) it listens, and ends.
#include <cohort/cohort.h>

#include <sstream>
#include <string>

#include "flags.h"

namespace {

void listen(cohort::Cluster& cluster, std::uint16_t port) {
  cohort::Worker self = cluster.worker();
  auto server = cohort::net::create_server(cluster, [port](cohort::net::Socket socket) {
    socket.on_data([=](std::string_view) { socket.end(std::to_string(port)); });
  });
  server.on_error([self](const cohort::Error& error) {
    std::ostringstream text;
    text << error;
    self.send({{"error", text.str()}});
  });
  server.listen(port, [self, server] { self.send({{"listening", server.address().port()}}); });
}

void leave(const cohort::Worker& self, const cohort::Value& how) {
  if (how == "disconnect")
    self.disconnect();
  else if (how == "kill")
    self.kill();
  else
    self.process().exit(static_cast<int>(how.int64_or(0)));
}

void obey(cohort::Cluster& cluster, const cohort::Value& message) {
  cohort::Worker self = cluster.worker();
  if (message.contains("say")) self.send(message["say"]);
  if (message.contains("listen"))
    listen(cluster, static_cast<std::uint16_t>(message["listen"].int64_or(0)));
  if (message.contains("at_disconnect"))
    self.on_disconnect([self, code = message["at_disconnect"].int64_or(0)] {
      self.process().exit(static_cast<int>(code));
    });
  if (message.contains("leave")) leave(self, message["leave"]);
  if (const auto count = message["burst"].int64_or(0); count > 0) {
    for (std::int64_t i = 0; i < count; ++i) self.send(i);
    self.process().exit(0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (flags.has("--alone")) {
    auto server = cohort::net::create_server(cluster, [](cohort::net::Socket) {});
    server.listen(0, [server] { server.close(); });
  } else {
    cluster.worker().on_message([&](const cohort::Value& message, cohort::Handle& handle) {
      if (!handle) return obey(cluster, message);
      const auto socket = cohort::net::adopt(cluster, std::move(handle));
      socket.on_data([socket](std::string_view) { socket.end("guest"); });
    });
  }
  return cluster.run();
}
