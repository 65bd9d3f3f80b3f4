// The parent's end of one pipe of a child: what `ChildStream` handles refer to.
//
// Shared by those handles and by the child. Loop's executor only, but for the operations' starts,
// which get there by `dispatch`. Handlers go when the stream has ended, since they often own it.
//
// Reading is in one of three states: Initial (nobody asked for data: bytes wait in the kernel),
// Flowing (to `on_data`), Paused. When the child has exited, what nobody reads is taken out of the
// kernel, so that the end of the stream is seen.
#pragma once

#include <boost/asio/buffer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/event.h"
#include "base/loop.h"
#include "base/parking.h"
#include "base/write_queue.h"
#include "cohort/child_process.h"

namespace cohort {

class StdioStream : public std::enable_shared_from_this<StdioStream> {
 public:
  enum class Direction { FromChild, ToChild, Both };
  using Done = WriteQueue::Done;
  using Handler = boost::asio::any_completion_handler<void(boost::system::error_code, std::size_t)>;

  /// What is kept, of a child that has exited, for those who may read it later.
  static constexpr std::size_t kKeptSizeMax = 1024 * 1024;

  struct Events {
    Event<std::string_view> data;
    Event<> end;
    Event<> drain;
    Event<const Error&> error;
  };

  /// `fd`: non-blocking if it is a pipe; none for a stream that has ended before it began.
  StdioStream(const Loop& loop, OwnFd fd, Direction direction);

  /// Called once, when nothing more can come from the child, whether or not it was delivered.
  void when_ended(std::function<void()> ended) { when_ended_ = std::move(ended); }
  /// Called with all bytes as they are read from the kernel.
  void when_read(std::function<void(std::string_view)> tap) { tap_ = std::move(tap); }
  /// The child has exited: what it wrote is all that it wrote.
  void child_exited();
  /// What has arrived goes to `on_data` now. Nothing if it does not flow.
  void deliver_waiting();
  /// Its descriptor, to be given to another child; -1 if it has none. Reading stops.
  int lend();
  /// It was given: a stream that is only read is closed.
  void lent();
  /// Closes, without an event; nothing is called back any more.
  void abandon();

  bool write(std::string_view data, Done done);
  void end(std::string_view data);
  void destroy();
  void pause() { flow_ = Flow::Paused; }
  void resume();
  void on_data(std::function<void(std::string_view)> handler);
  void read_some(boost::asio::mutable_buffer buffer, Handler handler);
  void write_some(boost::asio::const_buffer buffer, Handler handler);

  bool readable() const { return !destroyed_ && (!ended_ || !kept_.empty()); }
  bool writable() const { return watch_ && !ending_; }
  /// Nothing more comes from the child.
  bool ended() const { return ended_; }
  std::uint64_t bytes_read() const { return bytes_read_; }
  std::uint64_t bytes_written() const { return bytes_written_; }
  const Loop& loop() const { return loop_; }
  Events& events() { return events_; }

 private:
  enum class Flow { Initial, Flowing, Paused };

  ssize_t receive(char* data, std::size_t size);
  void wait_readable();
  void readable_now();
  bool read_and_emit();
  bool keep_some();
  void read_waiting();
  void deliver_kept();
  void came_to_end();
  void emit_end_if_delivered();
  void wait_writable();
  void writable_now();
  void finish_if_written();
  void fail_writes(const Error& error, bool report);
  void close();
  void complete(Handler handler, boost::system::error_code error, std::size_t size);

  Loop loop_;  // before what refers to it
  std::unique_ptr<Watch> watch_;
  const Direction direction_;
  Events events_;
  std::function<void()> when_ended_;
  std::function<void(std::string_view)> tap_;

  Flow flow_ = Flow::Initial;
  bool wanted_ = false;  // somebody showed interest in the data
  bool child_exited_ = false;
  bool lent_ = false;
  bool ended_ = false;
  bool end_emitted_ = false;
  bool destroyed_ = false;
  std::string kept_;  // read from the kernel, and by nobody
  std::uint64_t bytes_read_ = 0;
  Parking<> readers_;

  WriteQueue outbox_;
  std::uint64_t bytes_written_ = 0;
  bool ending_ = false;  // no more writes
  Parking<> writers_;
};

}  // namespace cohort
