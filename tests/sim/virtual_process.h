// A worker's process, as the simulation has it: it boots, listens, takes and refuses connections,
// and ends in every way that a process can. It knows nothing of the primary but the two queues
// between them.
#pragma once

#include <deque>
#include <functional>
#include <set>

#include "cluster/dispatcher.h"
#include "sim/climate.h"
#include "sim/random.h"

namespace cohort::cluster::sim {

struct FromWorker {
  enum class Kind { Online, Query, Listening, CloseServer, Leaving, Exiting, Answer, Garbage };
  Kind kind;
  int listener = 0;
  ConnectionId connection = 0;
  bool accepted = false;
};

struct ToWorker {
  enum class Kind { NewConnection, Disconnect, ExitingAnswer };
  Kind kind;
  int listener = 0;
  ConnectionId connection = 0;
};

class VirtualProcess {
 public:
  /// `touch` is called when it starts to serve a connection.
  VirtualProcess(Random& random, const Climate& climate, std::function<void(ConnectionId)> touch);

  bool alive() const { return alive_; }
  /// Its end of the channel.
  bool channel_open() const { return alive_ && channel_open_; }
  void die();
  /// Nothing but a signal moves it from here on; `false` brings it back.
  void hang(bool hung) { hung_ = hung; }
  void receive(const ToWorker& message);
  /// Does one thing, if there is anything to do.
  bool act();

  /// What it sent and the primary has not read.
  std::deque<FromWorker> sent;

 private:
  enum class End { None, Asked, OwnWill, Abrupt };

  void send(FromWorker message) { sent.push_back(message); }
  bool misbehave();
  bool boot();
  bool open_server();
  bool take_message();
  void take_connection(const ToWorker& message);
  bool finish_connection();
  bool proceed_to_end();
  void close_servers();

  Random& random_;
  const Climate& climate_;
  std::function<void(ConnectionId)> touch_;
  const bool exits_at_once_;
  const bool never_listens_;
  const bool slow_;
  const bool silent_;   // does not say that it is online
  const bool lingers_;  // its clients stay when it leaves
  const bool warns_;    // says that it leaves before it closes its servers: Node's does not
  bool alive_ = true;
  bool channel_open_ = true;
  bool hung_ = false;
  std::size_t rests_ = 0;  // so many times more it opens no server
  bool online_ = false;
  End end_ = End::None;
  bool said_leaving_ = false;
  bool said_exiting_ = false;
  bool exiting_answered_ = false;
  std::set<int> asked_;    // servers that are about to listen
  std::set<int> servers_;  // servers that listen
  std::set<ConnectionId> serving_;
  std::deque<ToWorker> inbox_;
};

}  // namespace cohort::cluster::sim
