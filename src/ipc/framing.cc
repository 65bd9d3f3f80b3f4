#include "ipc/framing.h"

#include <algorithm>
#include <utility>

#include "ipc/inspect.h"

namespace cohort::ipc {
namespace {

// A rare large message must not keep its memory for the life of the channel.
constexpr std::size_t kUnfinishedKeepMax = 256u << 10;
// Of a malformed line, this much is quoted in the error.
constexpr std::size_t kQuoteMax = 60;

}  // namespace

void LineDecoder::feed(std::string_view bytes, std::vector<OwnFd>&& fds) {
  if (failure_) return fds.clear();
  if (!unread_.empty()) {
    fail(make_error(Errc::InvalidArgument, "feed", "the last bytes are not all decoded"));
    return fds.clear();
  }
  unread_ = bytes;
  for (OwnFd& fd : fds)
    if (waiting_.size() < kWaitingFdsMax)
      waiting_.push_back({position_, position_ + bytes.size(), std::move(fd)});
  fds.clear();
}

Result<std::optional<Incoming>> LineDecoder::next() {
  if (failure_) return *failure_;
  const std::size_t line_end = unread_.find('\n');
  const bool whole = line_end != unread_.npos;
  const std::string_view piece = unread_.substr(0, line_end);
  if (unfinished_.size() + piece.size() > message_size_max_)
    return fail(make_error(Errc::MessageTooLarge, "receive",
                           "message_size_max is " + std::to_string(message_size_max_)));
  const std::size_t consumed = piece.size() + (whole ? 1 : 0);
  unread_.remove_prefix(consumed);
  position_ += consumed;
  if (!whole) {
    unfinished_ += piece;
    return std::nullopt;
  }
  if (unfinished_.empty()) return decode(piece);
  unfinished_ += piece;
  Result<std::optional<Incoming>> result = decode(unfinished_);
  unfinished_.clear();
  if (unfinished_.capacity() > kUnfinishedKeepMax) unfinished_.shrink_to_fit();
  return result;
}

Result<std::optional<Incoming>> LineDecoder::decode(std::string_view line) {
  Result<Value> value = parser_.parse(line);
  if (!value)
    return fail(make_error(Errc::MalformedMessage, "receive " + inspect(line.substr(0, kQuoteMax)),
                           value.error().detail));
  Incoming incoming = classify(*std::move(value));
  if (!waiting_.empty()) take_fd(incoming);
  return std::optional<Incoming>(std::move(incoming));
}

/// For the line that ends at `position_`.
void LineDecoder::take_fd(Incoming& incoming) {
  if (incoming.was_handle && waiting_.front().read_begin < position_) {
    incoming.fd = std::move(waiting_.front().fd);
    waiting_.erase(waiting_.begin());
  }
  // The first line that ends at or behind the end of a read was the last to which its descriptors
  // can belong: messages that follow began after it.
  std::erase_if(waiting_, [&](const WaitingFd& waiting) { return waiting.read_end <= position_; });
}

Error LineDecoder::fail(Error error) {
  unread_ = {};
  unfinished_ = {};
  waiting_.clear();
  failure_ = std::move(error);
  return *failure_;
}

}  // namespace cohort::ipc
