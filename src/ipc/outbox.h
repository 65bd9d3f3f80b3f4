// What waits to be written to a channel, and what of it goes next.
//
// Three lanes, each in order. Answers to what arrived go first, then control messages (the
// cluster's own: a hand-off, a reply), then data; a lane is left only between two messages (small
// ones go in parcels of 64 KiB at most, which are not interrupted). Data waits while the peer has
// too much of it that it has not processed yet (a cohort peer says how far it is; any other is left
// to the socket). A descriptor waits until the one before was answered, unless the peer is of
// cohort: Node gives a message the descriptor that came last, which is another one's if the message
// needs several reads. Towards a cohort peer some 64 are under way at most: the system refuses more
// than RLIMIT_NOFILE of one user (ETOOMANYREFS).
//
// Pure but for the shared memory that it fills and the descriptors that it holds. One thread at a
// time.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cohort/error.h"
#include "cohort/fd.h"
#include "ipc/clone.h"

namespace cohort::ipc {

class SharedPool;

/// What became of a descriptor.
enum class Delivery : std::uint8_t {
  Received,
  Refused,   ///< It got lost on the way: the peer has no descriptors left.
  PeerGone,  ///< The channel ended before the peer answered.
};

enum class Lane : std::uint8_t { Answer, Control, Data };

/// Whole messages that are consecutive on the wire: many small ones, or one that has far-away bytes
/// or a descriptor.
struct Parcel {
  using Done = std::function<void(std::optional<Error>)>;
  using Answered = std::function<void(Delivery)>;

  std::string text{};
  std::vector<Attached> attached{};  ///< Between the bytes of `text`, in order.
  std::vector<int> fds{};            ///< Go with the first byte.
  std::vector<OwnFd> own{};          ///< Keep `fds` open if they could not be sent at once.
  Answered answered{};               ///< What became of them.
  std::vector<Done> done{};          ///< When the system has all of it.

  std::size_t size() const;
};

class Outbox {
 public:
  /// Gathered by `next`: bytes, and the descriptors of their first.
  struct Batch {
    std::array<iovec, 16> data;
    std::size_t count = 0;
    std::span<const int> fds;
  };

  /// The text to whose end a small message may be added: then call `added`.
  std::string& tail(Lane lane);
  void added(Lane lane, std::size_t size, Parcel::Done done = {});
  void push(Lane lane, Parcel parcel);
  /// The last one of a lane that waits; null if there is none.
  Parcel* last(Lane lane) { return queue(lane).empty() ? nullptr : &queue(lane).back(); }
  /// Takes that one back; nothing of it was written.
  void pop(Lane lane);

  /// What to write now; false if there is nothing, or nothing may be written yet. Then call
  /// `written` before anything else.
  bool next(Batch& batch);
  /// So many of its bytes are with the system, and the descriptors if there are any. Gives the
  /// callbacks of the messages that are complete now to `done`.
  void written(std::size_t size, std::vector<Parcel::Done>& done);
  /// Nothing more will be written: the callbacks of what waits. Its descriptors count as
  /// unanswered.
  std::vector<Parcel::Done> drop();

  /// The peer is of cohort: descriptors need not wait for each other.
  void set_descriptors_may_follow() { descriptors_may_follow_ = true; }
  /// From now on nothing waits for the peer's progress, whatever window it gives.
  void hurry() { hurried_ = true; }
  /// It wants at most this many bytes that it has not processed. 0: any number.
  void set_window(std::uint64_t window) { window_ = window; }
  /// It has processed so many bytes since the beginning.
  void processed(std::uint64_t total) {
    processed_ = std::max(processed_, std::min(total, written_));
  }
  /// Large data goes there if there is room. Null: nowhere.
  void set_pool(SharedPool* pool) { pool_ = pool; }
  /// The oldest message written with descriptors is answered; false if all are.
  bool answer(Delivery delivery);
  std::size_t unanswered() const { return unanswered_.size(); }

  /// Of all lanes.
  bool empty() const;
  /// Bytes of the data lane that wait.
  std::size_t data_waiting() const { return data_waiting_; }

 private:
  using Queue = std::deque<Parcel>;
  Queue& queue(Lane lane) { return lanes_[static_cast<std::size_t>(lane)]; }
  bool may_start(const Parcel& parcel, Lane lane, std::uint64_t gathered) const;
  bool gather(Lane lane, std::uint64_t& gathered, Batch& batch);
  void share(Parcel& parcel, Lane lane);
  static bool add(const Parcel& parcel, std::size_t offset, Batch& batch);

  std::array<Queue, 3> lanes_;
  std::optional<Lane> open_;  ///< The lane whose first parcel is written in part...
  std::size_t offset_ = 0;    ///< ...up to here.
  std::vector<Lane> gathered_;
  struct Unanswered {
    Parcel::Answered answered;
    std::size_t descriptors;
  };
  std::deque<Unanswered> unanswered_;  ///< Messages with descriptors, oldest first.
  std::size_t under_way_ = 0;          ///< Their descriptors.
  std::size_t data_waiting_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t processed_ = 0;
  std::uint64_t window_ = 0;
  bool hurried_ = false;
  bool descriptors_may_follow_ = false;
  SharedPool* pool_ = nullptr;
};

}  // namespace cohort::ipc
