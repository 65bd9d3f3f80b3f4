#include "cli/load_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/sys.h"
#include "cli/load_answer.h"

namespace cohort::cli {
namespace {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;
using boost::system::error_code;

// A body that is JSON: servers that parse bodies take it.
constexpr std::string_view kBody = R"({"from": "cohort verify-reload", "why": "nothing is lost"})";
constexpr std::size_t kPiece = 16384;

std::string error_text(int number) {
  if (number == ECONNRESET || number == EPIPE) return "reset";
  if (number == ECONNREFUSED) return "refused";
  return error_code{number, boost::system::system_category()}.message();
}

LoadOutcome cut(const std::string& how, std::size_t after) {
  return {.closed_idle = after == 0,
          .what = how + " after " + std::to_string(after) + " bytes of the answer"};
}

}  // namespace

LoadClient::LoadClient(asio::io_context& io, LoadKind kind, const LoadTarget& target,
                       std::uint32_t seed)
    : io_{io}, kind_{kind}, target_{target}, random_{seed}, deadline_{io}, pause_{io} {}

asio::awaitable<LoadOutcome> LoadClient::request(std::chrono::seconds patience) {
  patience_ = patience;
  deadline_.expires_after(patience);
  paused_ = {};
  const auto begin = Clock::now();
  LoadOutcome outcome = co_await exchange();
  outcome.time =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin - paused_);
  if (!outcome.answered || !keeps()) socket_.reset();
  co_return outcome;
}

asio::awaitable<void> LoadClient::pause(int shortest, int longest) {
  const auto begin = Clock::now();
  pause_.expires_after(
      std::chrono::milliseconds{std::uniform_int_distribution{shortest, longest}(random_)});
  co_await pause_.async_wait(asio::use_awaitable);
  paused_ += Clock::now() - begin;
}

// Any client sees that a connection was closed before it sends anything: it opens another one.
bool LoadClient::is_open_still() const {
  char byte = 0;
  auto& socket = const_cast<stream_descriptor&>(*socket_);
  return sys::recv(socket.native_handle(), &byte, 1, MSG_PEEK) == -1 && errno == EAGAIN;
}

asio::awaitable<LoadOutcome> LoadClient::exchange() {
  if (socket_ && !is_open_still()) {
    ++reopened_;
    socket_.reset();
  }
  const bool kept = socket_.has_value();
  if (!kept) {
    std::string failed = co_await connect();
    if (!failed.empty()) co_return LoadOutcome{.what = std::move(failed)};
  }
  if (kind_ == LoadKind::LateSend) co_await pause(10, 300);
  co_await send_request();
  LoadOutcome outcome = co_await receive_answer();
  outcome.closed_idle = kept && outcome.closed_idle;
  if (outcome.closed_idle) outcome.what += " on a kept connection";
  co_return outcome;
}

// Empty, or why not.
asio::awaitable<std::string> LoadClient::connect() {
  for (;; co_await pause(1, 100)) {
    OwnFd fd = sys::socket(target_.address.family(), SOCK_STREAM, 0);
    if (!fd) co_return "no socket: " + error_text(errno);
    if (kind_ == LoadKind::SlowRead) sys::set_int_option(fd.get(), SOL_SOCKET, SO_RCVBUF, 4096);
    // What is sent in two parts leaves at once. (A Unix socket has no such thing.)
    sys::set_int_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    const bool done = sys::connect(fd.get(), target_.address.get(), target_.address.size) == 0;
    // A full queue of a Unix socket, and no port left on this machine: nobody was asked yet.
    if (!done && (errno == EAGAIN || errno == EADDRNOTAVAIL)) {
      if (deadline_.expiry() < Clock::now()) co_return "no connection: " + error_text(errno);
      continue;
    }
    if (!done && errno != EINPROGRESS) co_return error_text(errno);
    socket_.emplace(io_, fd.release());
    if (done) co_return "";
    if (!co_await wait(stream_descriptor::wait_write))
      co_return "no connection within " + std::to_string(patience_.count()) + " s";
    const int error = sys::int_option(socket_->native_handle(), SOL_SOCKET, SO_ERROR);
    co_return error == 0 ? "" : error_text(error) + " before it was connected";
  }
}

