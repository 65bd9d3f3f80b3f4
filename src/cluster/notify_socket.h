// The socket on which one worker may say how it is: sd_notify(3), with us in the place of systemd.
//
// Its name is abstract and the system's choice, so that it needs no file and every user may send to
// it; what another user sends is dropped. Loop's executor only.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "cohort/error.h"

namespace cohort::cluster {

class NotifySocket {
 public:
  /// `said` gets each line, `READY=1`. `user`: whose processes may speak, beside root's and ours.
  static Result<std::unique_ptr<NotifySocket>> open(const Loop& loop, std::optional<uid_t> user,
                                                    std::function<void(std::string_view)> said);

  /// For NOTIFY_SOCKET: `@0a1b2`.
  const std::string& name() const { return name_; }

 private:
  NotifySocket(const Loop& loop, OwnFd fd, std::string name, std::optional<uid_t> user,
               std::function<void(std::string_view)> said);

  void wait();
  void read();

  const std::string name_;
  const std::optional<uid_t> user_;
  const std::function<void(std::string_view)> said_;
  Watch watch_;
};

}  // namespace cohort::cluster
