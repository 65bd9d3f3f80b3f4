// HTTP workers that end, or close servers, by themselves, for leaving_test.cc. With --keep it is a
// primary of so many, of --exec; under `cohort run` a worker. recycled.js is the same in Node.
//
//   recycled --port N [--second N] [--requests N] [--busy] [--try N] [--keep N --exec PROGRAM]
//
// `/` is answered with the pid; with --requests the worker leaves at its N-th. `/events` is never
// finished. `/leave`: it leaves. `/close`: it closes the server of --second. `/reopen`: it closes
// its server, and opens it again when the answer has been sent. `/bye`: it closes its server and
// leaves, and answers 1.5 s later. --busy: a timer never ends. --try:
// two seconds before it opens its server it opens that port, and closes it.
#include <cohort/cohort.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>

#include "flags.h"

using namespace std::chrono_literals;

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_primary()) {
    cluster.setup_primary({.exec = flags.text("--exec", "")});
    cluster.keep(flags.number("--keep", 1));
    return cluster.run();
  }
  const std::uint16_t port = flags.port(0);
  const auto second = static_cast<std::uint16_t>(flags.number("--second", 0));
  unsigned left = flags.number("--requests", 0);
  const auto answer = [](const auto&, auto& res) { res.end(std::to_string(::getpid())); };
  const auto other = cohort::http::create_server(cluster, answer);
  std::shared_ptr<cohort::http::Server> server;
  const auto handle = [&](const cohort::http::Request& req, cohort::http::Response& res) {
    if (req.url() == "/events") {
      res.write("a first event\n");
      return;
    }
    if (req.url() == "/bye") {
      server->close();
      cluster.worker().disconnect();
      cluster.set_timeout(1500ms, [late = res] { cohort::http::Response{late}.end("bye"); });
      return;
    }
    if (req.url() == "/close") other.close();
    if (req.url() == "/reopen") server->close([&] { server->listen(port); });
    if (req.url() == "/leave" || (left > 0 && --left == 0)) cluster.worker().disconnect();
    res.end(std::to_string(::getpid()));
  };
  server = std::make_shared<cohort::http::Server>(cohort::http::create_server(cluster, handle));
  if (second != 0) other.listen(second);
  if (flags.has("--busy")) cluster.set_interval(1s, [] {});
  auto trial = cohort::http::create_server(cluster, answer);
  if (const auto tried = static_cast<std::uint16_t>(flags.number("--try", 0)); tried != 0)
    trial.listen(tried, [&] {
      trial.close([&] { cluster.set_timeout(2s, [&] { server->listen(port); }); });
    });
  else
    server->listen(port);
  return cluster.run();
}
