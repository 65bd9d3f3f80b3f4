// One end of a channel between threads: what waits there, and who takes it.
//
// Both ends live in one object (`PortPair`), which handles of either keep. Any thread posts to the
// other end; one thread at a time takes: on the loop that it is attached to, or by `receive`. Its
// state is that thread's, but for what is atomic.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "cohort/message_port.h"
#include "thread/doorbell.h"
#include "thread/stack.h"

namespace cohort::thread {

using detail::Letter;

class PortEnd;
struct PortPair;

/// How an end is heard on one loop. One that was left is never used again, but it may still be on
/// that loop's list.
struct BellPull final : Visitor {
  BellPull(PortEnd& owner, std::shared_ptr<Doorbell> doorbell)
      : end{owner}, bell{std::move(doorbell)} {}
  void answered() override;
  void abandoned() override;

  PortEnd& end;
  const std::shared_ptr<Doorbell> bell;
};

class PortEnd {
 public:
  PortEnd(PortPair& pair, std::size_t queue_max);
  ~PortEnd();
  PortEnd(const PortEnd&) = delete;
  PortEnd& operator=(const PortEnd&) = delete;

  // Any thread.
  SendResult post(std::unique_ptr<Letter> letter);
  void close();
  bool is_open() const;
  std::size_t waiting() const;
  PortEnd& peer() const;

  // The thread that takes.
  std::unique_ptr<Letter> receive();
  std::unique_ptr<Letter> receive_for(std::chrono::nanoseconds timeout);
  /// `kept`: a handle, so that the end stays open while somebody listens.
  void on_letter(const Loop& loop, std::shared_ptr<PortEnd> kept, detail::Port::Handler handler);
  void on_close(const Loop& loop, std::shared_ptr<PortEnd> kept, std::function<void()> handler);
  void set_ref(bool ref);
  void detach();

  // Its BellPull, on that one's loop.
  void answered(const BellPull& by);
  void abandoned();

 private:
  // In `receive_for`.
  enum class Reader : std::uint8_t { None, Looks, Sleeps };

  bool take(std::unique_ptr<Letter>& letter);
  void drop_all();
  bool is_empty() const { return batch_ == nullptr && inbox_.empty(); }
  void tell_taker();
  void ring();
  void attach(const Loop& loop, std::shared_ptr<PortEnd> kept);
  void count_ref();
  void deliver();
  void ended();

  PortPair& pair_;
  const std::size_t queue_max_;

  // What those who post write.
  alignas(64) Stack<Letter> inbox_;
  std::atomic<std::uint64_t> posted_ = 0;

  // What the taker writes, and they read.
  alignas(64) std::atomic<std::uint64_t> taken_ = 0;  // behind by what is left of a batch
  std::atomic<BellPull*> pull_ = nullptr;             // of the loop; null: none
  std::atomic<Reader> reader_ = Reader::None;
  std::atomic<bool> closed_here_ = false;  // what waits is not wanted
  std::atomic<std::uint32_t> calls_ = 0;   // how often it was called there

  // The taker's.
  alignas(64) Letter* batch_ = nullptr;  // what was taken at once and is left, the oldest first
  std::uint64_t given_ = 0;
  std::vector<std::unique_ptr<BellPull>> pulls_;    // all that it had: somebody may be ringing
  std::shared_ptr<detail::Port::Handler> handler_;  // shared with the call that runs
  std::function<void()> close_handler_;
  std::shared_ptr<PortEnd> kept_;  // while a loop listens
  bool wants_ref_ = true;
  bool is_counted_ = false;  // it keeps the loop running
};

struct PortPair : std::enable_shared_from_this<PortPair> {
  explicit PortPair(std::size_t queue_max) : first{*this, queue_max}, second{*this, queue_max} {}
  PortEnd first;
  PortEnd second;
  std::atomic<bool> closed = false;
};

}  // namespace cohort::thread