std::string LoadClient::head() const {
  const bool posts = kind_ == LoadKind::KeptPost;
  std::string text = (posts ? "POST " : "GET ") + target_.path +
                     " HTTP/1.1\r\nHost: " + target_.host +
                     "\r\nUser-Agent: cohort-verify-reload\r\nAccept: */*\r\n";
  if (!keeps()) text += "Connection: close\r\n";
  if (posts)
    text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(kBody.size()) +
            "\r\n";
  return text + "\r\n";
}

// Of a failure the answer tells: it may have come before all was sent.
asio::awaitable<void> LoadClient::send_request() {
  if (kind_ != LoadKind::KeptPost) {
    co_await send(head());
    co_return;
  }
  const auto [first, rest] =
      std::pair{kBody.substr(0, kBody.size() / 2), kBody.substr(kBody.size() / 2)};
  if (!co_await send(head() + std::string{first})) co_return;
  co_await pause(1, 30);
  co_await send(rest);
}

asio::awaitable<bool> LoadClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = sys::send(socket_->native_handle(), bytes.data(), bytes.size());
    if (sent < 0 && errno != EAGAIN) co_return false;
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    const bool writable = co_await wait(stream_descriptor::wait_write);
    if (!writable) co_return false;
  }
  co_return true;
}

asio::awaitable<LoadOutcome> LoadClient::receive_answer() {
  LoadAnswer answer;
  std::array<char, kPiece> piece;
  // A slow reader takes ever more at once: it is slow with a small answer, and ends with a large.
  std::size_t size = kind_ == LoadKind::SlowRead ? 64 : piece.size();
  while (!answer.is_done()) {
    if (kind_ == LoadKind::SlowRead) co_await pause(1, 10);
    const ssize_t got = co_await receive(piece.data(), size);
    if (got == -ETIMEDOUT)
      co_return LoadOutcome{.what = "no whole answer within " + std::to_string(patience_.count()) +
                                    " s"};
    if (got < 0) co_return cut(error_text(static_cast<int>(-got)), answer.bytes());
    if (got == 0 && !answer.end()) co_return cut("closed", answer.bytes());
    if (got > 0 && !answer.put({piece.data(), static_cast<std::size_t>(got)}))
      co_return LoadOutcome{.what = "no HTTP: " + answer.what()};
    size = std::min(size * 2, piece.size());
  }
  LoadOutcome outcome{.answered = true, .status = answer.status()};
  const int status = outcome.status;
  outcome.answered = target_.expect ? status == *target_.expect : status >= 200 && status < 400;
  if (!outcome.answered) outcome.what = "answered " + std::to_string(status);
  if (!answer.keeps()) socket_.reset();
  co_return outcome;
}

// As recv(2), or a negative errno: -ETIMEDOUT at the deadline.
asio::awaitable<ssize_t> LoadClient::receive(char* data, std::size_t size) {
  for (;;) {
    const ssize_t got = sys::recv(socket_->native_handle(), data, size, 0);
    if (got >= 0) co_return got;
    if (errno != EAGAIN) co_return -errno;
    if (!co_await wait(stream_descriptor::wait_read)) co_return -ETIMEDOUT;
  }
}

// False: the deadline has come.
asio::awaitable<bool> LoadClient::wait(stream_descriptor::wait_type type) {
  using namespace asio::experimental::awaitable_operators;
  error_code error;
  const auto first =
      co_await (socket_->async_wait(type, asio::redirect_error(asio::use_awaitable, error)) ||
                deadline_.async_wait(asio::use_awaitable));
  co_return first.index() == 0;
}

}  // namespace cohort::cli
