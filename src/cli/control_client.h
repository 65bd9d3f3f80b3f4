// Asks the control socket of an application: one HTTP request, blocking or on a loop.
#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "cohort/error.h"
#include "cohort/value.h"

namespace cohort::cli {

struct Answered {
  int status = 0;
  Value body;
  pid_t peer = 0;  ///< The application's primary, as this process knows it.
};

/// `method` and `target` (`/v1/status`) of the application `name`. Fails with ECONNREFUSED or
/// ENOENT where there is none, with ETIMEDOUT if it has not answered within 5 s, and with EPERM if
/// it is another user's.
Result<Answered> ask(const std::string& directory, std::string_view name, std::string_view method,
                     const std::string& target, const std::string& body = {});
/// The same on the loop of the one who awaits it.
boost::asio::awaitable<Result<Answered>> async_ask(std::string directory, std::string name,
                                                   std::string method, std::string target,
                                                   std::string body = {});
/// Server-Sent Events: `event` is called with the data of each, until it returns false or the
/// application ends.
Result<void> follow(const std::string& directory, std::string_view name, const std::string& target,
                    const std::function<bool(const Value&)>& event);

}  // namespace cohort::cli
