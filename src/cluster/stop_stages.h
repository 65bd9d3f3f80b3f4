// The way from the first wish to end to the end of all. Pure.
//
//   Serving -> LameDuck -> Ending -> Hurrying
//
// In its lame duck time the service goes on as before, and only says that it will end: whoever
// sends it requests has the time to stop that. Without one it ends at once. Another wish hurries.
// All of it, the lame duck time too, is the grace time's.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/stop_wishes.h"

namespace cohort::cluster {

class StopStages {
 public:
  using TimePoint = StopWishes::TimePoint;
  using Milliseconds = std::chrono::milliseconds;
  enum class Stage : std::uint8_t { Serving, LameDuck, Ending, Hurrying };

  /// Somebody wants the end. False: what others have said already.
  bool wish(TimePoint now) {
    if (!wishes_.is_one(now)) return false;
    if (stage_ == Stage::Serving) {
      lame_duck_ = std::max(std::min(lame_duck, grace), Milliseconds{0});
      ends_at_ = now + lame_duck_;
      deadline_ = now + grace;
      stage_ = lame_duck_ > Milliseconds{0} ? Stage::LameDuck : Stage::Ending;
    } else {
      stage_ = Stage::Hurrying;
    }
    return true;
  }
  /// True: the lame duck time is over.
  bool time_passed(TimePoint now) {
    if (stage_ != Stage::LameDuck || now < ends_at_) return false;
    stage_ = Stage::Ending;
    return true;
  }

  Stage stage() const { return stage_; }
  // Once there was a wish.
  Milliseconds lame_duck_time() const { return lame_duck_; }
  TimePoint ends_at() const { return ends_at_; }
  TimePoint deadline() const { return deadline_; }
  /// How long the end itself may take.
  Milliseconds rest() const { return std::max(grace - lame_duck_, Milliseconds{0}); }

  Milliseconds grace{std::chrono::seconds{25}};
  Milliseconds lame_duck{0};  ///< That begins with the first wish; no longer than `grace`.

 private:
  StopWishes wishes_;
  Stage stage_ = Stage::Serving;
  Milliseconds lame_duck_{0};
  TimePoint ends_at_{}, deadline_{};
};

}  // namespace cohort::cluster
