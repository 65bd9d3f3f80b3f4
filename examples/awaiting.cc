// Waiting instead of calling back: each event of a worker can be awaited, once, in a coroutine. The
// primary asks three workers, one after the other, for the square of a number.
#include <cohort/cohort.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iostream>

namespace asio = boost::asio;

asio::awaitable<void> ask(cohort::Cluster& cluster, int number) {
  cohort::Worker worker = cluster.fork();
  co_await worker.async_online(asio::use_awaitable);
  worker.send(number);
  const cohort::Value square = co_await worker.async_message(asio::use_awaitable);
  const cohort::Exit exit = co_await worker.async_exit(asio::use_awaitable);
  std::cout << "worker " << worker.id() << ": " << number << " squared is " << square << "; "
            << exit << '\n';
}

asio::awaitable<void> ask_all(cohort::Cluster& cluster) {
  for (int number : {3, 12, 111}) co_await ask(cluster, number);
}

int main() {
  asio::io_context io;
  cohort::Cluster cluster{io};
  if (cluster.is_primary()) {
    asio::co_spawn(io, ask_all(cluster), asio::detached);
  } else {
    cohort::Worker self = cluster.worker();
    self.on_message([self](const cohort::Value& msg) {
      const double number = msg.number_or(0);
      self.send(number * number);
      self.process().exit(0);
    });
  }
  return cohort::run(io);
}
