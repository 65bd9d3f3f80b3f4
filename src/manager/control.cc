#include "manager/control.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/sys.h"
#include "manager/runtime_directory.h"

namespace cohort::manager {
namespace {

constexpr std::size_t kRolloutsMax = 20;
constexpr std::size_t kBodyMax = 64 * 1024;
constexpr unsigned kNamesTried = 100;
constexpr mode_t kSocketMode = 0600;

// So that one who asks cannot be made to keep more than it reads.
constexpr std::size_t kReadersMax = 64;

struct Target {
  std::string_view path, query;
};
Target target_of(std::string_view url) {
  const auto mark = std::min(url.find('?'), url.size());
  return {url.substr(0, mark), url.substr(std::min(mark + 1, url.size()))};
}

// Of `a=1&b=2`. What the verbs take has no need of percent-encoding.
std::optional<std::string_view> parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('='))
      return pair.substr(name.size() + 1);
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t result = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), result);
  if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return result;
}

void send_json(const http::Response& response, int status, const Value& value) {
  response.status_code(status);
  (void)response.set_header("Content-Type", "application/json");
  response.end(to_json(value) + '\n');
}

// One line that says what to do.
void refuse(const http::Response& response, int status, std::string_view text) {
  send_json(response, status, Value::object({{"error", text}}));
}

// `2`, or `"25%"`.
std::optional<Share> share_of(const Value& value) {
  if (const auto text = value.string_or(""); !text.empty()) return share_from(text);
  const auto number = value.int64_or(0);
  if (number < 1 || number > std::numeric_limits<int>::max()) return std::nullopt;
  return Share{static_cast<unsigned>(number)};
}

// Nothing: there is something else in it.
std::optional<ReloadWish> wish_from(std::string_view body) {
  ReloadWish wish;
  if (body.empty()) return wish;
  const auto wanted = parse_json(body);
  if (!wanted || !wanted->is_object()) return std::nullopt;
  for (const auto& [name, value] : wanted->members()) {
    const auto share = share_of(value);
    auto* member = name == "canary"      ? &wish.canary
                   : name == "batch"     ? &wish.batch
                   : name == "max_surge" ? &wish.max_surge
                                         : nullptr;
    if (member == nullptr || !share) return std::nullopt;
    *member = share;
  }
  return wish;
}

bool is_allowed(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return sys::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, size) == 0 &&
         (peer.uid == 0 || peer.uid == ::geteuid());
}

}  // namespace

// Whoever follows the events. It gets them as fast as it reads: what it has not read is in the log.
struct Control::Reader {
  http::Response response;
  std::uint64_t read = 0;  ///< The number of the last one that it was sent.
  bool follows = true;
  bool waits = false;  ///< Its connection takes no more, for now.
};

Control::Control(Cluster& cluster, Application application, Actions actions)
    : cluster_{cluster},
      application_{std::move(application)},
      actions_{std::move(actions)},
      host_{Loop{cluster.io_context(), cluster.io_context().get_executor()}},
      http_{http::create_server(host_,
                                [this](const http::Request& request, http::Response& response) {
                                  answer(request, response);
                                },
                                {.body_size_max = kBodyMax})},
      server_{net::create_server(host_, [this](const net::Socket& socket) { take(socket); })} {
  cluster_.on_rollout([this](const RolloutResult& result) {
    rollouts_.push_back(result);
    if (rollouts_.size() > kRolloutsMax) rollouts_.pop_front();
  });
}

Control::~Control() {
  host_.abandon();
  give_name_back(directory_, application_.name, std::move(name_));
}

void Control::listen(const std::string& directory, bool any_name,
                     std::function<void(const Error&)> failed) {
  if (const auto made = make_directory(directory); !made) return failed(made.error());
  directory_ = directory;
  const std::string wanted = application_.name;
  for (unsigned i = 2;; ++i) {
    auto taken = take_name(directory, application_.name);
    if (taken) {
      name_ = std::move(*taken);
      break;
    }
    const bool busy = taken.error().code == boost::system::errc::operation_would_block;
    if (!busy || !any_name || i > kNamesTried) return failed(taken.error());
    application_.name = wanted + '-' + std::to_string(i);
  }
  server_.on_error(std::move(failed));
  const std::string path = socket_path(directory, application_.name);
  // Whatever the umask: somebody may open the directory.
  server_.listen(Address::from_path(path), [path] { sys::chmod(path.c_str(), kSocketMode); });
}

