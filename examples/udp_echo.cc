// A UDP server on every core, with Asio: all packets of one client come to one worker, or to its
// successor. It says who answers; try `nc -u localhost 8000`.
//
//   udp_echo [--port N] [--workers N]
#include <cohort/cohort.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iostream>
#include <string>

#include "flags.h"

namespace asio = boost::asio;
using asio::ip::udp;

asio::awaitable<void> echo(udp::socket& socket) {
  constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
  const std::string who = std::to_string(::getpid()) + ": ";
  char data[1500];
  udp::endpoint client;
  while (socket.is_open()) {
    auto [error, size] = co_await socket.async_receive_from(asio::buffer(data), client, kAsTuple);
    if (!error) socket.send_to(asio::buffer(who + std::string(data, size)), client);
  }
}

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  asio::io_context io;
  cohort::Cluster cluster{io};
  udp::socket socket{io};

  if (cluster.is_primary()) {
    cluster.keep(flags.number("--workers", cohort::available_parallelism()));
  } else {
    const cohort::Listener listener{cluster, cohort::Address::datagram("", flags.port(8000))};
    if (listener.error()) {
      std::cerr << *listener.error() << '\n';
      return 1;
    }
    socket.assign(udp::v4(), ::dup(listener.native_handle()));
    asio::co_spawn(io, echo(socket), asio::detached);
    cluster.worker().on_disconnect([&] { socket.close(); });  // told to end
  }
  return cohort::run(io);
}
