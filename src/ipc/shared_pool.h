// Large data between two cohort processes: memory that both have, instead of bytes on the channel.
//
// Each direction of a channel has one memfd, whose sender lends ranges of it: it copies the data in
// once, or made it there (`allocate`), the receiver reads it where it lies, and gives the range
// back when nobody needs the Value any more. Ranges are used again and again, the lowest first:
// their pages stay warm, where a fresh mapping per message would cost more than the socket
// (docs/ipc.md has the figures). If there is no room the message takes the socket.
//
// The receiver trusts the sender not to change what it has lent, as it trusts it to send the right
// bytes; it does not trust it with its life: the size is sealed, so that no access can fail.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/loop.h"
#include "cohort/error.h"
#include "cohort/fd.h"

namespace cohort::ipc {

struct Parcel;

/// Which parts of [0, size) are in use: by their maker, and by whoever they are lent to. Pure.
class Ranges {
 public:
  explicit Ranges(std::size_t size);
  /// The lowest free place of that size (in whole pages), if there is one: its maker's.
  std::optional<std::size_t> take(std::size_t size);
  /// Its maker needs it no more.
  void release(std::size_t offset);
  /// Once more, a part of it that begins there. False if nobody took that.
  bool lend(std::size_t offset);
  /// False if what begins there was not lent, or not so often.
  bool give_back(std::size_t offset);
  bool all_free() const { return taken_.empty(); }

 private:
  struct Taken {
    std::size_t size;
    bool is_made = true;  // its maker may need it
    std::size_t lent = 0;
  };
  using Place = std::map<std::size_t, Taken>::iterator;
  Place find(std::size_t offset);
  void free_if_unused(Place taken);

  std::map<std::size_t, std::size_t> free_;  // offset, size; never two neighbours
  std::map<std::size_t, Taken> taken_;       // by offset
};

/// The sender's side. One thread at a time; what was allocated is released by any, and may outlive
/// it.
class SharedPool {
 public:
  static Result<std::unique_ptr<SharedPool>> create(std::size_t size);
  ~SharedPool();
  SharedPool(const SharedPool&) = delete;
  SharedPool& operator=(const SharedPool&) = delete;

  std::size_t size() const;
  int fd() const { return fd_.get(); }
  /// Memory whose contents `share` need not copy. Null if there is no room. Not zeroed.
  std::shared_ptr<std::byte> allocate(std::size_t size);
  /// Refers to what is attached to an advanced message instead of containing it; copies what does
  /// not lie here yet. False, and all is as it was, if there is no room.
  bool share(Parcel& parcel);
  void give_back(std::size_t offset);

 private:
  struct State;
  SharedPool(OwnFd fd, std::shared_ptr<State> state);
  std::optional<std::size_t> take(std::size_t size);

  OwnFd fd_;
  std::shared_ptr<State> state_;  // shared with what is allocated
};

/// The receiver's side. What it lends outlives it, on any thread.
class SharedInbox {
 public:
  /// Checks the size, at most `size_max` in whole pages, and its seals. `freed` is called in a turn
  /// of the loop when there is something to `take_freed`.
  static Result<std::unique_ptr<SharedInbox>> map(const Loop& loop, OwnFd fd, std::size_t size,
                                                  std::size_t size_max,
                                                  std::function<void()> freed);
  ~SharedInbox();
  SharedInbox(const SharedInbox&) = delete;
  SharedInbox& operator=(const SharedInbox&) = delete;

  /// The range, which goes back when the last copy of the pointer goes; null if it is not within.
  std::shared_ptr<const std::byte> lend(std::size_t offset, std::size_t size);
  /// The offsets of the ranges to give back.
  std::vector<std::size_t> take_freed();

 private:
  struct State;
  explicit SharedInbox(std::shared_ptr<State> state) : state_{std::move(state)} {}
  std::shared_ptr<State> state_;  // shared with what is lent
};

}  // namespace cohort::ipc
