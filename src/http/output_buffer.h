// The bytes that a connection has to send, in one piece. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cohort::http {

/// An idle connection keeps no buffer that is larger.
inline constexpr std::size_t kKeptCapacity = 16 * 1024;

class OutputBuffer {
 public:
  /// To append to.
  std::string& bytes() { return bytes_; }
  /// Everything was sent.
  bool empty() const { return bytes_.empty(); }
  /// What it keeps in memory: all since it was last empty.
  std::size_t size() const { return bytes_.size(); }
  std::string_view unsent() const { return std::string_view{bytes_}.substr(sent_); }
  void sent(std::size_t size) {
    sent_ += size;
    if (sent_ < bytes_.size()) return;
    sent_ = 0;
    if (bytes_.capacity() > kKeptCapacity)
      bytes_ = {};
    else
      bytes_.clear();
  }

 private:
  std::string bytes_;
  std::size_t sent_ = 0;
};

}  // namespace cohort::http
