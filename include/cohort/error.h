// Errors as values: what happened, to which thing, and what to do about it.
//
// cohort's functions do not throw across the public API. An operation that can fail returns
// `Result<T>`; an event that reports a failure carries an `Error`. Both are plain values: copy
// them, keep them, print them, from any thread.
#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <boost/system/system_error.hpp>
#include <iosfwd>
#include <string>
#include <type_traits>
#include <utility>

namespace cohort {

/// Failures that are cohort's own. Failures of the system keep their errno, in
/// `boost::system::system_category()`.
enum class Errc {
  /// The peer is gone, or `disconnect()` was called (Node: ERR_IPC_CHANNEL_CLOSED).
  ChannelClosed = 1,
  MessageTooLarge,   ///< One message is larger than the channel's `message_size_max`.
  MalformedMessage,  ///< The peer sent bytes that are not a message.
  NotAPrimary,       ///< Only the primary can do this, and this process is a worker.
  AddressMismatch,   ///< The address cannot be used so (a name that does not resolve, a bad path).
  NoDescriptor,      ///< This policy hands over connections; there is no listening descriptor.
  InvalidArgument,   ///< An argument is outside of what the function takes.
  NoSuchMethod,      ///< The other side of a call has no method of that name.
  CallFailed,        ///< The method of a call failed on the other side; the detail says why.
  CommandFailed,     ///< It ran, and ended with another code than 0 or by a signal (Node's exec).
  ChannelFull,       ///< More than the channel's `queue_size_max` waits for the peer to read.
  OutputTooLarge,    ///< It wrote more than `max_buffer` (ERR_CHILD_PROCESS_STDIO_MAXBUFFER).
  QueueFull,         ///< As many tasks wait as may: a pool's `queue_max`.
  WorkerDied,        ///< The process that ran a task ended without an answer; the detail says how.
  PreloadFailed,     ///< What workers share could not be loaded, or the one that has it not forked.
};

/// The category of `Errc`; `message()` is one sentence per value.
const boost::system::error_category& cohort_category() noexcept;
boost::system::error_code make_error_code(Errc code) noexcept;

/// One failure. Prints as `op: reason (hint)`, for example
/// `listen 127.0.0.1:80: permission denied (run with CAP_NET_BIND_SERVICE or choose a port above
/// 1023)`.
struct Error {
  boost::system::error_code code;  ///< errno in the system category, or an `Errc`.
  std::string op;      ///< What was attempted, and on which thing: `listen 127.0.0.1:80`.
  std::string detail;  ///< What to do, or what more is known; may be empty.

  std::string message() const;
};

std::ostream& operator<<(std::ostream& out, const Error& error);

/// The current `errno` as an Error.
Error errno_error(std::string op, std::string detail = {});
/// A given errno value (positive) as an Error.
Error system_error(int errno_value, std::string op, std::string detail = {});
Error make_error(Errc code, std::string op, std::string detail = {});

/// An Error as an exception, where there is no other way: a coroutine that awaits, `value()` of a
/// Result. `what()` is the Error's message.
class Exception : public boost::system::system_error {
 public:
  explicit Exception(Error error)
      : system_error{error.code}, error_{std::move(error)}, text_{error_.message()} {}
  const Error& error() const noexcept { return error_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  Error error_;
  std::string text_;
};

/// A value or an Error: a boost::system::result. `value()` on an error throws an Exception; test
/// first. The compiler warns where a call's Result is dropped: what need not be known is said to be
/// so (`std::ignore = child.disconnect();`).
template <class T>
class [[nodiscard]] Result : public boost::system::result<T, Error> {
 public:
  using boost::system::result<T, Error>::result;
};

/// What `Result<T>::value()` does when there is none.
[[noreturn]] void throw_exception_from_error(const Error& error,
                                             const boost::source_location& where);

}  // namespace cohort

template <>
struct boost::system::is_error_code_enum<cohort::Errc> : std::true_type {};