void Control::tell(Value event) {
  log_.add(std::move(event));
  std::erase_if(readers_, [](const auto& reader) { return reader.expired(); });
  for (const auto& weak : readers_)
    if (const auto reader = weak.lock()) feed(log_, reader);
}

// The directory keeps others out, and this does if somebody has opened it.
void Control::take(const net::Socket& socket) {
  auto handle = socket.release();
  if (handle && is_allowed(handle->native_handle())) http_.adopt(std::move(*handle));
}

void Control::answer(const http::Request& request, http::Response& response) {
  const auto [path, query] = target_of(request.url());
  struct Route {
    std::string_view path, method;
    std::function<void()> run;
  };
  const Route routes[] = {
      {"/v1/status", "GET", [&] { send_json(response, 200, status()); }},
      {"/v1/events", "GET", [&] { events(request, response); }},
      {"/v1/ends", "GET",
       [&] {
         Value ends = Value::array();
         for (const NumberedEvent& end : log_.ends()) ends.push_back(end.event);
         send_json(response, 200, Value::object({{"ends", std::move(ends)}}));
       }},
      {"/v1/changes", "GET",
       [&] {
         const auto found = actions_.changes();
         if (!found) return refuse(response, 409, found.error().detail);
         Value list = Value::array();
         for (const std::string& change : *found) list.push_back(change);
         send_json(response, 200, Value::object({{"changes", std::move(list)}}));
       }},
      {"/v1/reload", "POST", [&] { reload(request, response); }},
      {"/v1/rollback", "POST",
       [&] {
         const auto generation = actions_.rollback();
         if (!generation) return refuse(response, 409, generation.error().detail);
         send_json(response, 202, Value::object({{"generation", *generation}}));
       }},
      {"/v1/scale", "POST", [&] { scale(request.body(), response); }},
      {"/v1/restart", "POST",
       [&] {
         const auto done = actions_.restart();
         if (!done) return refuse(response, 409, done.error().detail);
         send_json(response, 202, Value::object({{"restarting", true}}));
       }},
      {"/v1/recycle", "POST", [&] { recycle(request.body(), response); }},
      {"/v1/kill", "POST", [&] { kill(request.body(), response); }},
      {"/v1/stop", "POST",
       [&] {
         actions_.stop();
         send_json(response, 202, Value::object({{"stopping", true}}));
       }},
  };
  const auto* route = std::find_if(std::begin(routes), std::end(routes),
                                   [&](const Route& each) { return each.path == path; });
  if (route == std::end(routes))
    return refuse(response, 404, "there is no " + std::string{path} + "; see docs/control.md");
  if (route->method != request.method()) {
    (void)response.set_header("Allow", route->method);
    return refuse(response, 405, std::string{path} + " wants " + std::string{route->method});
  }
  route->run();
}

Value Control::status() const {
  const ClusterStatus now = cluster_.status();
  Value status =
      status_value(application_, actions_.directory(), now, rollouts_,
                   std::chrono::steady_clock::now(), [](pid_t pid) { return usage_of(pid); });
  status["why_so_many"] = actions_.why_so_many();
  const auto kept = static_cast<std::size_t>(
      std::count_if(now.workers.begin(), now.workers.end(),
                    [](const WorkerStatus& worker) { return worker.kept && worker.pid > 0; }));
  const bool is_one_missing = kept + now.closed.size() < now.places;
  const std::string why = is_one_missing ? actions_.why_not_started() : std::string{};
  status["why_missing"] = why.empty() ? Value(nullptr) : Value(why);
  return status;
}

void Control::events(const http::Request& request, const http::Response& response) {
  const std::string_view query = target_of(request.url()).query;
  const auto last = number(parameter(query, "last").value_or("0"));
  if (!last) return refuse(response, 400, "last: how many of the events that have been");
  std::erase_if(readers_, [](const auto& reader) { return reader.expired(); });
  if (readers_.size() >= kReadersMax)
    return refuse(response, 503, "so many follow the events that there is no room for more");
  // Who comes back to another process than it left has seen nothing of this one.
  const auto resumed = number(request.header("Last-Event-ID"));
  const auto seen = resumed
                        ? (*resumed > log_.last() ? 0 : *resumed)
                        : std::max(log_.last() - std::min(*last, log_.last()), log_.first() - 1);
  const auto reader =
      std::make_shared<Reader>(Reader{response, seen, parameter(query, "follow") != "0"});
  (void)response.write_head(200,
                            {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}});
  response.write(": cohort\n\n");
  response.on_close([reader] {});  // Kept for as long as its connection.
  if (reader->follows) readers_.push_back(reader);
  feed(log_, reader);
}

