// A client of `cohort verify-reload`: one connection at a time, and no request is ever sent twice.
//
// Owned by the coroutine that drives it, on the loop that it was given.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "cli/load_tally.h"
#include "cohort/fd.h"
#include "net/sockaddr.h"

namespace cohort::cli {

/// Whom the clients ask.
struct LoadTarget {
  net::SockAddr address;
  std::string host;  ///< As the Host header has it: `localhost:3000`.
  std::string path = "/";
  std::optional<int> expect{};  ///< Nothing: any 2xx or 3xx is an answer.
};

class LoadClient {
 public:
  /// A request that has no whole answer after so long has failed.
  static constexpr std::chrono::seconds kPatience{30};

  LoadClient(boost::asio::io_context& io, LoadKind kind, const LoadTarget& target,
             std::uint32_t seed);

  /// Sends one request, and reads the answer.
  boost::asio::awaitable<LoadOutcome> request(std::chrono::seconds patience = kPatience);
  /// For a moment of random length, in milliseconds.
  boost::asio::awaitable<void> pause(int shortest, int longest);
  /// How often a kept connection had been closed, and that was seen before it was used again.
  std::uint64_t reopened() const { return reopened_; }

 private:
  using Clock = std::chrono::steady_clock;

  bool keeps() const { return kind_ == LoadKind::KeptGet || kind_ == LoadKind::KeptPost; }
  bool is_open_still() const;
  boost::asio::awaitable<LoadOutcome> exchange();
  boost::asio::awaitable<std::string> connect();
  boost::asio::awaitable<void> send_request();
  boost::asio::awaitable<bool> send(std::string_view bytes);
  boost::asio::awaitable<LoadOutcome> receive_answer();
  boost::asio::awaitable<ssize_t> receive(char* data, std::size_t size);
  boost::asio::awaitable<bool> wait(boost::asio::posix::stream_descriptor::wait_type type);
  std::string head() const;

  boost::asio::io_context& io_;
  const LoadKind kind_;
  const LoadTarget& target_;
  std::minstd_rand random_;
  std::optional<boost::asio::posix::stream_descriptor> socket_;
  boost::asio::steady_timer deadline_, pause_;
  std::chrono::seconds patience_ = kPatience;
  Clock::duration paused_{};
  std::uint64_t reopened_ = 0;
};

}  // namespace cohort::cli
