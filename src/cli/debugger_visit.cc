#include "cli/debugger_visit.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include "base/read_file.h"
#include "base/sys.h"
#include "cli/js_stack.h"
#include "net/sockaddr.h"
#include "process/proc_view.h"

namespace cohort::cli {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using namespace std::chrono_literals;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using DebuggerSocket = asio::generic::stream_protocol::socket;
using DebuggerStream = websocket::stream<DebuggerSocket, false>;

constexpr std::chrono::seconds kToOpen{3}, kInAll{5}, kToAnswer{1}, kToClose{10};
// Who is not killed has its debugger closed. It may open late, when the worker goes on.
constexpr std::chrono::milliseconds kBeforeClosing{500};
constexpr std::size_t kMessageMax = 32 << 20;  // a deep recursion has many frames

struct Debugger {
  Address address;
  std::string path;
  bool is_used = false;  // somebody is connected
};

// One worker, by its pidfd: its number may be another's by now.
struct Visited {
  pid_t pid = 0;
  OwnFd process;
  DebuggerFacts facts;
  std::set<std::uint16_t> no_debuggers;  // ports of its own that are something else
  bool opened = false;                   // its debugger, by us

  bool lives() const { return sys::poll(process.get(), POLLIN, 0) == 0; }
};

// Of an operation that `start` starts with a completion token: its error, or timed_out.
template <class Start>
asio::awaitable<error_code> done_by(Clock::time_point deadline, Start start) {
  using namespace asio::experimental::awaitable_operators;
  error_code error;
  asio::steady_timer timer{co_await asio::this_coro::executor, deadline};
  const auto first = co_await (start(asio::redirect_error(asio::use_awaitable, error)) ||
                               timer.async_wait(asio::use_awaitable));
  co_return first.index() == 0 ? error : asio::error::timed_out;
}

asio::awaitable<void> pause_for(std::chrono::milliseconds time) {
  asio::steady_timer timer{co_await asio::this_coro::executor, time};
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<std::optional<DebuggerSocket>> connect_debugger(const Address& address,
                                                                Clock::time_point deadline) {
  const auto to = net::to_sockaddr(address);
  OwnFd fd = to ? sys::socket(to->family(), SOCK_STREAM, 0) : OwnFd{};
  if (!fd) co_return std::nullopt;
  const bool connected = sys::connect(fd.get(), to->get(), to->size) == 0;
  if (!connected && errno != EINPROGRESS) co_return std::nullopt;
  DebuggerSocket socket{co_await asio::this_coro::executor};
  error_code error;
  socket.assign(asio::generic::stream_protocol{AF_UNSPEC, 0}, fd.release(), error);
  if (error) co_return std::nullopt;
  if (!connected)
    error = co_await done_by(
        deadline, [&](auto token) { return socket.async_wait(DebuggerSocket::wait_write, token); });
  if (error || sys::int_option(socket.native_handle(), SOL_SOCKET, SO_ERROR) != 0)
    co_return std::nullopt;
  co_return std::move(socket);
}

// Node answers only who calls it by its number, or localhost.
std::string debugger_host(const Address& address) {
  const bool is_v6 = address.host().find(':') != std::string::npos;
  return (is_v6 ? '[' + address.host() + ']' : address.host()) + ':' +
         std::to_string(address.port());
}

// What is answered to GET /json/list; empty: nothing is, in time.
asio::awaitable<std::string> debuggers_at(const Address& address) {
  namespace http = boost::beast::http;
  const auto deadline = Clock::now() + kToAnswer;
  auto socket = co_await connect_debugger(address, deadline);
  if (!socket) co_return "";
  http::request<http::empty_body> question{http::verb::get, "/json/list", 11};
  question.set(http::field::host, debugger_host(address));
  error_code error = co_await done_by(
      deadline, [&](auto token) { return http::async_write(*socket, question, token); });
  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> answer;
  if (!error)
    error = co_await done_by(
        deadline, [&](auto token) { return http::async_read(*socket, buffer, answer, token); });
  co_return error ? "" : answer.get().body();
}

// Where its debugger listens, if it does.
asio::awaitable<std::optional<Debugger>> debugger_of(Visited& visited) {
  const auto listeners = process::tcp_listeners_of(visited.pid);
  if (!listeners) co_return std::nullopt;
  for (const process::TcpListener& each : *listeners) {
    if (visited.no_debuggers.contains(each.address.port())) continue;
    const std::string answer = co_await debuggers_at(each.address);
    const auto path = debugger_path(answer);
    if (path) co_return Debugger{each.address, *path, each.connections > 0};
    // What has come since it was signalled may be slow.
    if (!answer.empty() || !visited.opened) visited.no_debuggers.insert(each.address.port());
  }
  co_return std::nullopt;
}

asio::awaitable<std::optional<Debugger>> wait_for_debugger(Visited& visited,
                                                           std::chrono::seconds patience) {
  const auto deadline = Clock::now() + patience;
  for (auto pause = 20ms; visited.lives() && Clock::now() < deadline;
       pause = std::min(2 * pause, 250ms)) {
    if (auto found = co_await debugger_of(visited)) co_return found;
    co_await pause_for(pause);
  }
  co_return std::nullopt;
}

asio::awaitable<error_code> tell_debugger(DebuggerStream& stream, Clock::time_point deadline,
                                          const std::string& words) {
  co_return co_await done_by(
      deadline, [&](auto token) { return stream.async_write(asio::buffer(words), token); });
}

// Whoever is stopped goes on when the connection ends.
asio::awaitable<JsStackFound> stack_from(const Debugger& debugger, Clock::time_point deadline) {
  auto socket = co_await connect_debugger(debugger.address, deadline);
  if (!socket) co_return JsStackFound{.why_not = "its debugger takes no connection"};
  DebuggerStream stream{std::move(*socket)};
  stream.read_message_max(kMessageMax);
  error_code error = co_await done_by(deadline, [&](auto token) {
    return stream.async_handshake(debugger_host(debugger.address), debugger.path, token);
  });
  for (const std::string& question : JsStack::questions())
    if (!error) error = co_await tell_debugger(stream, deadline, question);
  JsStack stack;
  boost::beast::flat_buffer buffer;
  while (!error && !stack.lines() && stack.refusal().empty()) {
    buffer.clear();
    error =
        co_await done_by(deadline, [&](auto token) { return stream.async_read(buffer, token); });
    if (!error) stack.take({static_cast<const char*>(buffer.data().data()), buffer.data().size()});
  }
  if (stack.lines()) co_return JsStackFound{.lines = *stack.lines()};
  if (!stack.refusal().empty()) co_return JsStackFound{.why_not = stack.refusal()};
  if (error != asio::error::timed_out)
    co_return JsStackFound{.why_not = "its debugger: " + error.message()};
  co_return JsStackFound{.why_not =
                             "it does not stop for its debugger: it may be in code that is "
                             "no JavaScript"};
}

asio::awaitable<JsStackFound> look_into(Visited& visited) {
  const auto deadline = Clock::now() + kInAll;
  auto debugger = co_await debugger_of(visited);
  if (debugger && debugger->is_used)
    co_return JsStackFound{.why_not = "a debugger is attached to it", .is_debugged = true};
  if (!debugger) {
    if (std::string why = why_not_opened(visited.facts); !why.empty())
      co_return JsStackFound{.why_not = std::move(why)};
    if (!process::tcp_listeners_of(visited.pid))
      co_return JsStackFound{.why_not = "its sockets cannot be seen"};
    visited.opened = sys::signal_process(visited.process.get(), SIGUSR1) == 0;
    if (!visited.opened) co_return JsStackFound{.why_not = "it takes no signal from here"};
    debugger = co_await wait_for_debugger(visited, kToOpen);
  }
  if (!debugger)
    co_return JsStackFound{.why_not = "its debugger has not opened within " +
                                      std::to_string(kToOpen.count()) +
                                      " s: it may be in code that is no JavaScript"};
  co_return co_await stack_from(*debugger, deadline);
}

// Nobody else is to find it open. Who has attached meanwhile keeps it.
asio::awaitable<void> close_debugger(Visited& visited) {
  const auto deadline = Clock::now() + kToClose;
  co_await pause_for(kBeforeClosing);
  const auto debugger = co_await wait_for_debugger(visited, kToClose);
  if (!debugger || debugger->is_used) co_return;
  auto socket = co_await connect_debugger(debugger->address, deadline);
  if (!socket) co_return;
  DebuggerStream stream{std::move(*socket)};
  error_code error = co_await done_by(deadline, [&](auto token) {
    return stream.async_handshake(debugger_host(debugger->address), debugger->path, token);
  });
  if (!error) error = co_await tell_debugger(stream, deadline, closing_words());
  boost::beast::flat_buffer buffer;
  while (!error)  // it ends the connection
    error =
        co_await done_by(deadline, [&](auto token) { return stream.async_read(buffer, token); });
}

asio::awaitable<void> visit_debugger(Visited visited,
                                     std::function<void(const JsStackFound&)> done) {
  done(co_await look_into(visited));
  if (visited.opened) co_await close_debugger(visited);
}

DebuggerFacts debugger_facts(const WorkerStatus& worker) {
  const std::filesystem::path process = "/proc/" + std::to_string(worker.pid);
  std::error_code gone;
  const auto program = std::filesystem::read_symlink(process / "exe", gone).filename();
  const auto handled = process::parse_handled_signals(read_file(process / "status").value_or(""));
  return {.is_node = worker.handled_signals || program == "node" || program == "nodejs",
          .has_handler = worker.handled_signals && worker.handled_signals->contains(SIGUSR1),
          .ends_by_signal = (handled.value_or(0) >> (SIGUSR1 - 1) & 1) == 0};
}

}  // namespace

std::string why_not_opened(const DebuggerFacts& facts) {
  if (!facts.is_node) return "it is no program of Node";
  if (facts.has_handler)
    return "the program handles SIGUSR1 itself, which would open the debugger of Node";
  if (facts.ends_by_signal) return "SIGUSR1 opens no debugger there (--disable-sigusr1)";
  return {};
}

void find_js_stack(asio::io_context& io, const WorkerStatus& worker,
                   Callback<void(const JsStackFound& found)> done) {
  Visited visited{.pid = worker.pid,
                  .process = sys::pidfd_open(worker.pid),
                  .facts = debugger_facts(worker),
                  .no_debuggers = {}};
  for (const Address& address : worker.addresses)
    if (!address.is_unix()) visited.no_debuggers.insert(address.port());
  asio::co_spawn(io, visit_debugger(std::move(visited), std::move(done)),
                 [](const std::exception_ptr& failure) {
                   if (failure) std::rethrow_exception(failure);
                 });
}

}  // namespace cohort::cli