void Control::feed(const EventLog& log, const std::shared_ptr<Reader>& reader) {
  while (!reader->waits) {
    const NumberedEvent* next = log.after(reader->read);
    if (next == nullptr) break;
    std::string text;
    if (next->number > reader->read + 1)
      text = "event: missed\ndata: {\"event\":\"missed\",\"count\":" +
             std::to_string(next->number - reader->read - 1) + "}\n\n";
    text += "id: " + std::to_string(next->number) + "\ndata: " + to_json(next->event) + "\n\n";
    reader->read = next->number;
    if (reader->response.write(text)) continue;
    reader->waits = true;
    reader->response.on_drain([&log, weak = std::weak_ptr{reader}] {
      const auto waiting = weak.lock();
      if (!waiting) return;
      waiting->waits = false;
      feed(log, waiting);
    });
    return;
  }
  if (!reader->follows) reader->response.end();
}

void Control::reload(const http::Request& request, const http::Response& response) {
  const bool wait = parameter(target_of(request.url()).query, "wait") != "0";
  const auto wish = wish_from(request.body());
  if (!wish)
    return refuse(response, 400,
                  "the body may be {\"canary\": 1, \"batch\": \"25%\", \"max_surge\": 2}: each a "
                  "number of workers from 1 on, or a part of them");
  auto started = actions_.reload(*wish, [wait, response](const RolloutResult& result) {
    if (!wait) return;
    const bool reached = result.outcome == RolloutResult::Outcome::Reached;
    send_json(response, reached ? 200 : 409, to_value(result));
  });
  if (!started) return refuse(response, 409, started.error().detail);
  if (!wait) send_json(response, 202, Value::object({{"generation", *started}}));
}

void Control::scale(std::string_view body, const http::Response& response) {
  constexpr std::int64_t kChangeMax = 1 << 20, kNone = kChangeMax + 1;
  const auto wanted = parse_json(body);
  const auto change = wanted ? (*wanted)["change"].int64_or(kNone) : kNone;
  if (change != kNone) {
    const auto done =
        actions_.scale_by(static_cast<int>(std::clamp(change, -kChangeMax, kChangeMax)));
    if (!done) return refuse(response, 400, done.error().detail);
    return send_json(response, 202, Value::object({{"workers", *done}}));
  }
  if (wanted && (*wanted)["workers"] == "auto") {
    const auto done = actions_.scale_auto();
    if (!done) return refuse(response, 400, done.error().detail);
    return send_json(response, 202, Value::object({{"workers", *done}}));
  }
  const auto workers = wanted ? (*wanted)["workers"].int64_or(0) : 0;
  if (workers < 1)
    return refuse(response, 400,
                  "the body has to be {\"workers\": N}, N from 1 on, or \"auto\"; or "
                  "{\"change\": N}");
  const auto done = actions_.scale(static_cast<unsigned>(std::min<std::int64_t>(workers, 1 << 20)));
  if (!done) return refuse(response, 400, done.error().detail);
  send_json(response, 202, Value::object({{"workers", workers}}));
}

void Control::recycle(std::string_view body, const http::Response& response) {
  const auto wanted = parse_json(body);
  const auto slot = wanted ? (*wanted)["slot"].int64_or(-1) : -1;
  if (slot < 0) return refuse(response, 400, "the body has to be {\"slot\": N}");
  const auto successor = actions_.recycle(static_cast<std::size_t>(slot));
  if (!successor) return refuse(response, 409, successor.error().detail);
  send_json(response, 202, Value::object({{"slot", slot}, {"worker", *successor}}));
}

void Control::kill(std::string_view body, const http::Response& response) {
  const auto wanted = parse_json(body);
  const auto slot = wanted ? (*wanted)["slot"].int64_or(-1) : -1;
  if (slot < 0)
    return refuse(response, 400, "the body has to be {\"slot\": N, \"signal\": \"TERM\"}");
  const std::string signal{(*wanted)["signal"].string_or("TERM")};
  const auto done = actions_.kill(static_cast<std::size_t>(slot), signal);
  if (!done) return refuse(response, 409, done.error().detail);
  send_json(response, 202, Value::object({{"slot", slot}, {"signal", signal}}));
}

}  // namespace cohort::manager
