#include "harness/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace harness {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::string reason_of(int error) {
  switch (error) {
    case ECONNRESET:
    case EPIPE:
      return "reset";
    case ECONNREFUSED:
      return "refused";
    default:
      return strerror(error);
  }
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool wait_for(int fd, short events, Deadline& end) {
  pollfd waiting{fd, events, 0};
  for (;;) {
    const auto left = std::clamp(end.left(), milliseconds{0}, milliseconds{50});
    if (poll(&waiting, 1, static_cast<int>(left.count())) > 0) return true;
    if (left == milliseconds{0}) return false;
  }
}

std::string serialize(const HttpRequest& request) {
  std::string text = request.method + ' ' + request.path + " HTTP/1.1\r\nHost: localhost\r\n";
  if (!request.keep_alive) text += "Connection: close\r\n";
  for (const auto& [name, value] : request.headers) text += name + ": " + value + "\r\n";
  if (!request.body.empty())
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return text + "\r\n" + request.body;
}

void parse_head(const std::string& head, HttpResponse& response) {
  std::istringstream lines{head};
  std::string line;
  std::getline(lines, line);
  if (!line.starts_with("HTTP/1.") || line.size() < 12) throw std::runtime_error{"not HTTP"};
  response.status = std::stoi(line.substr(9, 3));
  response.keep_alive = line.starts_with("HTTP/1.1");
  while (std::getline(lines, line) && line != "\r") {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) throw std::runtime_error{"bad header"};
    const std::size_t begin = std::min(line.find_first_not_of(' ', colon + 1), line.size() - 1);
    response.headers[lower(line.substr(0, colon))] = line.substr(begin, line.size() - begin - 1);
  }
  if (response.headers.contains("connection"))
    response.keep_alive = lower(response.headers["connection"]) != "close";
}

// Tests run side by side, and none may take the port that another one is about to use: a name that
// only one process can have, until it ends, stands for each.
bool claim(std::uint16_t port) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "cohort-test-port-" + std::to_string(port);
  std::copy(name.begin(), name.end(), address.sun_path + 1);  // after a NUL: not in the file system
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) == 0)
    return true;  // and the descriptor stays open
  close(fd);
  return false;
}

bool can_bind(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = loopback(port);
  const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return free;
}

// Reads from the connection as much as is asked for; throws the reason if there is less.
class Reader {
 public:
  Reader(TcpClient& client, milliseconds pause, milliseconds deadline)
      : client_{client}, pause_{pause}, end_{deadline} {}

  std::string take(std::size_t size) {
    while (buffer_.size() < size) fill();
    std::string taken = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return taken;
  }
  std::string take_until(std::string_view marker) {
    std::size_t at;
    while ((at = buffer_.find(marker)) == std::string::npos) fill();
    return take(at + marker.size());
  }
  std::string take_rest() {
    try {
      for (;;) fill();
    } catch (const std::runtime_error& reason) {
      if (reason.what() != std::string_view{"closed"}) throw;
    }
    return std::move(buffer_);
  }

 private:
  void fill() {
    const std::string more = client_.receive(end_);
    if (more.empty()) throw std::runtime_error{client_.reason()};
    buffer_ += more;
    if (pause_.count() > 0) std::this_thread::sleep_for(pause_);
  }

  TcpClient& client_;
  const milliseconds pause_;
  Deadline end_;
  std::string buffer_;
};

std::string read_chunks(Reader& reader) {
  std::string body;
  while (const std::size_t size = std::stoul(reader.take_until("\r\n"), nullptr, 16)) {
    body += reader.take(size);
    reader.take(2);
  }
  while (reader.take_until("\r\n") != "\r\n") {
  }
  return body;
}

}  // namespace

std::uint16_t free_port() {
  static int turn = getpid();
  for (int tries = 0; tries < 10'000; ++tries) {
    const auto port = static_cast<std::uint16_t>(10'000 + turn++ % 20'000);
    if (claim(port) && can_bind(port)) return port;
  }
  throw std::runtime_error{"no free port"};
}

