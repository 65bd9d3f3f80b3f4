// cohort::http_check.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>

#include "cohort/check.h"
#include "cohort/worker.h"

namespace cohort {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using boost::system::error_code;
using Connection = asio::generic::stream_protocol::socket;

constexpr std::chrono::seconds kCheckPatience{5};
constexpr std::size_t kCheckBodyMax = 1 << 20;

Error not_well(const std::string& path, const std::string& why) {
  return make_error(Errc::CallFailed, "check", "GET " + path + ": " + why);
}

// One line of what it says, at most so long.
std::string first_line(const std::string& body) {
  constexpr std::size_t kMax = 200;
  const std::string line = body.substr(0, std::min(body.find_first_of("\r\n"), kMax));
  return line.empty() ? line : ", " + line;
}

// All of the answer is read: who is cut off may say so in its log.
asio::awaitable<Result<void>> ask(Connection connection, std::string path) {
  beast_http::request<beast_http::empty_body> question{beast_http::verb::get, path, 11};
  question.set(beast_http::field::host, "localhost");
  question.set(beast_http::field::user_agent, "cohort-check");
  question.set(beast_http::field::accept, "*/*");
  question.set(beast_http::field::connection, "close");
  error_code error;
  co_await beast_http::async_write(connection, question,
                                   asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return not_well(path, "it could not be asked: " + error.message());
  boost::beast::flat_buffer buffer;
  beast_http::response_parser<beast_http::string_body> answer;
  answer.body_limit(kCheckBodyMax);
  co_await beast_http::async_read(connection, buffer, answer,
                                  asio::redirect_error(asio::use_awaitable, error));
  if (!answer.is_header_done()) {
    const bool closed = error == beast_http::error::end_of_stream;
    co_return not_well(path, closed ? "closed without an answer" : "no answer: " + error.message());
  }
  const unsigned status = answer.get().result_int();
  if (status >= 200 && status < 400) co_return Result<void>{};
  const std::string reason{answer.get().reason()};
  co_return not_well(path, std::to_string(status) + (reason.empty() ? "" : " ") + reason +
                               first_line(answer.get().body()));
}

asio::awaitable<Result<void>> ask_in_time(Connection connection, std::string path) {
  using namespace asio::experimental::awaitable_operators;
  asio::steady_timer patience{connection.get_executor(), kCheckPatience};
  const auto done =
      co_await (ask(std::move(connection), path) || patience.async_wait(asio::use_awaitable));
  if (done.index() == 0) co_return std::get<0>(done);
  co_return not_well(path, "no answer within " + std::to_string(kCheckPatience.count()) + " s");
}

}  // namespace

Check http_check(std::string path) {
  return [path = std::move(path)](const Worker& worker, Callback<void(Result<void>)> done) {
    const std::function<void(Result<void>)> tell = std::move(done);
    auto opened = worker.open_connection();
    if (!opened) return tell(opened.error());
    Connection connection{worker.get_executor()};
    error_code error;
    connection.assign(asio::generic::stream_protocol{AF_UNSPEC, 0}, opened->release(), error);
    if (error) return tell(Error{error, "check", {}});
    asio::co_spawn(worker.get_executor(), ask_in_time(std::move(connection), path),
                   [tell](const std::exception_ptr& failure, const Result<void>& answer) {
                     if (failure) std::rethrow_exception(failure);
                     tell(answer);
                   });
  };
}

}  // namespace cohort
