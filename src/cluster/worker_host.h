// Where the servers of this process get their connections from: from the primary, or, in a process
// that has none, from sockets that it binds itself.
//
// Shared by the OwnWorker and what its servers hold; loop's executor only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster/primary_link.h"
#include "cluster/wire.h"
#include "net/direct_host.h"
#include "net/listener.h"
#include "net/load.h"
#include "net/open_servers.h"

namespace cohort::cluster {

class WorkerHost final : public net::Host, public std::enable_shared_from_this<WorkerHost> {
 public:
  WorkerHost(const Loop& loop, PrimaryLink& primary, std::function<void()> waits_changed);
  ~WorkerHost();

  // net::Host
  const Loop& loop() const override { return loop_; }
  std::unique_ptr<net::Listener> listen(const net::ListenRequest& request,
                                        std::shared_ptr<net::ListenerUser> user) override;
  std::unique_ptr<net::Listener> adopt(OwnFd listening,
                                       std::shared_ptr<net::ListenerUser> user) override {
    return direct_.adopt(std::move(listening), std::move(user));
  }
  Result<int> listening_descriptor(const net::ListenRequest& request) override;

  /// `newconn`
  void new_connections(ipc::Incoming& incoming);
  /// A reply of the primary: false if it answers no query.
  bool take_answer(std::int64_t ack, const Value& reply, OwnFd fd);
  /// Something of the primary's is needed: a reply, connections.
  bool waits() const { return !claims_.empty() || awaits_replies(); }
  bool awaits_replies() const { return !queries_.empty(); }

  /// The process ends: a server that comes now is told so.
  void refuse_new() { ends_ = true; }
  /// The primary takes idle connections back: others go on serving.
  void give_back_idle() { takes_back_ = true; }
  /// Closes every server; `done` is called once, when they have finished what they serve.
  void drain(std::function<void()> done);
  /// As net::ListenerUser::rest, for every server that the primary gives connections.
  void rest(bool on) { servers_.rest_all(on); }
  /// The Cluster ends: closes every server, and drops the handlers of the user's.
  void abandon();

 private:
  class Claim;
  class Handle;
  struct EqualQueries {
    std::int64_t next = 0;
    int open = 0;
  };

  std::int64_t ask(const std::shared_ptr<Claim>& claim);
  void query_answered(const std::shared_ptr<Claim>& claim, const Value& reply, OwnFd fd);
  void fail(Claim& claim, const Error& error);
  void inherit_options(const Claim& claim, int fd) const;
  void send_close(const Claim& claim);
  void send_room(const Claim& claim);
  void send_descriptor(const char* act, const Claim& claim, int fd);
  void give_back(const Claim& claim, OwnFd connection);
  std::shared_ptr<net::Load> publish(const Claim& claim);
  void release(Claim& claim);

  const Loop loop_;
  PrimaryLink& primary_;
  std::function<void()> waits_changed_;
  bool ends_ = false;
  bool takes_back_ = false;
  std::map<std::int64_t, std::shared_ptr<Claim>> queries_;  // by number; shared with Handle
  std::map<std::string, std::shared_ptr<Claim>> claims_;    // by key; shared with Handle
  std::map<std::string, EqualQueries> equal_queries_;
  std::vector<std::shared_ptr<Claim>> descriptors_;  // of listening_descriptor
  net::OpenServers servers_;
  net::DirectHost direct_;
};

}  // namespace cohort::cluster
