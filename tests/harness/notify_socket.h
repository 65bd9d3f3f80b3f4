// systemd's end of sd_notify(3): a Unix datagram socket, as $NOTIFY_SOCKET names it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "harness/program.h"

namespace harness {

class NotifySocket {
 public:
  /// `name`: a path, or `@NAME` for an abstract socket. Throws if it cannot be had.
  explicit NotifySocket(std::string name);
  ~NotifySocket();
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  /// The value of NOTIFY_SOCKET.
  const std::string& name() const { return name_; }
  /// All that has come so far, oldest first.
  const std::vector<std::string>& messages();
  /// Of those, the ones that begin with READY, RELOADING or STOPPING.
  std::vector<std::string> states();
  /// Waits until some message has a part that matches the regular expression `times`.
  testing::AssertionResult wait_for(const std::string& pattern, int times = 1);
  /// Sends to itself until there is no room. It is not read before the next call of another.
  void fill();
  /// Every message, for the messages of failed tests.
  std::string transcript();

 private:
  std::string name_;
  int fd_ = -1;
  std::vector<std::string> messages_;
};

}  // namespace harness
