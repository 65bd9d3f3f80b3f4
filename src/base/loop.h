// The event loop as the rooms above see it: an executor, and readiness of descriptors.
//
// All of cohort's callbacks run on `Loop::executor()`, one at a time: the io_context's own executor
// when the loop is ours, a strand of the user's io_context otherwise.
//
// Like Node's handles, a wait can be `unref`ed: it then does not keep `run()` from returning. Asio
// has no such thing, but it counts outstanding work, and an executor may adjust the count: an
// unref'ed wait gives its count back while it is pending and takes it again as it completes.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <thread>

#include "cohort/fd.h"

namespace cohort {

class Loop {
 public:
  Loop(boost::asio::io_context& io, boost::asio::any_io_executor executor)
      : io_{io}, executor_{std::move(executor)} {}

  boost::asio::io_context& context() const { return io_; }
  const boost::asio::any_io_executor& executor() const { return executor_; }
  /// Runs `task` after everything that is ready now: the end of this turn.
  void post(std::function<void()> task) const;
  /// Runs `task` now if this is the loop's turn, else as a turn of its own.
  void run_here(std::function<void()> task) const;
  /// Whether this is the loop's turn. Until the loop has started, that is the thread that made it.
  bool runs_here() const;
  /// From now on only callbacks of the loop count as its turn. Copies of this Loop share that.
  void mark_started() const { *started_ = true; }

 private:
  boost::asio::io_context& io_;
  boost::asio::any_io_executor executor_;
  std::thread::id maker_ = std::this_thread::get_id();
  std::shared_ptr<std::atomic<bool>> started_ = std::make_shared<std::atomic<bool>>(false);
};

/// Readiness of one descriptor, which it owns. Not movable; destroying it closes the descriptor and
/// drops callbacks that have not run. Call only on the loop's executor.
class Watch {
 public:
  using Callback = std::function<void()>;

  Watch(const Loop& loop, OwnFd fd);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  int fd() const { return fd_; }
  /// Calls `ready` once, when the descriptor is readable, at its end, or failed; a wait before this
  /// one is dropped.
  /// Whoever reads it elsewhere meanwhile may get EAGAIN here: the descriptor has to be
  /// non-blocking.
  void wait_readable(Callback ready);
  /// The same for writing.
  void wait_writable(Callback ready);
  bool waiting_readable() const;
  bool waiting_writable() const;
  /// Whether pending and later waits keep the loop running; they do at first.
  void set_ref(bool ref);
  /// Takes the descriptor out of the loop, open; pending callbacks are dropped.
  OwnFd release();

 private:
  struct Wait;
  void start(std::shared_ptr<Wait>& wait, boost::asio::posix::descriptor_base::wait_type type,
             Callback ready);
  Callback drop(std::shared_ptr<Wait>& wait);

  const Loop loop_;
  boost::asio::posix::stream_descriptor descriptor_;
  int fd_;
  bool ref_ = true;
  std::shared_ptr<Wait> reading_;  // shared with the pending operation
  std::shared_ptr<Wait> writing_;  // shared with the pending operation
};

}  // namespace cohort
