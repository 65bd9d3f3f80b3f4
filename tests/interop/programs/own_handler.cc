// A worker with a handler of its own for TERM, as a program on Asio has it. /slow is answered after
// a second.
//
//   own_handler --port N
#include <cohort/cohort.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <csignal>
#include <iostream>

#include "flags.h"

using namespace std::chrono_literals;

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  boost::asio::signal_set signals{cluster.io_context(), SIGTERM};
  signals.async_wait([](const auto& error, int) {
    if (!error) std::cout << "SIGTERM" << std::endl;
  });
  cohort::http::create_server(cluster, [&](const auto& request, auto& response) {
    if (request.url() != "/slow") {
      response.end("hello world\n");
      return;
    }
    std::cout << "request" << std::endl;
    cluster.set_timeout(1s, [response]() mutable { response.end("hello world\n"); });
  }).listen(flags.port(8000));
  return cluster.run();
}
