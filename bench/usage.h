// CPU time, as the benches that compare processes take it.
#pragma once

#include <sys/resource.h>

/// User and system time of this process (RUSAGE_SELF) or of its children that were waited for
/// (RUSAGE_CHILDREN).
inline double cpu_seconds(int who = RUSAGE_SELF) {
  rusage usage{};
  ::getrusage(who, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
