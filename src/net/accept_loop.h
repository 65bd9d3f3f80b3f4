// Accepting on a listening descriptor, alone or together with other processes.
//
// Owned by whoever gave out the Listener; runs on the loop's executor and keeps the loop running
// while it is open. After `fork()` the child must not touch it.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "base/loop.h"
#include "net/listener.h"

namespace cohort::net {

class AcceptLoop : public std::enable_shared_from_this<AcceptLoop> {
 public:
  enum class Sharing {
    Alone,       ///< Accepts what is there, a batch at a time.
    WithOthers,  ///< One connection per wake-up, so that the other processes get their share.
  };

  /// Starts to accept on `fd`, which is listening and non-blocking. Connections go to `user` until
  /// `close`, or until the user is gone. Without descriptors or memory to accept with it pauses for
  /// 100 ms at a time, and says so on stderr once. Counts what it accepts in `load`, if given.
  static std::shared_ptr<AcceptLoop> start(const Loop& loop, OwnFd fd,
                                           std::weak_ptr<ListenerUser> user, Sharing sharing,
                                           std::shared_ptr<Load> load = {});

  /// Closes this process's descriptor; no connection is delivered any more. Idempotent.
  void close();
  /// As Listener::resume.
  void resume() { wait(); }
  /// -1 once closed.
  int fd() const { return watch_ ? watch_->fd() : -1; }

 private:
  AcceptLoop(const Loop& loop, OwnFd fd, std::weak_ptr<ListenerUser> user, Sharing sharing,
             std::shared_ptr<Load> load);
  void wait();
  void accept_ready();
  bool accept_one();
  void pause(int errno_value);

  Loop loop_;  // before what refers to it
  std::unique_ptr<Watch> watch_;
  std::weak_ptr<ListenerUser> user_;
  const int at_once_max_;  // accepted in one wake-up
  int at_once_ = 1;
  int full_batches_ = 0;        // since one was not, or `at_once_` grew
  std::shared_ptr<Load> load_;  // shared with whoever publishes it
  boost::asio::steady_timer pause_;
  bool pausing_ = false;
  bool complained_ = false;
};

}  // namespace cohort::net
