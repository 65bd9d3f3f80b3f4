#include "http/date.h"

#include <cstdio>

namespace cohort::http {

void DateLine::render(std::time_t now) {
  // Not strftime: the names of days and months must not follow the locale.
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::snprintf(text_.data(), text_.size(), "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                kDays[utc.tm_wday], utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900,
                utc.tm_hour, utc.tm_min, utc.tm_sec);
  rendered_ = now;
}

}  // namespace cohort::http
