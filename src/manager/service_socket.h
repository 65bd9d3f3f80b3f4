// The socket on which systemd listens ($NOTIFY_SOCKET): one datagram for each message.
//
// Never blocks. While systemd does not read, what it waits for is kept and sent later; all else is
// dropped. The first failure is said as a notice, later ones are not.
//
// Owned by the ServiceManager; the loop's thread. Each datagram has a socket of its own, as
// sd_notify(3) does it, so that a systemd that was started again is found.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "base/loop.h"
#include "cohort/error.h"
#include "manager/service_messages.h"

namespace cohort::manager {

class ServiceSocket {
 public:
  /// `name`: a path, or `@NAME` for an abstract socket.
  ServiceSocket(const Loop& loop, std::string name) : loop_{loop}, name_{std::move(name)} {}

  void send(const ServiceMessage& message);

 private:
  Result<OwnFd> connected() const;
  void wait(const std::string& text);
  void send_waiting();
  void failed(const Error& error);

  const Loop loop_;
  const std::string name_;
  std::optional<Watch> full_;  ///< While systemd does not read.
  std::deque<std::string> waiting_;
  bool said_ = false;
};

}  // namespace cohort::manager
