// The bytes that a connection has to send, in one piece. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cohort::http {

/// A connection at rest keeps no buffer that is larger; one in use does, since to make it anew
/// would cost every answer.
inline constexpr std::size_t kKeptCapacity = 16 * 1024;

/// For one that is at rest. (An assignment would keep the memory.)
inline void free_if_large(std::string& text) {
  if (text.empty() && text.capacity() > kKeptCapacity) std::string{}.swap(text);
}

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
    bytes_.clear();
  }

 private:
  std::string bytes_;
  std::size_t sent_ = 0;
};

}  // namespace cohort::http
