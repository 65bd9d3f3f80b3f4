// A file descriptor with one owner.
//
// Every descriptor that cohort makes is close-on-exec. `OwnFd` closes on destruction, exactly once;
// `close` is never retried (Linux frees the number even when it reports EINTR). Move-only, no
// locks: one thread at a time. After `fork()` both processes own their copy of the number.
#pragma once

#include <utility>

namespace cohort {

class OwnFd {
 public:
  OwnFd() noexcept = default;
  /// Takes ownership. A negative number means "none".
  explicit OwnFd(int fd) noexcept : fd_{fd} {}
  OwnFd(OwnFd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  OwnFd& operator=(OwnFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  OwnFd(const OwnFd&) = delete;
  OwnFd& operator=(const OwnFd&) = delete;
  ~OwnFd() { reset(); }

  /// The number, still owned here; -1 if there is none.
  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the number away: the caller closes it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes what is owned, then owns `fd`.
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

}  // namespace cohort
