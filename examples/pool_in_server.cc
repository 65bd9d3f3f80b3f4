// A pool inside of a server's worker: work that takes long does not hold back other requests.
//
//   pool_in_server [--port 8000] [--workers N]
//   curl localhost:8000/hash?1024        of 1024 MiB; takes a second or so
//   curl localhost:8000/                 is answered at once all the same
#include <cohort/cohort.h>
#include <cohort/pool.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <charconv>
#include <iostream>

#include "flags.h"

namespace asio = boost::asio;

// FNV-1a of so many MiB of zeros.
std::uint64_t hash_of(unsigned mebibytes) {
  const std::stop_token stop = cohort::ThisTask::stop_token();
  std::uint64_t hash = 14695981039346656037U;
  for (unsigned i = 0; i < mebibytes && !stop.stop_requested(); ++i)
    for (int byte = 0; byte < 1 << 20; ++byte) hash *= 1099511628211U;
  return hash;
}

// By value: a coroutine keeps them.
asio::awaitable<void> answer(cohort::PoolView pool, cohort::http::Response res,
                             unsigned mebibytes) {
  const cohort::Result<std::uint64_t> hash =
      co_await pool.run([mebibytes] { return hash_of(mebibytes); });
  if (!hash) {
    res.status_code(503);
    res.end(hash.error().message() + '\n');
    co_return;
  }
  res.end(std::to_string(*hash) + '\n');
}

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  asio::io_context io;
  cohort::Cluster cluster{io};
  if (cluster.is_primary()) {
    const unsigned count = flags.number("--workers", cohort::available_parallelism());
    for (unsigned i = 0; i < count; ++i) cluster.fork();
    return cohort::run(io);
  }
  // More than so many that wait are refused: the client may come again.
  const cohort::Pool pool{{.name = "hash", .max_workers = 2, .queue_max = 100}};
  const cohort::PoolView hashing = pool.with({.deadline = std::chrono::seconds{60}});
  cohort::http::create_server(cluster, [&](const auto& req, auto& res) {
    const std::string_view url = req.url();
    if (!url.starts_with("/hash?")) return res.end("hello world\n");
    unsigned mebibytes = 0;
    std::from_chars(url.data() + 6, url.data() + url.size(), mebibytes);
    asio::co_spawn(io, answer(hashing, res, mebibytes), asio::detached);
  }).listen(flags.port(8000));
  return cohort::run(io);
}
