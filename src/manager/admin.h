// The address for probes (`cohort run --admin`): plain HTTP for whoever reaches it, and nothing
// that changes anything.
//
//   GET /livez    200 while the primary's loop turns
//   GET /readyz   200, or 503 and why: manager/probes.h
//   GET /status   as /v1/status of the control socket
//
// It is served by the primary's loop, which waits for no worker: it answers while all of them hang.
// Owned by whoever runs the cluster. The cluster may outlive it only if it does not run any more.
// The loop's thread.
#pragma once

#include <cstddef>
#include <functional>

#include "cohort/cluster.h"
#include "cohort/http.h"
#include "cohort/net.h"
#include "net/direct_host.h"

namespace cohort::manager {

class Admin {
 public:
  /// `status`: what `/status` answers.
  Admin(Cluster& cluster, std::size_t min_ready, std::function<Value()> status);
  ~Admin();
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  /// Binds now, and answers as soon as the loop runs. A socket file goes with this.
  Result<void> listen(const Address& address);

 private:
  void take(const net::Socket& socket);
  void answer(const http::Request& request, const http::Response& response);

  Cluster& cluster_;
  const std::size_t min_ready_;
  const std::function<Value()> status_;
  net::DirectHost host_;
  http::Server http_;
  net::Server server_;
};

}  // namespace cohort::manager
