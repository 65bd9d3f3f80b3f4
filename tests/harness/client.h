// Clients of the servers under test: a raw TCP connection, one HTTP request, and a load of requests
// that accounts for each of them. Blocking, with deadlines; a failure is a value that says why.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/program.h"

namespace harness {

/// A port that nobody uses, that no other test will get while this process lives, and that the
/// system does not give to clients.
std::uint16_t free_port();

class TcpClient {
 public:
  TcpClient() = default;
  ~TcpClient() { close(); }
  TcpClient(TcpClient&& other) noexcept;
  TcpClient& operator=(TcpClient&& other) noexcept;

  /// Connects to 127.0.0.1. An empty string, or the reason of the failure: `connect: refused`...
  std::string connect(std::uint16_t port, milliseconds deadline = kPatience);
  /// Empty, or the reason.
  std::string send(std::string_view bytes);
  /// Reads what there is: empty at the end of the stream, on failure and at the deadline
  /// (`reason`).
  std::string receive(milliseconds deadline = kPatience);
  std::string receive(Deadline& deadline);
  /// Reads until the received text contains `marker`, and returns all of it; shorter on failure.
  std::string receive_until(std::string_view marker, milliseconds deadline = kPatience);
  /// Reads to the end of the stream.
  std::string receive_all(milliseconds deadline = kPatience);
  /// Why the last `receive` came back empty: `closed`, `reset`, `timeout`...
  const std::string& reason() const { return reason_; }

  bool is_open() const { return fd_ >= 0; }
  /// The other end has closed it, and everything before that is read.
  bool is_over() const;
  int fd() const { return fd_; }
  void shutdown_write();
  void close();
  /// Closes with RST.
  void reset();

 private:
  int fd_ = -1;
  std::string reason_;
};

/// Waits until the port takes a connection.
testing::AssertionResult accepts(std::uint16_t port);
/// Waits until nobody listens on the port. A process that is killed closes its descriptors a moment
/// after the memory by which it is known.
testing::AssertionResult is_closed(std::uint16_t port, milliseconds deadline = kPatience);

struct HttpRequest {
  std::string method = "GET";
  std::string path = "/";
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  bool keep_alive = false;
  /// After each piece of the answer, 64 KiB at most: a client that reads slowly.
  milliseconds pause{0};
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< Names in lower case.
  std::string body;
  bool keep_alive = false;
  std::string error;  ///< Why there is no (whole) response; empty if there is.
};

/// One request on an open connection. Never retries.
HttpResponse exchange(TcpClient& client, const HttpRequest& request,
                      milliseconds deadline = kPatience);
/// One request on a connection of its own.
HttpResponse http_get(std::uint16_t port, const std::string& path = "/", HttpRequest request = {},
                      milliseconds deadline = kPatience);

}  // namespace harness
