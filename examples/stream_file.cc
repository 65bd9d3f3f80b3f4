// Streams a file of any size through a child, in constant memory: `stream_file IN OUT COMMAND...`.
// Each side waits for the other: the file is read as fast as the child takes it, the child runs as
// fast as its output is written.
#include <cohort/cohort.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

namespace asio = boost::asio;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

asio::awaitable<void> feed(std::ifstream file, cohort::ChildStream to) {
  std::array<char, 65536> block;
  while (file.read(block.data(), block.size()) || file.gcount() > 0) {
    const auto size = static_cast<std::size_t>(file.gcount());
    const auto [error, written] = co_await asio::async_write(to, asio::buffer(block, size), kTuple);
    if (error) co_return;  // the child reads no more: its exit says why
  }
  to.end();
}

asio::awaitable<void> run(asio::io_context& io, std::vector<std::string> words, int& code) {
  std::ofstream out{words[1], std::ios::binary};
  const cohort::ChildProcess child =
      cohort::spawn(io, words[2], {words.begin() + 3, words.end()},
                    {.stdio = {cohort::Stdio::Pipe, cohort::Stdio::Pipe, cohort::Stdio::Inherit}});
  asio::co_spawn(io, feed(std::ifstream{words[0], std::ios::binary}, child.stdin_()),
                 asio::detached);
  std::array<char, 65536> block;
  for (;;) {
    const auto [error, size] =
        co_await child.stdout_().async_read_some(asio::buffer(block), kTuple);
    if (error) break;
    out.write(block.data(), static_cast<std::streamsize>(size));
  }
  const auto [error, exit] = co_await child.async_exit(kTuple);
  std::cout << child.stdin_().bytes_written() << " bytes in, " << child.stdout_().bytes_read()
            << " bytes out\n";
  if (!exit.success()) std::cout << words[2] << ' ' << exit << '\n';
  code = exit.success() ? 0 : 1;
}

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "stream_file IN OUT COMMAND...\n";
    return 2;
  }
  asio::io_context io;
  int code = 1;
  asio::co_spawn(io, run(io, {argv + 1, argv + argc}, code), asio::detached);
  io.run();
  return code;
}
