// What was written to a pipe or a socket and the system has not taken yet: Node's contract of
// `write`. All of it goes, in order; each write is told how it ended; who writes faster than the
// other side reads is told so.
//
// A member of its stream, which waits for the descriptor and calls `send_some`. Loop's executor
// only.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/loop.h"
#include "cohort/error.h"

namespace cohort {

class WriteQueue {
 public:
  using Done = std::function<void(std::optional<Error>)>;

  /// Sends at once what the system takes, if nothing waits, and keeps a copy of the rest: how much
  /// was sent. `done` is called in a later turn. After an error it waits for `fail`.
  Result<std::size_t> write(const Loop& loop, int fd, std::string_view data, Done done);
  /// Sends from the oldest write, and calls its `done` when that was the last of it. How much;
  /// nothing: the system takes no more now.
  Result<std::size_t> send_some(int fd);
  /// Nothing is sent any more.
  void fail(const Error& why);
  /// Drops what waits, and tells nobody.
  void clear();

  bool empty() const { return chunks_.empty(); }
  std::size_t size() const { return size_; }
  /// What waits is little. After a false, `drained` will be true once.
  bool keeps_up();
  /// Whether somebody is to be told that nothing waits any more.
  bool drained() { return empty() && std::exchange(need_drain_, false); }

 private:
  struct Chunk {
    std::string data;
    Done done;
    std::size_t sent = 0;
  };

  std::list<Chunk> chunks_;
  std::size_t size_ = 0;  // of what waits
  bool need_drain_ = false;
};

}  // namespace cohort
