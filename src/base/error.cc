#include "cohort/error.h"

#include <boost/throw_exception.hpp>
#include <cctype>
#include <cerrno>
#include <ostream>

namespace cohort {
namespace {

class Category final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "cohort"; }
  std::string message(int value) const override {
    switch (static_cast<Errc>(value)) {
      case Errc::ChannelClosed:
        return "channel closed";
      case Errc::MessageTooLarge:
        return "message larger than message_size_max";
      case Errc::MalformedMessage:
        return "the peer sent bytes that are not a message";
      case Errc::NotAPrimary:
        return "only the primary can do this";
      case Errc::AddressMismatch:
        return "the address cannot be used";
      case Errc::NoDescriptor:
        return "there is no listening descriptor under this policy";
      case Errc::InvalidArgument:
        return "invalid argument";
      case Errc::NoSuchMethod:
        return "no such method";
      case Errc::CallFailed:
        return "the method failed";
      case Errc::CommandFailed:
        return "the command failed";
      case Errc::ChannelFull:
        return "the channel is full";
      case Errc::OutputTooLarge:
        return "more output than max_buffer";
      case Errc::QueueFull:
        return "the queue is full";
      case Errc::WorkerDied:
        return "its worker died";
      case Errc::PreloadFailed:
        return "loading failed";
    }
    return "unknown error";
  }
};

}  // namespace

const boost::system::error_category& cohort_category() noexcept {
  static const Category category;
  return category;
}

boost::system::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), cohort_category()};
}

std::string Error::message() const {
  // The C library's "Connection timed out" is wrong of a child or a call.
  const bool timed_out =
      code.category() == boost::system::system_category() && code.value() == ETIMEDOUT;
  std::string reason = timed_out ? "timed out" : code.message();
  // The C library writes "Permission denied"; within a sentence it is lower case.
  if (reason.size() > 1 && std::islower(static_cast<unsigned char>(reason[1])))
    reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
  std::string text = op.empty() ? reason : op + ": " + reason;
  if (!detail.empty()) text += " (" + detail + ")";
  return text;
}

std::ostream& operator<<(std::ostream& out, const Error& error) { return out << error.message(); }

Error errno_error(std::string op, std::string detail) {
  return system_error(errno, std::move(op), std::move(detail));
}

Error system_error(int errno_value, std::string op, std::string detail) {
  return {{errno_value, boost::system::system_category()}, std::move(op), std::move(detail)};
}

Error make_error(Errc code, std::string op, std::string detail) {
  return {make_error_code(code), std::move(op), std::move(detail)};
}

void throw_exception_from_error(const Error& error, const boost::source_location& where) {
  boost::throw_exception(Exception{error}, where);
}

}  // namespace cohort
