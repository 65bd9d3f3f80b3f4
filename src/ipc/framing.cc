#include "ipc/framing.h"

#include <algorithm>
#include <cstring>
#include <iterator>
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
// In the length of a frame: references to shared memory come first.
constexpr std::size_t kHasReferences = 0x80000000;
constexpr std::size_t kReferencesSizeMax = 2 + kSharedReferencesMax * 3 * 9;
// What `space` offers at least, unless the message ends before.
constexpr std::size_t kSpaceMin = 64u << 10;

void append_varint(std::size_t number, std::string& out) {
  for (; number >= 0x80; number >>= 7) out += static_cast<char>(number | 0x80);
  out += static_cast<char>(number);
}

// Taken off the front of `bytes`; nothing if they end too early, or it has more than 63 bits.
std::optional<std::size_t> take_varint(std::string_view& bytes) {
  std::size_t number = 0;
  for (unsigned shift = 0; shift < 63 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    number |= std::size_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return number;
  }
  return std::nullopt;
}

}  // namespace

std::string shared_frame(std::string_view frame, std::span<const SharedReference> references) {
  constexpr std::size_t kLengthSize = 4;
  std::string out(kLengthSize, '\0');
  append_varint(references.size(), out);
  for (const SharedReference& reference : references) {
    append_varint(reference.position - kLengthSize, out);
    append_varint(reference.offset, out);
    append_varint(reference.size, out);
  }
  out += frame.substr(kLengthSize);
  const std::size_t length = (out.size() - kLengthSize) | kHasReferences;
  for (std::size_t i = 0; i < kLengthSize; ++i)
    out[i] = static_cast<char>(length >> (8 * (kLengthSize - 1 - i)));
  return out;
}

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
  has_references_ = lend_ && (length_ & kHasReferences) != 0;
  if (has_references_) length_ -= kHasReferences;
  const std::size_t references = has_references_ ? kReferencesSizeMax : 0;
  if (length_ > message_size_max_ + references) return too_large();
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
  std::vector<SharedBytes> shared;
  if (has_references_) {
    auto references = take_references(payload);
    if (!references) return fail(references.error());
    shared = *std::move(references);
  }
  Result<CloneDecoder::Decoded> decoded =
      clone_decoder_.decode(payload, std::move(owner), std::move(shared));
  if (!decoded) return fail(decoded.error());
  Incoming incoming = message(std::move(decoded->value));
  incoming.may_be_circular = decoded->may_be_circular;
  return std::optional<Incoming>(std::move(incoming));
}

// The references in front of a value, which is what remains of `payload`.
Result<std::vector<SharedBytes>> Decoder::take_references(std::string_view& payload) {
  const auto malformed = [] {
    return make_error(Errc::MalformedMessage, "receive", "a bad reference to shared memory");
  };
  const auto count = take_varint(payload);
  if (!count || *count > kSharedReferencesMax) return malformed();
  std::vector<SharedBytes> shared;
  std::size_t total = 0;
  for (std::size_t i = 0; i < *count; ++i) {
    const auto position = take_varint(payload);
    const auto offset = take_varint(payload);
    const auto size = take_varint(payload);
    if (!position || !offset || !size) return malformed();
    if (*size > message_size_max_ || (total += *size) > message_size_max_) return too_large();
    auto memory = lend_(*offset, *size);
    if (!memory) return malformed();
    const std::byte* const bytes = memory.get();
    shared.push_back({*position, {bytes, *size}, std::move(memory)});
  }
  if (total + payload.size() > message_size_max_) return too_large();
  return shared;
}

Incoming Decoder::message(Value value) {
  Incoming incoming = classify(std::move(value));
  const std::uint64_t begin = std::exchange(message_end_, position_);
  incoming.size = static_cast<std::size_t>(position_ - begin);
  if (!waiting_.empty()) take_fds(incoming, begin);
  return incoming;
}

/// For the message that began at `begin` and ends at `position_`.
void Decoder::take_fds(Incoming& incoming, std::uint64_t begin) {
  if (!incoming.heads.empty()) {
    take_several(incoming, begin);
  } else if (incoming.was_handle && waiting_.front().read_begin < position_) {
    incoming.fd = std::move(waiting_.front().fd);
    waiting_.erase(waiting_.begin());
  }
  // The first message that ends at or behind the end of a read was the last to which its
  // descriptors can belong: messages that follow began after it.
  std::erase_if(waiting_, [&](const WaitingFd& waiting) { return waiting.read_end <= position_; });
}

// All of them came with the read that had the message's first byte, or some are lost: then the
// others are of no use, and those behind them belong to the next message.
void Decoder::take_several(Incoming& incoming, std::uint64_t begin) {
  const auto end = std::find_if(waiting_.begin(), waiting_.end(), [begin](const auto& waiting) {
    return waiting.read_begin > begin;
  });
  const std::size_t wanted = incoming.heads.size();
  if (wanted > kDescriptorsMax || std::cmp_less(end - waiting_.begin(), wanted)) return;
  const auto last = waiting_.begin() + static_cast<std::ptrdiff_t>(wanted);
  std::transform(waiting_.begin(), last, std::back_inserter(incoming.several),
                 [](WaitingFd& waiting) { return std::move(waiting.fd); });
  waiting_.erase(waiting_.begin(), last);
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
