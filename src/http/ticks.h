// ServerOptions' times, as a server's clock counts them. Pure.
#pragma once

#include <chrono>
#include <cstdint>

#include "cohort/http.h"

namespace cohort::http {

/// kNever if disabled. Each is one tick longer than its time, since the tick that runs has begun
/// already.
struct Ticks {
  static constexpr std::uint32_t kNever = 0xffffffff;

  explicit Ticks(const ServerOptions& options);

  std::chrono::milliseconds period;
  std::uint32_t headers, request, keep_alive, send, half_close, drain_quiet, linger;
};

}  // namespace cohort::http
