#include "cli/control_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include "base/sys.h"
#include "manager/runtime_directory.h"

namespace cohort::cli {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

// A primary answers at once, whatever its workers do: one that does not is stopped, or stuck.
constexpr std::chrono::seconds kPatience{5};

// A connection to the socket of an application, with a request sent.
class Conversation {
 public:
  Conversation(const asio::any_io_executor& loop, const std::string& directory,
               std::string_view name)
      : path_{manager::socket_path(directory, name)}, socket_{loop}, deadline_{loop} {}

  /// Of an operation that `start` starts with a completion token: its error, or timed_out.
  template <class Start>
  asio::awaitable<error_code> in_time(Start start) {
    using namespace asio::experimental::awaitable_operators;
    error_code error;
    deadline_.expires_after(kPatience);
    const auto first = co_await (start(asio::redirect_error(asio::use_awaitable, error)) ||
                                 deadline_.async_wait(asio::use_awaitable));
    co_return first.index() == 0 ? error : asio::error::timed_out;
  }
  asio::awaitable<error_code> send(std::string_view method, const std::string& target,
                                   const std::string& body) {
    error_code error;
    // A path of more than 107 bytes is an exception here.
    asio::local::stream_protocol::endpoint endpoint;
    try {
      endpoint.path(path_);
    } catch (const boost::system::system_error& failure) {
      error = failure.code();
    }
    if (!error)
      error = co_await in_time([&](auto token) { return socket_.async_connect(endpoint, token); });
    if (error) co_return error;
    // Whoever else could put a socket here would be believed, and could print to this terminal.
    socklen_t size = sizeof peer_;
    if (sys::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer_, size) == -1)
      co_return error_code{errno, boost::system::system_category()};
    if (::geteuid() != 0 && peer_.uid != 0 && peer_.uid != ::geteuid())
      co_return make_error_code(boost::system::errc::operation_not_permitted);
    http::request<http::string_body> request;
    request.method_string(method);
    request.target(target);
    request.version(11);
    request.set(http::field::host, "cohort");
    request.body() = body;
    request.prepare_payload();
    co_return co_await in_time(
        [&](auto token) { return http::async_write(socket_, request, token); });
  }
  asio::local::stream_protocol::socket& socket() { return socket_; }
  pid_t peer() const { return peer_.pid; }
  Error failed(const error_code& error) const { return {error, "ask", path_}; }

 private:
  std::string path_;
  ucred peer_{};
  asio::local::stream_protocol::socket socket_;
  asio::steady_timer deadline_;
};

asio::awaitable<Result<Answered>> ask_here(std::string directory, std::string name,
                                           std::string method, std::string target,
                                           std::string body) {
  Conversation conversation{co_await asio::this_coro::executor, directory, name};
  error_code error = co_await conversation.send(method, target, body);
  if (error) co_return conversation.failed(error);
  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  error = co_await conversation.in_time(
      [&](auto token) { return http::async_read(conversation.socket(), buffer, parser, token); });
  if (error) co_return conversation.failed(error);
  auto json = parse_json(parser.get().body());
  if (!json) co_return json.error();
  co_return Answered{static_cast<int>(parser.get().result_int()), std::move(*json),
                     conversation.peer()};
}

// What `awaited` gives, on a loop of its own.
template <class T>
T block_on(asio::io_context& io, asio::awaitable<T> awaited) {
  std::optional<T> result;
  asio::co_spawn(
      io, [&]() -> asio::awaitable<void> { result.emplace(co_await std::move(awaited)); },
      asio::detached);
  io.run();
  return std::move(*result);
}

}  // namespace

asio::awaitable<Result<Answered>> async_ask(std::string directory, std::string name,
                                            std::string method, std::string target,
                                            std::string body) {
  return ask_here(std::move(directory), std::move(name), std::move(method), std::move(target),
                  std::move(body));
}

Result<Answered> ask(const std::string& directory, std::string_view name, std::string_view method,
                     const std::string& target, const std::string& body) {
  asio::io_context io;
  return block_on(io, async_ask(directory, std::string{name}, std::string{method}, target, body));
}

Result<void> follow(const std::string& directory, std::string_view name, const std::string& target,
                    const std::function<bool(const Value&)>& event) {
  asio::io_context io;
  Conversation conversation{io.get_executor(), directory, name};
  error_code error = block_on(io, conversation.send("GET", target, {}));
  if (error) return conversation.failed(error);
  boost::beast::flat_buffer buffer;
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  http::read_header(conversation.socket(), buffer, parser, error);
  if (!error && parser.get().result_int() != 200)
    return system_error(EAGAIN, "follow",
                        "it answers " + std::to_string(parser.get().result_int()));
  std::string text;
  char piece[16384];
  while (!error && !parser.is_done()) {
    parser.get().body().data = piece;
    parser.get().body().size = sizeof piece;
    http::read_some(conversation.socket(), buffer, parser, error);
    if (error == http::error::need_buffer) error = {};
    text.append(piece, sizeof piece - parser.get().body().size);
    for (std::size_t end = 0; (end = text.find('\n')) != text.npos; text.erase(0, end + 1)) {
      constexpr std::string_view kData = "data: ";
      if (!text.starts_with(kData)) continue;
      const auto value =
          parse_json(std::string_view{text}.substr(kData.size(), end - kData.size()));
      if (value && !event(*value)) return {};
    }
  }
  if (error && error != http::error::end_of_stream && error != http::error::partial_message)
    return conversation.failed(error);
  return {};
}

}  // namespace cohort::cli
