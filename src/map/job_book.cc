#include "map/job_book.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace cohort::map {

Result<HaltRule> HaltRule::parse(std::string_view text) {
  const Error wrong = make_error(Errc::InvalidArgument, "read --halt " + std::string{text},
                                 "it takes `never`, or `now` or `soon` and `fail`, `success` or "
                                 "`done`: now,fail=1, soon,fail=20%");
  if (text == "never") return HaltRule{};
  HaltRule rule;
  const auto comma = text.find(','), equals = text.find('=');
  if (comma == text.npos || equals == text.npos || equals < comma) return wrong;
  const auto when = text.substr(0, comma), what = text.substr(comma + 1, equals - comma - 1);
  auto count = text.substr(equals + 1);
  if (when != "now" && when != "soon") return wrong;
  if (what != "fail" && what != "success" && what != "done") return wrong;
  rule.when = when == "now" ? When::Now : When::Soon;
  rule.what = what == "fail" ? What::Fail : what == "success" ? What::Success : What::Done;
  rule.of_hundred = count.ends_with('%');
  if (rule.of_hundred) count.remove_suffix(1);
  const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), rule.count);
  constexpr unsigned kHundred = 100;
  if (error != std::errc{} || end != count.data() + count.size() || rule.count == 0 ||
      (rule.of_hundred && rule.count > kHundred))
    return wrong;
  return rule;
}

int shell_code(const Exit& exit) {
  constexpr int kSignal = 128, kUnknown = 255;
  if (exit.signal() != 0) return kSignal + exit.signal();
  return exit.code() < 0 ? kUnknown : exit.code();
}

bool JobBook::ended(const Exit& exit, unsigned attempt) {
  if (!exit.success() && attempt < tries_ && !halts_) return true;
  ++(exit.success() ? succeeded_ : failed_);
  const bool counts = halt_.what == HaltRule::What::Done ||
                      (halt_.what == HaltRule::What::Success) == exit.success();
  if (halts_ || !counts || !is_reached()) return false;
  halts_ = true;
  deciding_code_ = shell_code(exit);
  return false;
}

bool JobBook::is_reached() const {
  if (halt_.when == HaltRule::When::Never) return false;
  const std::uint64_t count = halt_.what == HaltRule::What::Done      ? done()
                              : halt_.what == HaltRule::What::Success ? succeeded_
                                                                      : failed_;
  constexpr std::uint64_t kHundred = 100, kDoneMin = 3;
  if (!halt_.of_hundred) return count >= halt_.count;
  return done() >= kDoneMin && count * kHundred >= done() * halt_.count;
}

int JobBook::exit_code() const {
  constexpr std::uint64_t kMany = 101;
  return halts_ ? deciding_code_ : static_cast<int>(std::min(failed_, kMany));
}

}  // namespace cohort::map