TcpClient::TcpClient(TcpClient&& other) noexcept
    : fd_{std::exchange(other.fd_, -1)}, reason_{std::move(other.reason_)} {}

TcpClient& TcpClient::operator=(TcpClient&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(reason_, other.reason_);
  return *this;
}

std::string TcpClient::connect(std::uint16_t port, milliseconds deadline) {
  close();
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_in address = loopback(port);
  int error = 0;
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    error = errno;
    socklen_t size = sizeof error;
    Deadline end{deadline};
    if (error == EINPROGRESS && !wait_for(fd_, POLLOUT, end)) error = ETIMEDOUT;
    if (error == EINPROGRESS) getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0) {
    close();
    return "connect: " + reason_of(error);
  }
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return {};
}

std::string TcpClient::send(std::string_view bytes) {
  Deadline end{kPatience};
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0)
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    else if (errno != EAGAIN)
      return "send: " + reason_of(errno);
    else if (!wait_for(fd_, POLLOUT, end))
      return "send: timeout";
  }
  return {};
}

std::string TcpClient::receive(milliseconds deadline) {
  Deadline end{deadline};
  return receive(end);
}

std::string TcpClient::receive(Deadline& deadline) {
  char buffer[65536];
  reason_ = "timeout";
  if (!wait_for(fd_, POLLIN, deadline)) return {};
  const ssize_t size = recv(fd_, buffer, sizeof buffer, 0);
  if (size <= 0) {
    reason_ = size == 0 ? "closed" : reason_of(errno);
    return {};
  }
  return {buffer, static_cast<std::size_t>(size)};
}

std::string TcpClient::receive_until(std::string_view marker, milliseconds deadline) {
  Deadline end{deadline};
  std::string text;
  while (text.find(marker) == std::string::npos) {
    const std::string more = receive(end);
    if (more.empty()) break;
    text += more;
  }
  return text;
}

std::string TcpClient::receive_all(milliseconds deadline) {
  Deadline end{deadline};
  std::string text;
  for (;;) {
    const std::string more = receive(end);
    if (more.empty()) return text;
    text += more;
  }
}

bool TcpClient::is_over() const {
  char byte;
  return fd_ >= 0 && recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void TcpClient::shutdown_write() { ::shutdown(fd_, SHUT_WR); }

void TcpClient::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void TcpClient::reset() {
  const linger at_once{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

testing::AssertionResult accepts(std::uint16_t port) {
  return eventually("port " + std::to_string(port) + " to accept",
                    [&] { return TcpClient{}.connect(port).empty(); });
}

testing::AssertionResult is_closed(std::uint16_t port, milliseconds deadline) {
  return eventually(
      "port " + std::to_string(port) + " to be closed",
      [&] { return TcpClient{}.connect(port) == "connect: refused"; }, deadline);
}

HttpResponse exchange(TcpClient& client, const HttpRequest& request, milliseconds deadline) {
  HttpResponse response;
  response.error = client.send(serialize(request));
  if (!response.error.empty()) return response;
  try {
    Reader reader{client, request.pause, deadline};
    parse_head(reader.take_until("\r\n\r\n"), response);
    if (response.headers.contains("content-length"))
      response.body = request.method == "HEAD"
                          ? ""
                          : reader.take(std::stoul(response.headers["content-length"]));
    else if (response.headers.contains("transfer-encoding"))
      response.body = read_chunks(reader);
    else if (!response.keep_alive)
      response.body = reader.take_rest();
  } catch (const std::exception& reason) {
    response.error = reason.what();
  }
  if (!response.error.empty() || !response.keep_alive) client.close();
  return response;
}

HttpResponse http_get(std::uint16_t port, const std::string& path, HttpRequest request,
                      milliseconds deadline) {
  request.path = path;
  TcpClient client;
  HttpResponse response;
  response.error = client.connect(port, deadline);
  return response.error.empty() ? exchange(client, request, deadline) : response;
}

}  // namespace harness
