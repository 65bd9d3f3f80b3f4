#include "ipc/framing.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <tuple>
#include <utility>

#include "ipc/inspect.h"

namespace cohort::ipc {
namespace {

// A rare large message must not keep its memory for the life of the channel.
constexpr std::size_t kUnfinishedKeepMax = 256u << 10;
// Of a malformed line, this much is quoted in the error.
constexpr std::size_t kQuoteMax = 60;
// A message of at least this size owns the memory that it was read into, so that what is large in
// it is not copied again.
constexpr std::size_t kOwnedSizeMin = 64u << 10;
// What `space` offers at least, unless the message ends before.
constexpr std::size_t kSpaceMin = 64u << 10;

}  // namespace

// ---- GrowingBuffer

std::span<char> GrowingBuffer::space(std::size_t room, std::size_t size_max) {
  if (capacity_ - size_ < room) {
    const std::size_t wanted = std::max(size_ + room, std::min(2 * capacity_, size_max));
    void* memory = std::realloc(data_.get(), wanted);
    if (!memory) throw std::bad_alloc();
    std::ignore = data_.release();
    data_.reset(static_cast<char*>(memory));
    capacity_ = wanted;
  }
  return {data_.get() + size_, std::min(capacity_, size_max) - size_};
}

void GrowingBuffer::append(std::string_view bytes, std::size_t size_max) {
  if (bytes.empty()) return;
  std::memcpy(space(bytes.size(), size_max).data(), bytes.data(), bytes.size());
  size_ += bytes.size();
}

void GrowingBuffer::clear() {
  size_ = 0;
  if (capacity_ <= kUnfinishedKeepMax) return;
  data_.reset();
  capacity_ = 0;
}

std::shared_ptr<const char> GrowingBuffer::release() {
  size_ = capacity_ = 0;
  return {data_.release(), Free()};
}

// ---- Decoder

void Decoder::feed(std::string_view bytes, std::vector<OwnFd>&& fds) {
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

Result<std::optional<Incoming>> Decoder::next() {
  if (failure_) return *failure_;
  return serialization_ == Serialization::Json ? next_line() : next_frame();
}

/// The first `size` bytes that are not read yet.
std::string_view Decoder::take(std::size_t size) {
  const std::string_view bytes = unread_.substr(0, size);
  unread_.remove_prefix(size);
  position_ += size;
  return bytes;
}

Result<std::optional<Incoming>> Decoder::next_line() {
  const std::size_t line_end = unread_.find('\n');
  const bool whole = line_end != unread_.npos;
  const std::size_t size = whole ? line_end : unread_.size();
  if (unfinished_.size() + size > message_size_max_) return too_large();
  const std::string_view piece = take(size);
  if (!whole) {
    unfinished_.append(piece, message_size_max_);
    return std::nullopt;
  }
  take(1);
  if (unfinished_.size() == 0) return decode_line(piece);
  unfinished_.append(piece, message_size_max_);
  Result<std::optional<Incoming>> result = decode_line(unfinished_.text());
  unfinished_.clear();
  return result;
}

Result<std::optional<Incoming>> Decoder::next_frame() {
  const Result<bool> has_length = read_length();
  if (!has_length) return has_length.error();
  if (!*has_length) return std::nullopt;
  if (unfinished_.size() == 0 && unread_.size() >= length_) {
    length_read_ = 0;
    return decode_frame(take(length_), nullptr);
  }
  const std::string_view piece = take(std::min(unread_.size(), length_ - unfinished_.size()));
  const bool in_place =
      !piece.empty() && piece.data() == unfinished_.text().data() + unfinished_.size();
  if (in_place)
    unfinished_.grow(piece.size());
  else
    unfinished_.append(piece, length_);
  if (unfinished_.size() < length_) return std::nullopt;
  length_read_ = 0;
  const std::string_view payload = unfinished_.text();
  if (length_ >= kOwnedSizeMin) return decode_frame(payload, unfinished_.release());
  Result<std::optional<Incoming>> result = decode_frame(payload, nullptr);
  unfinished_.clear();
  return result;
}

/// False until all of the length is there.
Result<bool> Decoder::read_length() {
  if (length_read_ == sizeof length_bytes_) return true;
  const std::string_view bytes =
      take(std::min(unread_.size(), sizeof length_bytes_ - length_read_));
  if (!bytes.empty()) std::memcpy(length_bytes_ + length_read_, bytes.data(), bytes.size());
  length_read_ += bytes.size();
  if (length_read_ < sizeof length_bytes_) return false;
  length_ = 0;
  for (const unsigned char byte : length_bytes_) length_ = length_ << 8 | byte;
  if (length_ > message_size_max_) return too_large();
  return true;
}

std::span<char> Decoder::space() {
  const bool inside = serialization_ == Serialization::Advanced && !failure_ &&
                      length_read_ == sizeof length_bytes_ && length_ >= kOwnedSizeMin;
  if (!inside) return {};
  return unfinished_.space(std::min(kSpaceMin, length_ - unfinished_.size()), length_);
}

Result<std::optional<Incoming>> Decoder::decode_line(std::string_view line) {
  Result<Value> value = parser_.parse(line);
  if (!value)
    return fail(make_error(Errc::MalformedMessage, "receive " + inspect(line.substr(0, kQuoteMax)),
                           value.error().detail));
  return std::optional<Incoming>(message(*std::move(value)));
}

Result<std::optional<Incoming>> Decoder::decode_frame(std::string_view payload,
                                                      std::shared_ptr<const void> owner) {
  Result<CloneDecoder::Decoded> decoded = clone_decoder_.decode(payload, std::move(owner));
  if (!decoded) return fail(decoded.error());
  Incoming incoming = message(std::move(decoded->value));
  incoming.may_be_circular = decoded->may_be_circular;
  return std::optional<Incoming>(std::move(incoming));
}

Incoming Decoder::message(Value value) {
  Incoming incoming = classify(std::move(value));
  if (!waiting_.empty()) take_fd(incoming);
  return incoming;
}

/// For the message that ends at `position_`.
void Decoder::take_fd(Incoming& incoming) {
  if (incoming.was_handle && waiting_.front().read_begin < position_) {
    incoming.fd = std::move(waiting_.front().fd);
    waiting_.erase(waiting_.begin());
  }
  // The first message that ends at or behind the end of a read was the last to which its
  // descriptors can belong: messages that follow began after it.
  std::erase_if(waiting_, [&](const WaitingFd& waiting) { return waiting.read_end <= position_; });
}

Error Decoder::too_large() {
  return fail(make_error(Errc::MessageTooLarge, "receive",
                         "message_size_max is " + std::to_string(message_size_max_)));
}

Error Decoder::fail(Error error) {
  unread_ = {};
  unfinished_.clear();
  waiting_.clear();
  failure_ = std::move(error);
  return *failure_;
}

}  // namespace cohort::ipc
