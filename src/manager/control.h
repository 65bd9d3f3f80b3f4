// The control socket of an application: HTTP/1.1 and JSON on a Unix socket (docs/control.md).
//
//   GET  /v1/status             what it is and does
//   GET  /v1/events?last=20     what happened, then what happens: Server-Sent Events
//   GET  /v1/ends               how workers ended
//   POST /v1/reload[?wait=0]    every worker anew; {"canary":1,"batch":"25%","max_surge":2}
//   POST /v1/rollback           the workers before the last reload
//   POST /v1/scale {"workers":4}, or {"change":-1}, or {"workers":"auto"}
//   POST /v1/restart
//   POST /v1/recycle {"slot":0}
//   POST /v1/kill {"slot":0,"signal":"TERM"}
//   POST /v1/stop
//
// It is served by the primary's loop, which waits for no worker: it answers while all of them hang.
// Owned by whoever runs the cluster. The cluster may outlive it only if it does not run any more.
// The loop's thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/cluster.h"
#include "cohort/http.h"
#include "cohort/net.h"
#include "manager/event_log.h"
#include "manager/share.h"
#include "manager/status_json.h"
#include "net/direct_host.h"

namespace cohort::manager {

/// What the verbs ask and do. Each refuses with an Error that says why, for the client.
struct Actions {
  /// The number of the new generation; `done` is called once, later.
  std::function<Result<int>(const ReloadWish& wish, std::function<void(const RolloutResult&)> done)>
      reload;
  /// What a reload would find changed: `workers 2 -> 3`.
  std::function<Result<std::vector<std::string>>()> changes;
  /// The number of the generation before, which is to serve again.
  std::function<Result<int>()> rollback;
  std::function<Result<void>(unsigned workers)> scale;
  /// So many more, or less. How many there are then.
  std::function<Result<unsigned>(int change)> scale_by;
  /// As many as make sense. How many there are then.
  std::function<Result<unsigned>()> scale_auto;
  std::function<void()> stop;
  std::function<Result<void>()> restart;
  std::function<Result<void>(std::size_t slot, const std::string& signal)> kill;
  /// The id of the successor.
  std::function<Result<int>(std::size_t slot)> recycle;
  std::function<std::string()> directory;        ///< Where its workers run, by now.
  std::function<std::string()> why_so_many;      ///< Workers: `one for each CPU`.
  std::function<std::string()> why_not_started;  ///< The next one; empty: nothing is known.
};

class Control {
 public:
  Control(Cluster& cluster, Application application, Actions actions);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// On DIRECTORY/NAME.sock, until this is destroyed; `failed` is called, at once or later, if that
  /// cannot be. EWOULDBLOCK: another application has the name. Where `any_name`, it gets a number
  /// then: NAME-2.
  void listen(const std::string& directory, bool any_name,
              std::function<void(const Error&)> failed);

  /// What `/v1/status` answers.
  Value status() const;
  /// What the application is called.
  const std::string& name() const { return application_.name; }
  /// For `events`; with a member `exit`, for `ends` too.
  void tell(Value event);

 private:
  struct Reader;

  void take(const net::Socket& socket);
  void answer(const http::Request& request, http::Response& response);
  void events(const http::Request& request, const http::Response& response);
  void reload(const http::Request& request, const http::Response& response);
  void scale(std::string_view body, const http::Response& response);
  void recycle(std::string_view body, const http::Response& response);
  void kill(std::string_view body, const http::Response& response);
  static void feed(const EventLog& log, const std::shared_ptr<Reader>& reader);

  Cluster& cluster_;
  Application application_;
  Actions actions_;
  EventLog log_;
  std::deque<RolloutResult> rollouts_;
  std::string directory_;
  OwnFd name_;  ///< The right to it.
  net::DirectHost host_;
  http::Server http_;
  net::Server server_;
  std::vector<std::weak_ptr<Reader>> readers_;
};

}  // namespace cohort::manager
