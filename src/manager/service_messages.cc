#include "manager/service_messages.h"

#include <algorithm>
#include <utility>

#include "base/notices.h"
#include "cluster/supervisor.h"
#include "manager/probes.h"

namespace cohort::manager {
namespace {

using std::chrono::microseconds;

constexpr std::chrono::seconds kSaysEvery{1};
// Who is left at the deadline has to be killed and reaped.
constexpr std::chrono::seconds kAfterDeadline{5};

std::string in_microseconds(std::chrono::steady_clock::duration time) {
  return std::to_string(std::chrono::duration_cast<microseconds>(time).count());
}

std::string serve_text(std::size_t serve, std::size_t wanted) {
  std::string text = std::to_string(serve);
  if (serve < wanted) text += " of " + std::to_string(wanted);
  return text + (std::max(serve, wanted) == 1 ? " worker serves" : " workers serve");
}

}  // namespace

std::size_t serving(const ClusterStatus& status) {
  using enum WorkerStatus::State;
  return static_cast<std::size_t>(
      std::count_if(status.workers.begin(), status.workers.end(), [](const WorkerStatus& worker) {
        const bool lives = worker.state == Spawned || worker.state == Online;
        return worker.kept &&
               (worker.state == Listening || (lives && worker.age >= cluster::kHealthyAfter));
      }));
}

std::optional<ServiceMessage> ServiceMessages::look(const ClusterStatus& status, TimePoint now) {
  if (state_ == State::Stopping) {
    wants_look_ = true;
    return ServiceMessage{more_time(now)};
  }
  wants_look_ = false;
  if (state_ == State::Reloading) return std::nullopt;  // The verdict tells.
  const std::size_t serve = serving(status);
  const std::size_t open = open_places(status);
  const bool complete = open > 0 && serve >= open;
  std::string text = serve_text(serve, status.places);
  if (state_ == State::Starting && complete) {
    state_ = State::Serving;
    said_ = std::move(text);
    said_at_ = now;
    return ready(said_);
  }
  auto message = changed(std::move(text), now);
  wants_look_ = wants_look_ || !complete;
  return message;
}

std::optional<ServiceMessage> ServiceMessages::changed(std::string text, TimePoint now) {
  if (text == said_) return std::nullopt;
  if (said_at_ && now - *said_at_ < kSaysEvery) {
    wants_look_ = true;
    return std::nullopt;
  }
  said_ = std::move(text);
  said_at_ = now;
  return ServiceMessage{"STATUS=" + said_};
}

std::optional<ServiceMessage> ServiceMessages::reloading(TimePoint now) {
  ++reloads_;
  if (state_ != State::Serving && state_ != State::Reloading) return std::nullopt;
  state_ = State::Reloading;
  return ServiceMessage{"RELOADING=1\nMONOTONIC_USEC=" + in_microseconds(now.time_since_epoch()) +
                            "\nSTATUS=reloading",
                        true};
}

std::optional<ServiceMessage> ServiceMessages::reloaded(std::string_view verdict) {
  --reloads_;
  if (state_ != State::Reloading || reloads_ > 0) return std::nullopt;
  state_ = State::Serving;
  return ready(verdict);
}

std::optional<ServiceMessage> ServiceMessages::stopping(TimePoint deadline, TimePoint now) {
  if (std::exchange(state_, State::Stopping) == State::Stopping) return std::nullopt;
  deadline_ = deadline;
  return ServiceMessage{
      "STOPPING=1\nSTATUS=stopping: what is being served finishes\n" + more_time(now), true};
}

ServiceMessage ServiceMessages::ready(std::string_view text) const {
  return {
      "READY=1\nMAINPID=" + std::to_string(primary_) + "\nSTATUS=" + printable(std::string{text}),
      true};
}

std::string ServiceMessages::more_time(TimePoint now) const {
  return "EXTEND_TIMEOUT_USEC=" + in_microseconds(std::max(deadline_, now) - now + kAfterDeadline);
}

}  // namespace cohort::manager
