#include "cli/control_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <chrono>

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
  Conversation(const std::string& directory, std::string_view name)
      : path_{manager::socket_path(directory, name)} {}

  /// Of an operation that `start` starts with a handler: its error, or timed_out.
  template <class Start>
  error_code in_time(const Start& start) {
    error_code result = asio::error::timed_out;
    start([&result](error_code error, auto...) { result = error; });
    io_.restart();
    io_.run_for(kPatience);
    return result;
  }
  error_code send(std::string_view method, const std::string& target, const std::string& body) {
    error_code error;
    // A path of more than 107 bytes is an exception here.
    try {
      const asio::local::stream_protocol::endpoint endpoint{path_};
      error = in_time([&](auto handler) { socket_.async_connect(endpoint, handler); });
    } catch (const boost::system::system_error& failure) {
      return failure.code();
    }
    if (error) return error;
    // Whoever else could put a socket here would be believed, and could print to this terminal.
    socklen_t size = sizeof peer_;
    if (sys::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer_, size) == -1)
      return {errno, boost::system::system_category()};
    if (::geteuid() != 0 && peer_.uid != 0 && peer_.uid != ::geteuid())
      return make_error_code(boost::system::errc::operation_not_permitted);
    http::request<http::string_body> request;
    request.method_string(method);
    request.target(target);
    request.version(11);
    request.set(http::field::host, "cohort");
    request.body() = body;
    request.prepare_payload();
    return in_time([&](auto handler) { http::async_write(socket_, request, handler); });
  }
  asio::local::stream_protocol::socket& socket() { return socket_; }
  pid_t peer() const { return peer_.pid; }
  Error failed(const error_code& error) const { return {error, "ask", path_}; }

 private:
  std::string path_;
  ucred peer_{};
  asio::io_context io_;
  asio::local::stream_protocol::socket socket_{io_};
};

}  // namespace

Result<Answered> ask(const std::string& directory, std::string_view name, std::string_view method,
                     const std::string& target, const std::string& body) {
  Conversation conversation{directory, name};
  error_code error = conversation.send(method, target, body);
  if (error) return conversation.failed(error);
  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  error = conversation.in_time(
      [&](auto handler) { http::async_read(conversation.socket(), buffer, parser, handler); });
  if (error) return conversation.failed(error);
  auto json = parse_json(parser.get().body());
  if (!json) return json.error();
  return Answered{static_cast<int>(parser.get().result_int()), std::move(*json),
                  conversation.peer()};
}

Result<void> follow(const std::string& directory, std::string_view name, const std::string& target,
                    const std::function<bool(const Value&)>& event) {
  Conversation conversation{directory, name};
  error_code error = conversation.send("GET", target, {});
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
