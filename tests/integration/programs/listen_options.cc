// Tells each connection what it has of the options that its worker listens with.
//
//   listen_options [--port N] [--workers N] [--reuse-port]
//
// Prints `listening` for each worker.
#include <cohort/cohort.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <iostream>
#include <string>

#include "flags.h"

using namespace std::chrono_literals;

namespace {

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(fd, level, name, &value, &size);
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_primary()) {
    cluster.keep(flags.number("--workers", 1));
    return cluster.run();
  }
  cohort::ListenOptions options;
  options.no_delay = false;
  options.keep_alive = 7s;
  options.reuse_port = flags.has("--reuse-port");
  const auto tell = [](const cohort::OwnFd fd, const cohort::Address& /*peer*/) {
    const std::string text =
        "nodelay " + std::to_string(option(fd.get(), IPPROTO_TCP, TCP_NODELAY)) + " keepalive " +
        std::to_string(option(fd.get(), SOL_SOCKET, SO_KEEPALIVE)) + " after " +
        std::to_string(option(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE)) + '\n';
    ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
    ::shutdown(fd.get(), SHUT_RDWR);
  };
  cohort::on_connection(cluster, {"127.0.0.1", flags.port(8000)}, tell, options)
      .on_listening([](const cohort::Address&) { std::cout << "listening" << std::endl; });
  return cluster.run();
}
