#include "http/ticks.h"

#include <algorithm>

namespace cohort::http {

using std::chrono::milliseconds;

Ticks::Ticks(const ServerOptions& options) {
  constexpr milliseconds kLongest{500};
  constexpr milliseconds kShortest{5};
  static constexpr std::chrono::hours kForever{24 * 365};
  const milliseconds times[] = {options.headers_timeout,    options.request_timeout,
                                options.keep_alive_timeout, options.send_timeout,
                                options.half_close_timeout, options.drain_quiet,
                                options.linger_timeout};
  period = kLongest;
  for (const milliseconds time : times)
    if (time.count() > 0) period = std::min(period, time / 2);
  period = std::max(period, kShortest);
  const auto ticks = [this](milliseconds time) {
    if (time.count() <= 0 || time > kForever) return kNever;
    return static_cast<std::uint32_t>((time + period - milliseconds{1}) / period) + 1;
  };
  headers = ticks(options.headers_timeout);
  request = ticks(options.request_timeout);
  keep_alive = ticks(options.keep_alive_timeout);
  send = ticks(options.send_timeout);
  half_close = options.half_close_timeout.count() > 0 ? ticks(options.half_close_timeout) : 0;
  // An end must come, so these two cannot be disabled.
  drain_quiet = std::max(options.drain_quiet.count() > 0 ? ticks(options.drain_quiet) : 1, 1U);
  linger = options.linger_timeout.count() > 0 ? ticks(options.linger_timeout) : 1;
}

}  // namespace cohort::http
