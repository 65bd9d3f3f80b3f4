// Pipelines of the shell with a timeout: one that is quick enough, and one that hangs, which is
// ended as a whole, since it has a process group of its own.
#include <cohort/cohort.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <iostream>
#include <string>

namespace asio = boost::asio;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

asio::awaitable<void> run(asio::io_context& io, std::string command,
                          std::chrono::milliseconds timeout) {
  const cohort::SpawnOptions options{.timeout = timeout, .process_group = 0};
  const cohort::Output output =
      co_await cohort::async_exec(io, command, options, asio::use_awaitable);
  if (output.error)
    std::cout << *output.error << '\n';
  else
    std::cout << output.stdout_;
}

asio::awaitable<void> run_both(asio::io_context& io) {
  co_await run(io, "seq 1000 | grep 7 | wc -l", 10s);
  co_await run(io, "sleep 600 | cat", 100ms);
}

int main() {
  asio::io_context io;
  asio::co_spawn(io, run_both(io), asio::detached);
  io.run();
}
