// Where the handlers of something run: `spawn(cluster, ...)`, `Thread{io, ...}`.
//
// A cheap handle to copy. It must not outlive the io_context.
#pragma once

#include <memory>

namespace boost::asio {
class io_context;
}

namespace cohort {

class Loop;

/// A loop. A `Cluster`, an `io_context` and, within a thread, its `ThisThread` convert to it. All
/// handlers of one io_context that was given so share a strand.
class LoopRef {
 public:
  LoopRef(boost::asio::io_context& io);
  explicit LoopRef(const Loop& loop);
  const Loop& loop() const { return *loop_; }

 private:
  std::shared_ptr<const Loop> loop_;  // a copy, shared by copies of this
};

}  // namespace cohort
