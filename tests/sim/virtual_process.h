// A worker's process, as the simulation has it: it boots, listens, takes and refuses connections,
// blocks, and ends in every way that a process can. It knows nothing of the primary but the two
// queues between them, and the kernel. One of cohort ends as its OwnEnding says, the others as
// Node's do.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "cluster/dispatcher.h"
#include "cluster/own_ending.h"
#include "cluster/supervisor.h"
#include "sim/climate.h"
#include "sim/random.h"

namespace cohort::cluster::sim {

struct FromWorker {
  enum class Kind {
    Online,
    Query,
    Listening,
    CloseServer,
    Leaving,
    Exiting,
    Answer,
    Room,
    Follows,
    Garbage
  };
  Kind kind;
  int listener = 0;
  std::uint64_t seq = 0;     // of what it answers
  std::size_t accepted = 0;  // so many, the first ones
};

struct ToWorker {
  enum class Kind { Reply, HandOff, Disconnect, ExitingAnswer, Lead, Follow };
  Kind kind;
  int listener = 0;
  std::uint64_t seq = 0;
  std::vector<ConnectionId> connections = {};  // none: it is only asked for a sign of life
  bool accepts = false;                        // of a reply: it comes with a socket
};

/// What a process finds in the kernel.
class Kernel {
 public:
  virtual TimePoint time() const = 0;
  /// What waits first at the worker's own socket.
  virtual std::optional<ConnectionId> accept(int worker, int listener) = 0;
  /// The process has it from now on, and may have read from it.
  virtual void touched(ConnectionId connection) = 0;
  /// When its client has sent its request.
  virtual TimePoint request_at(ConnectionId connection) const = 0;
  /// It was closed before it was read. `well`: by one that was neither blocked nor hung.
  virtual void unread(ConnectionId connection, int worker, TimePoint request_at, bool well) = 0;

 protected:
  ~Kernel() = default;
};

class VirtualProcess {
 public:
  enum class Kind { Cohort, NodeWithPreload, Node };

  VirtualProcess(Random& random, const Climate& climate, Kernel& kernel, int id);

  bool alive() const { return alive_; }
  /// Its end of the channel.
  bool channel_open() const { return alive_ && channel_open_; }
  void die();
  /// It has exited by itself, and said that another like it would, too.
  bool is_permanent() const { return permanent_; }
  /// Nothing but SIGKILL moves it from here on; `false` brings it back.
  void hang(bool hung);
  void block(TimePoint until) { blocked_until_ = std::max(blocked_until_, until); }
  bool is_blocked() const { return hung_ || kernel_.time() < blocked_until_; }
  /// It was neither blocked nor hung, for longer than anybody waits for it.
  bool is_well() const;
  /// TERM.
  void signal();
  void receive(const ToWorker& message);
  /// Does one thing, if there is anything to do.
  bool act();
  /// When it has something to do that it has not now.
  std::optional<TimePoint> wakes_at() const;

  Kind kind() const { return kind_; }
  bool only_accepts() const { return only_accepts_; }
  bool has_handler() const { return has_handler_; }
  bool minds_disconnect() const { return minds_disconnect_; }
  std::size_t connections() const { return serving_.size(); }
  std::size_t unread() const;
  bool serves(int listener) const { return servers_.contains(listener); }
  bool is_full() const { return serving_.size() >= climate_.limit; }
  /// It was told to lead, or will read that it was, and has not said that it does no more.
  bool may_lead() const;
  /// It ends, because it wants to, or was told to.
  bool is_ending() const { return ending_; }

  /// What it sent and the primary has not read.
  std::deque<FromWorker> sent;

 private:
  void exit_by_itself();
  enum class Wish { None, Asked, OwnWill, Abrupt, Handler };

  struct Served {
    TimePoint request_at;
    bool is_read = false;
  };

  void send(FromWorker message) { sent.push_back(message); }
  bool misbehave();
  void wants_to_end();
  bool boot();
  bool open_server();
  bool take_message();
  void replied(const ToWorker& message);
  void take_hand_off(const ToWorker& message);
  bool accept();
  void has_one(ConnectionId connection);
  bool read_request();
  bool finish_connection();
  bool live_on();
  void take_signal();
  void told_to_disconnect();
  void close_servers();
  bool proceed_to_end();
  bool proceed_as_node();
  void step(OwnEvent event);
  void carry_out(std::uint8_t actions);

  Random& random_;
  const Climate& climate_;
  Kernel& kernel_;
  const int id_;
  const Kind kind_;
  const bool exits_at_once_;
  const bool never_listens_;
  const bool slow_;
  const bool silent_;        // does not say that it is online
  const bool lingers_;       // its clients stay when it leaves
  const bool warns_;         // says that it leaves before it closes its servers: Node's does not
  const bool only_accepts_;  // takes no hand-offs
  const bool kept_alive_;    // by a timer
  const bool has_handler_;   // for TERM
  const bool minds_disconnect_;
  bool alive_ = true;
  bool permanent_ = false;
  bool leads_ = false;
  bool channel_open_ = true;
  bool hung_ = false;
  TimePoint blocked_until_{};
  std::size_t rests_ = 0;  // so many times more it opens no server
  bool online_ = false;
  Wish wish_ = Wish::None;  // Node's
  OwnEnding own_{true};     // cohort's
  bool ending_ = false;
  bool killed_ = false;  // by itself
  int terminated_ = 0;
  int signals_ = 0;  // that it has not looked at
  bool closing_ = false;
  bool closed_told_ = false;
  bool channel_end_told_ = false;
  bool said_leaving_ = false;
  bool said_exiting_ = false;
  bool exiting_answered_ = false;
  bool told_ = false;            // to disconnect
  std::map<int, bool> asked_;    // servers that are about to listen; whether closed by now
  std::map<int, bool> servers_;  // those that listen; whether they have a socket
  std::set<int> refused_;        // listeners whose hand-offs it had no room for
  std::map<ConnectionId, Served> serving_;
  std::deque<ToWorker> inbox_;
};

}  // namespace cohort::cluster::sim
