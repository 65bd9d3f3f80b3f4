#include "manager/admin.h"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "base/sys.h"
#include "manager/probes.h"

namespace cohort::manager {
namespace {

using namespace std::chrono_literals;

// Anybody may connect. One that says nothing costs a descriptor, for so long; of many, some are
// turned away.
constexpr auto kPatience = 5s;
constexpr std::size_t kConnectionsMax = 64;
constexpr http::ServerOptions kSmall{.headers_timeout = kPatience,
                                     .request_timeout = kPatience,
                                     .keep_alive_timeout = kPatience,
                                     .send_timeout = kPatience,
                                     .header_size_max = 8 * 1024,
                                     .header_count_max = 100,
                                     .body_size_max = 1024};

void send(const http::Response& response, int status, std::string_view type,
          const std::string& text) {
  response.status_code(status);
  (void)response.set_header("Content-Type", type);
  (void)response.set_header("Cache-Control", "no-store");
  (void)response.set_header("Connection", "close");
  response.end(text + '\n');
}

void send(const http::Response& response, const Verdict& verdict) {
  send(response, verdict.status, "text/plain", verdict.text);
}

// Whoever reaches the port may read it: not the arguments of the program, nor what workers that
// failed wrote to stderr.
Value without_secrets(Value status) {
  const std::string program{status["program"].string_or("")};
  status["program"] = program.substr(0, program.find(' '));
  Value rollouts = Value::array();
  for (const Value& each : status["rollouts"].elements()) {
    Value rollout = each;
    const std::string text{each["text"].string_or("")};
    rollout["text"] = text.substr(0, text.find('\n'));
    rollouts.push_back(std::move(rollout));
  }
  status["rollouts"] = std::move(rollouts);
  return status;
}

}  // namespace

Admin::Admin(Cluster& cluster, std::size_t min_ready, std::function<Value()> status)
    : cluster_{cluster},
      min_ready_{min_ready},
      status_{std::move(status)},
      host_{Loop{cluster.io_context(), cluster.io_context().get_executor()}},
      http_{http::create_server(
          host_,
          [this](const http::Request& request, http::Response& response) {
            answer(request, response);
          },
          kSmall)},
      server_{net::create_server(host_, [this](const net::Socket& socket) { take(socket); })} {}

Admin::~Admin() { host_.abandon(); }

Result<void> Admin::listen(const Address& address) {
  const auto bound = host_.listening_descriptor({.address = address});
  if (!bound) return bound.error();
  OwnFd copy = sys::duplicate(*bound);
  if (!copy) return errno_error("listen " + to_string(address));
  server_.listen(Handle{std::move(copy)});
  return {};
}

void Admin::take(const net::Socket& socket) {
  if (http_.stats().connections_open >= kConnectionsMax) return socket.destroy();
  if (auto handle = socket.release()) http_.adopt(std::move(*handle));
}

void Admin::answer(const http::Request& request, const http::Response& response) {
  const std::string_view url = request.url();
  const std::string_view path = url.substr(0, url.find('?'));
  if (path != "/livez" && path != "/readyz" && path != "/status")
    return send(response, {404, "there are /livez, /readyz and /status"});
  if (request.method() != "GET" && request.method() != "HEAD") {
    (void)response.set_header("Allow", "GET, HEAD");
    return send(response, {405, "this is only to be read"});
  }
  if (path == "/livez") return send(response, {200, "ok"});
  if (path == "/readyz") return send(response, readiness(cluster_.status(), min_ready_));
  send(response, 200, "application/json", to_json(without_secrets(status_())));
}

}  // namespace cohort::manager
