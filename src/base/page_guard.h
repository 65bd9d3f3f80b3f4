// A mapped file that another process can make smaller: to touch what is gone is SIGBUS, which ends
// a process that has no handler. While a range is guarded here, such a fault puts zeros in the
// place of the whole range and is remembered.
//
// The handler is this process's only one for SIGBUS: it is installed with the first guard, stays,
// and passes faults elsewhere on to the one before it. It takes no lock and calls only what a
// handler may (`mmap` is a plain system call on Linux).
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace cohort {

class PageGuard {
 public:
  static constexpr std::size_t kRangesMax = 256;

  /// Of whole pages. Null if that many are guarded already. Any thread.
  static std::unique_ptr<PageGuard> watch(std::span<std::byte> range);
  /// To be called before the range is unmapped.
  ~PageGuard();
  PageGuard(const PageGuard&) = delete;
  PageGuard& operator=(const PageGuard&) = delete;

  /// Whether a page was gone when it was used.
  bool is_broken() const noexcept;

 private:
  explicit PageGuard(std::size_t place) : place_{place} {}
  std::size_t place_;
};

}  // namespace cohort
