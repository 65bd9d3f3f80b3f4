// Which workers still have to show that they are ready (Settings::ready), and well
// (Settings::check), and what they say.
//
// One that is ready is asked whether it is well, again and again until it is, or is gone; once at a
// time. Owned by the Primary; loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cluster/notify_socket.h"
#include "cohort/error.h"
#include "cohort/settings.h"
#include "cohort/worker.h"

namespace cohort::cluster {

class WorkerChecks {
 public:
  struct User {
    /// It is ready and well, and awaited no more. `now`: it was not well before, and that was told.
    std::function<void(const Worker& worker, bool now)> well;
    /// Told once for each reason in a row.
    std::function<void(const Worker& worker, const std::string& why)> not_well;
    /// It said WATCHDOG=1.
    std::function<void(const Worker& worker)> lives;
  };

  WorkerChecks(const Loop& loop, User user) : loop_{loop}, user_{std::move(user)} {}

  /// From now on it is awaited, if there is anything to wait for.
  void expect(const Worker& worker, const Settings& settings);
  /// NOTIFY_SOCKET, where that makes it ready or is its sign of life, and WATCHDOG_USEC; empty
  /// else.
  Result<Environment> open_socket(const Worker& worker, const Settings& settings);
  /// This has happened to it. If it makes it ready it is asked, once; or it is `well` at once.
  void happened(const Worker& worker, Readiness::By what);
  /// It listens, and is not awaited. It is `well` when its loop has turned since, or nobody can ask
  /// whether it does.
  void await_turn(const Worker& worker);
  bool is_awaited(int worker) const { return awaited_.contains(worker); }
  /// What it has not done, or why it was not well, also when it is gone; empty: it is, or has not
  /// answered yet.
  std::string why_not(int worker) const;
  /// It ends: nobody waits for it any more.
  void gone(int worker);

 private:
  struct Awaited {
    Readiness ready;
    Check check;
    boost::asio::steady_timer timer;
    int attempt = 0;
  };

  void ask(const Worker& worker);
  void answered(const Worker& worker, int attempt, const Result<void>& answer);
  void forget_some();
  void after(const Worker& worker, std::chrono::milliseconds time, std::function<void()> task);

  const Loop loop_;
  const User user_;
  std::map<int, Awaited> awaited_;
  std::map<int, std::unique_ptr<NotifySocket>> sockets_;  // of who lives
  std::map<int, std::string> reasons_;                    // the last few
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
