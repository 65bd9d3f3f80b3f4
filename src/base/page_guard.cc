#include "base/page_guard.h"

#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>

namespace cohort {
namespace {

// What a signal handler reads: no locks, and no memory that could be freed.
struct Range {
  std::atomic<bool> is_taken{false};
  std::atomic<std::uintptr_t> begin{0};  // 0: none, and `end` means nothing
  std::atomic<std::uintptr_t> end{0};
  std::atomic<bool> is_broken{false};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free &&
              std::atomic<bool>::is_always_lock_free);

std::array<Range, PageGuard::kRangesMax> g_ranges;
struct sigaction g_before;

// False if the address is in no guarded range.
bool put_zeros(std::uintptr_t address) {
  for (Range& range : g_ranges) {
    const std::uintptr_t begin = range.begin.load(std::memory_order_acquire);
    const std::uintptr_t end = range.end.load(std::memory_order_acquire);
    if (begin == 0 || address < begin || address >= end) continue;
    if (range.begin.load() != begin) continue;  // the end is another's, who came meanwhile
    range.is_broken.store(true);
    // The whole range: a signal for each page would be many signals, and many mappings.
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a number is what can be shared with a handler
    return ::mmap(reinterpret_cast<void*>(begin), end - begin, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
  }
  return false;
}

void on_bus_error(int signal_number, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const bool is_ours =
      info->si_code == BUS_ADRERR && put_zeros(reinterpret_cast<std::uintptr_t>(info->si_addr));
  errno = saved_errno;
  if (is_ours) return;
  if ((g_before.sa_flags & SA_SIGINFO) != 0)
    return g_before.sa_sigaction(signal_number, info, context);
  if (g_before.sa_handler != SIG_DFL && g_before.sa_handler != SIG_IGN)
    return g_before.sa_handler(signal_number);
  ::sigaction(SIGBUS, &g_before, nullptr);  // The instruction runs again, and ends the process.
  if (info->si_code <= 0) ::raise(SIGBUS);  // Somebody sent it: no instruction would.
}

void install_once() {
  static const int installed = [] {
    struct sigaction action{};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    return ::sigaction(SIGBUS, &action, &g_before);
  }();
  static_cast<void>(installed);
}

}  // namespace

std::unique_ptr<PageGuard> PageGuard::watch(std::span<std::byte> range) {
  install_once();
  for (std::size_t place = 0; place < kRangesMax; ++place) {
    Range& free = g_ranges[place];
    if (free.is_taken.exchange(true)) continue;
    const auto begin = reinterpret_cast<std::uintptr_t>(range.data());
    free.is_broken.store(false);
    free.end.store(begin + range.size(), std::memory_order_release);
    free.begin.store(begin, std::memory_order_release);
    return std::unique_ptr<PageGuard>{new PageGuard{place}};
  }
  return nullptr;
}

PageGuard::~PageGuard() {
  g_ranges[place_].begin.store(0);
  g_ranges[place_].is_taken.store(false);
}

bool PageGuard::is_broken() const noexcept { return g_ranges[place_].is_broken.load(); }

}  // namespace cohort
