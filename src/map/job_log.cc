#include "map/job_log.h"

#include <charconv>
#include <cstdio>
#include <vector>

namespace cohort::map {

std::string log_line(const LoggedJob& job) {
  char numbers[160];
  std::snprintf(numbers, sizeof numbers, "%llu\t:\t%.3f\t%10.3f\t0\t%llu\t%d\t%d\t",
                static_cast<unsigned long long>(job.number), job.started, job.took,
                static_cast<unsigned long long>(job.written), job.exit.code(), job.exit.signal());
  std::string line = numbers;
  for (const char byte : job.command) line += byte == '\n' || byte == '\t' ? ' ' : byte;
  return line + '\n';
}

JobLog JobLog::read(std::string_view text) {
  JobLog log;
  constexpr std::size_t kExitval = 6, kSignal = 7, kFields = 9;
  for (auto end = text.find('\n'); end != text.npos; end = text.find('\n', log.whole)) {
    std::string_view line = text.substr(log.whole, end - log.whole);
    log.whole = end + 1;
    std::vector<std::string_view> fields;
    while (fields.size() + 1 < kFields && line.find('\t') != line.npos) {
      fields.push_back(line.substr(0, line.find('\t')));
      line.remove_prefix(fields.back().size() + 1);
    }
    if (fields.size() + 1 < kFields) continue;
    std::uint64_t number = 0;
    const std::string_view first = fields.front();
    if (std::from_chars(first.data(), first.data() + first.size(), number).ec != std::errc{})
      continue;
    const bool success = fields[kExitval] == "0" && fields[kSignal] == "0";
    (success ? log.succeeded : log.failed).insert(number);
    (success ? log.failed : log.succeeded).erase(number);
  }
  return log;
}

}  // namespace cohort::map
