#include "http/chunks.h"

#include <algorithm>
#include <limits>

#include "http/text.h"

namespace cohort::http {
namespace {

// -1 if it is none.
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Nothing that could end a line: also what a quoted string may have behind a backslash.
bool is_text(char c) { return is_field_value({&c, 1}); }

}  // namespace

std::size_t ChunkDecoder::put(std::string_view bytes, std::string& body) {
  std::size_t used = 0;
  while (used < bytes.size() && at_ != At::End && at_ != At::Failed) {
    if (at_ != At::Data) {
      at_ = next(bytes[used++], body.size());
      continue;
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - used));
    body.append(bytes, used, size);
    used += size;
    left_ -= size;
    if (left_ == 0) at_ = At::DataCr;
  }
  return used;
}

ChunkDecoder::At ChunkDecoder::next(char c, std::size_t body_size) {
  switch (at_) {
    case At::DataCr:
      return c == '\r' ? At::DataEnd : fail(400);
    case At::DataEnd:
      return c == '\n' ? At::Size : fail(400);
    case At::BodyEnd:
      return c == '\n' ? At::End : fail(400);
    default:
      break;
  }
  ++line_size_;
  if (!within_limits()) return At::Failed;
  switch (at_) {
    case At::Size:
      return size(c);
    case At::LineEnd:
      return c == '\n' ? line_end(body_size) : fail(400);
    case At::NameStart:
    case At::Name:
    case At::ValueStart:
    case At::Value:
      return extension(c);
    case At::Quoted:
    case At::Escaped:
    case At::QuotedEnd:
      return quoted(c);
    default:
      return trailer(c);
  }
}

bool ChunkDecoder::within_limits() {
  const bool extension = at_ >= At::NameStart && at_ <= At::QuotedEnd;
  if (line_size_ > limits_.line_size_max)
    fail(431);
  else if (extension && ++extension_size_ > limits_.extension_size_max)
    fail(413);
  return error_status_ == 0;
}

ChunkDecoder::At ChunkDecoder::size(char c) {
  if (const int digit = hex_digit(c); digit >= 0) {
    has_size_ = true;
    if (left_ > std::numeric_limits<std::uint64_t>::max() / 16) return fail(400);
    left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
    return At::Size;
  }
  if (!has_size_) return fail(400);
  return c == ';' ? At::NameStart : c == '\r' ? At::LineEnd : fail(400);
}

ChunkDecoder::At ChunkDecoder::extension(char c) {
  const bool value = at_ == At::ValueStart || at_ == At::Value;
  if (is_token_char(c)) return value ? At::Value : At::Name;
  if (at_ == At::ValueStart && c == '"') return At::Quoted;
  if (at_ == At::NameStart || at_ == At::ValueStart) return fail(400);
  if (c == '=' && !value) return At::ValueStart;
  return c == ';' ? At::NameStart : c == '\r' ? At::LineEnd : fail(400);
}

ChunkDecoder::At ChunkDecoder::quoted(char c) {
  if (at_ == At::QuotedEnd) return c == ';' ? At::NameStart : c == '\r' ? At::LineEnd : fail(400);
  if (!is_text(c)) return fail(400);
  if (at_ == At::Escaped) return At::Quoted;
  return c == '"' ? At::QuotedEnd : c == '\\' ? At::Escaped : At::Quoted;
}

ChunkDecoder::At ChunkDecoder::line_end(std::size_t body_size) {
  if (left_ == 0) return At::TrailerStart;
  if (left_ > limits_.body_size_max - std::min(body_size, limits_.body_size_max)) return fail(413);
  has_size_ = false;
  line_size_ = 0;
  return At::Data;
}

ChunkDecoder::At ChunkDecoder::trailer(char c) {
  switch (at_) {
    case At::TrailerStart:
      if (c == '\r') return At::BodyEnd;
      if (!is_token_char(c)) return fail(400);
      if (++trailer_count_ > limits_.trailer_count_max && limits_.trailer_count_max != 0)
        return fail(431);
      trailer_name_.assign(1, c);
      return At::TrailerName;
    case At::TrailerName:
      if (is_token_char(c)) {
        trailer_name_ += c;
        return At::TrailerName;
      }
      // The framing is known, and no trailer changes it.
      if (c != ':' || equals_ignoring_case(trailer_name_, "Content-Length") ||
          equals_ignoring_case(trailer_name_, "Transfer-Encoding"))
        return fail(400);
      return At::TrailerValue;
    case At::TrailerValue:
      return c == '\r' ? At::TrailerEnd : is_text(c) ? At::TrailerValue : fail(400);
    default:
      return c == '\n' ? At::TrailerStart : fail(400);
  }
}

ChunkDecoder::At ChunkDecoder::fail(int status) {
  error_status_ = status;
  return At::Failed;
}

}  // namespace cohort::http
