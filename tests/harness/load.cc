#include "harness/load.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <utility>

namespace harness {

std::string LoadReport::text() const {
  std::ostringstream text;
  text << sent << " sent, " << ok << " ok, " << failed << " failed, slowest " << slowest.count()
       << " ms";
  for (const auto& [reason, times] : reasons) text << "; " << reason << ": " << times;
  if (!first_failure.empty()) text << "; " << first_failure;
  return text.str();
}

LoadGenerator::LoadGenerator(LoadOptions options)
    : options_{std::move(options)}, reports_(static_cast<std::size_t>(options_.connections)) {
  for (LoadReport& report : reports_) threads_.emplace_back([this, &report] { work(report); });
}

LoadGenerator::~LoadGenerator() { stop(); }

void LoadGenerator::work(LoadReport& report) {
  const auto since = [](Clock::time_point begin) {
    return std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
  };
  const bool chaos = std::getenv("COHORT_CHAOS") != nullptr;
  TcpClient client;
  auto last = Clock::now();
  while (!stopping_ && (options_.requests == 0 || started_.fetch_add(1) < options_.requests)) {
    if (options_.looks && client.is_over()) client.close();
    const auto begin = Clock::now();
    ++report.sent;
    HttpResponse response;
    const bool reused = client.is_open();
    if (!client.is_open()) {
      response.error = client.connect(options_.port, options_.deadline);
      if (options_.late.count() > 0) std::this_thread::sleep_for(options_.late);
    }
    if (response.error.empty()) response = exchange(client, options_.request, options_.deadline);
    if (!options_.request.keep_alive) client.close();
    if (response.error.empty() && response.status != options_.status)
      response.error = "status " + std::to_string(response.status);
    else if (response.error.empty() && response.body != options_.body)
      response.error = "another body";
    report.slowest = std::max(report.slowest, since(begin));
    if (response.error.empty()) {
      ++report.ok;
      ++ok_;
    } else {
      ++report.failed;
      ++report.reasons[(reused ? "kept: " : "") + response.error];
      if (report.first_failure.empty())
        report.first_failure = "the first one after " + std::to_string(since(begin).count()) +
                               " ms, and " + std::to_string(since(last).count()) +
                               " ms after the answer before it";
    }
    last = Clock::now();
    if (!chaos || !client.is_open()) std::this_thread::sleep_for(options_.pause);
  }
}

LoadReport LoadGenerator::wait() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  LoadReport sum;
  for (const LoadReport& report : reports_) {
    sum.sent += report.sent;
    sum.ok += report.ok;
    sum.failed += report.failed;
    sum.slowest = std::max(sum.slowest, report.slowest);
    for (const auto& [reason, times] : report.reasons) sum.reasons[reason] += times;
    if (sum.first_failure.empty()) sum.first_failure = report.first_failure;
  }
  return sum;
}

LoadReport LoadGenerator::stop() {
  stopping_ = true;
  return wait();
}

}  // namespace harness
