#include "map/progress_line.h"

#include <algorithm>
#include <cstdio>

namespace cohort::map {
namespace {

std::string clock_of(double seconds) {
  constexpr long long kMinute = 60, kHour = 3600;
  const auto whole = static_cast<long long>(seconds);
  char text[32];
  if (whole >= kHour)
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", whole / kHour, whole % kHour / kMinute,
                  whole % kMinute);
  else
    std::snprintf(text, sizeof text, "%02lld:%02lld", whole / kMinute, whole % kMinute);
  return text;
}

std::string rate_of(double per_second) {
  char text[32];
  // Slow ones are told in seconds each.
  if (per_second > 0 && per_second < 1)
    std::snprintf(text, sizeof text, "%.2fs each", 1 / per_second);
  else
    std::snprintf(text, sizeof text, per_second < 100 ? "%.2f/s" : "%.0f/s", per_second);
  return text;
}

}  // namespace

std::string progress_line(const MapProgress& progress, unsigned columns) {
  const double seconds = std::chrono::duration<double>(progress.elapsed).count();
  const auto done = static_cast<double>(progress.done);
  const double rate = seconds > 0 ? done / seconds : 0;
  std::string numbers = std::to_string(progress.done);
  if (progress.total) numbers += '/' + std::to_string(*progress.total);
  numbers += " [" + clock_of(seconds);
  if (progress.total && rate > 0)
    numbers += '<' + clock_of((static_cast<double>(*progress.total) - done) / rate);
  else if (progress.total)
    numbers += "<?";
  numbers += ", " + (rate > 0 ? rate_of(rate) : std::string{"?/s"});
  if (progress.failed > 0) numbers += ", " + std::to_string(progress.failed) + " failed";
  numbers += ']';
  if (!progress.total || *progress.total == 0) return numbers;

  const double share = std::min(1.0, done / static_cast<double>(*progress.total));
  char percent[16];
  std::snprintf(percent, sizeof percent, "%3.0f%%", share * 100);
  const std::size_t rest = std::string_view{percent}.size() + numbers.size() + 3;
  constexpr std::size_t kBarMax = 40, kBarMin = 3;
  if (columns < rest + kBarMin) return percent + (' ' + numbers);
  const std::size_t width = std::min(kBarMax, columns - rest);
  std::string bar(width, ' ');
  std::fill_n(bar.begin(), static_cast<std::size_t>(share * static_cast<double>(width)), '#');
  return percent + ('|' + bar) + "| " + numbers;
}

}  // namespace cohort::map
