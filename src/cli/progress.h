// One line on stderr that is written anew, on a terminal; elsewhere nothing.
#pragma once

#include <cstdio>
#include <string>

#include "base/sys.h"

namespace cohort::cli {

class Progress {
 public:
  Progress() = default;
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const std::string& text) {
    if (!terminal_ || text == shown_) return;
    std::fprintf(stderr, "\r\x1b[K%s", text.c_str());
    shown_ = text;
  }
  /// Before anything else is printed.
  void clear() {
    if (!shown_.empty()) std::fputs("\r\x1b[K", stderr);
    shown_.clear();
  }

 private:
  const bool terminal_ = sys::is_terminal(2);
  std::string shown_;
};

}  // namespace cohort::cli
