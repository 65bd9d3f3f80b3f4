// Which workers still have to show that they are well (Settings::check), and what they say.
//
// Each is asked in a turn of its own, again and again until it is well or gone, once at a time.
// Owned by the Primary; loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cohort/error.h"
#include "cohort/settings.h"
#include "cohort/worker.h"

namespace cohort::cluster {

class WorkerChecks {
 public:
  struct User {
    /// It is, and awaited no more. `now`: it was not before, and that was told.
    std::function<void(const Worker& worker, bool now)> well;
    /// Told once for each reason in a row.
    std::function<void(const Worker& worker, const std::string& why)> not_well;
  };

  WorkerChecks(const Loop& loop, User user) : loop_{loop}, user_{std::move(user)} {}

  /// From now on it is awaited.
  void expect(int worker, Check check);
  /// It listens. Asks, if it is awaited and was not asked yet.
  void begin(const Worker& worker);
  bool is_awaited(int worker) const { return awaited_.contains(worker); }
  /// Why it was not well, also when it is gone; empty: it is, or has not answered yet.
  std::string why_not(int worker) const;
  /// It ends: nobody waits for it any more.
  void gone(int worker) { awaited_.erase(worker); }

 private:
  struct Awaited {
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
  std::map<int, std::string> reasons_;  // the last few
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
