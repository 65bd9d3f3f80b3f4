// An ordinary Asio echo server on every core: coroutines, the user's own io_context, and one line
// that changed, the acceptor. Try `nc localhost 8000`.
//
//   asio_echo [--port N] [--workers N]
#include <cohort/cohort.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "flags.h"

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

asio::awaitable<void> echo(tcp::socket socket) {
  char data[4096];
  for (;;) {
    auto [read_error, size] = co_await socket.async_read_some(asio::buffer(data), kAsTuple);
    if (read_error) co_return;
    auto [error, written] = co_await asio::async_write(socket, asio::buffer(data, size), kAsTuple);
    if (error) co_return;
  }
}

asio::awaitable<void> serve(cohort::Acceptor acceptor) {  // was: tcp::acceptor acceptor
  for (;;) {
    auto [error, socket] = co_await acceptor.async_accept(kAsTuple);
    if (error == asio::error::operation_aborted)
      co_return;  // told to end: echo the rest, then exit
    if (error) throw boost::system::system_error{error, "accept"};
    const auto executor = socket.get_executor();
    asio::co_spawn(executor, echo(std::move(socket)), asio::detached);
  }
}

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  asio::io_context io;
  cohort::Cluster cluster{io};

  if (cluster.is_primary()) {
    cluster.keep(flags.number("--workers", cohort::available_parallelism()));
  } else {
    // Was: serve(tcp::acceptor{io, {tcp::v6(), port}}).
    asio::co_spawn(io, serve(cohort::Acceptor{cluster, {"", flags.port(8000)}}),
                   [](std::exception_ptr failure) {
                     if (failure) std::rethrow_exception(failure);
                   });
  }
  return cohort::run(io);
}
