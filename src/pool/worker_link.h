// What a pool and one of its processes have between them: two rings in one piece of memory, and how
// tasks and answers lie in them.
//
// Requests: `Run`, whose bytes are the task's name and its inputs, each an array of arguments. The
// state of such a record says who has it: the worker begins it, or the pool takes it back. `at` is
// the input that runs. Answers, one for each input: `Answer`, `Failure` (an error) or `Progress`;
// or `Answers`, `at` of them one after the other, which grows in place.
//
// Short inputs, and short answers, are in frames: the size of each and what it is, then its value.
//
// Values are in V8's format (ipc/clone.h). Large binary data, and what is too large for a record,
// is in a lane (cohort/lane.h), whose path and parts the record has.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cohort/error.h"
#include "cohort/lane.h"
#include "cohort/value.h"
#include "ipc/clone.h"
#include "pool/shared_ring.h"

namespace cohort::pool {

enum class Kind : std::uint32_t { Run = 1, End, Answer, Failure, Progress, Answers };
/// Of a record.
enum Flags : std::uint32_t { kInLane = 1, kInFrames = 2 };
/// Of a request's state.
enum class Has : std::uint32_t { Nobody = 0, Worker = 1, TakenBack = 2 };

/// As a record has it: text, or the lane that has it. `lane` has to live until the other side has
/// opened it.
struct Packed {
  std::string text;
  bool in_lane = false;  ///< Record::flags.
  std::optional<Lane> lane;
};

/// `limit`: more goes into a lane. Errors: not a value that can be sent; no memory.
Result<Packed> pack(const Value& value, std::string_view name, std::size_t limit);
struct Unpacked {
  std::string name;
  Value value;
};
/// MalformedMessage, or why the lane cannot be opened.
Result<Unpacked> unpack(std::string_view text, bool in_lane, ipc::CloneDecoder& decoder);

/// Appends `value` as a frame. False, and nothing done: it is longer than `limit`, or has to be in
/// a lane, or cannot be sent.
bool append_frame(std::string& frames, Kind kind, const Value& value, std::size_t limit);

/// Frames, one after the other; whoever wrote them is not believed.
class FrameReader {
 public:
  explicit FrameReader(std::string_view frames) : left_{frames} {}
  /// False: there is none, or not a whole one.
  bool next();
  Kind kind() const { return kind_; }
  std::string_view value() const { return value_; }
  std::string_view left() const { return left_; }

 private:
  std::string_view left_;
  Kind kind_{};
  std::string_view value_;
};

/// Inputs in frames, for a task of that name.
std::string with_name(std::string_view name, std::string_view frames);
/// MalformedMessage.
Result<std::string_view> name_of(std::string_view text, std::string_view& frames);

/// An error, as a value that the other side makes one of again.
Value value_of_error(const Error& error);
Error error_of_value(const Value& value);

/// The memory of one worker.
class WorkerLink {
 public:
  static constexpr std::size_t kRingSize = std::size_t{1} << 20;
  static constexpr std::size_t kSize = 2 * SharedRing::memory_for(kRingSize);

  explicit WorkerLink(std::shared_ptr<std::byte> memory)
      : memory_{std::move(memory)},
        requests{{memory_.get(), kSize / 2}},
        answers{{memory_.get() + kSize / 2, kSize / 2}} {}

 private:
  std::shared_ptr<std::byte> memory_;

 public:
  SharedRing requests;
  SharedRing answers;
};

/// In the environment of a worker: the descriptors of its memory and of the pool's bell, and the
/// pool's name.
inline constexpr const char* kWorkerVariable = "COHORT_POOL_WORKER";

}  // namespace cohort::pool
