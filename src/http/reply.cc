#include "http/reply.h"

#include <array>
#include <charconv>

#include "http/text.h"

namespace cohort::http {
namespace {

constexpr int kStatusMin = 200;  // 1xx are no answers
constexpr int kStatusMax = 999;

// Headers that the server writes itself, from what the handler wants.
enum class Own { No, Connection, ContentLength, Date, KeepAlive, TransferEncoding };

Own own_header(std::string_view name) {
  const auto is = [&](std::string_view other) { return equals_ignoring_case(name, other); };
  switch (name.size()) {
    case 4:
      return is("Date") ? Own::Date : Own::No;
    case 10:
      return is("Connection") ? Own::Connection : is("Keep-Alive") ? Own::KeepAlive : Own::No;
    case 14:
      return is("Content-Length") ? Own::ContentLength : Own::No;
    case 17:
      return is("Transfer-Encoding") ? Own::TransferEncoding : Own::No;
    default:
      return Own::No;
  }
}

void append_number(std::string& out, std::uint64_t number, int base) {
  std::array<char, 24> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number, base).ptr;
  out.append(text.data(), end);
}

Error refused(std::string_view name, std::string detail) {
  // The name may be what an attacker chose: it is shown only if it is one.
  return make_error(Errc::InvalidArgument,
                    is_token(name) ? "set header " + std::string{name} : "set header",
                    std::move(detail));
}

}  // namespace

void Reply::begin(const Setup& setup) {
  setup_ = setup;
  fields_.clear();
  status_ = 200;
  body_ = Body::None;
  keep_alive_ = setup.keep_alive;
  head_fixed_ = head_written_ = has_date_ = asked_to_close_ = false;
  length_.reset();
  remaining_ = 0;
}

bool Reply::set_status(int status) {
  if (head_fixed_) return false;
  const bool possible = status >= kStatusMin && status <= kStatusMax;
  status_ = possible ? status : 500;
  return possible;
}

Result<void> Reply::check(std::string_view name, std::string_view value) const {
  if (head_fixed_) return refused(name, "the head was sent");
  if (!is_token(name)) return refused(name, "the name is no token");
  if (!is_field_value(value)) return refused(name, "a control character in the value");
  bool fine = true;
  switch (own_header(name)) {
    case Own::No:
    case Own::Date:
      break;
    case Own::KeepAlive:
      return refused(name, "it says ServerOptions::keep_alive_timeout");
    case Own::Connection:
      fine = equals_ignoring_case(value, "close") || equals_ignoring_case(value, "keep-alive");
      break;
    case Own::ContentLength:
      fine = parse_decimal(value).has_value();
      break;
    case Own::TransferEncoding:
      fine = equals_ignoring_case(value, "chunked");
      break;
  }
  if (!fine) return refused(name, "the server cannot frame the answer so");
  return {};
}

Result<void> Reply::set_header(std::string_view name, std::string_view value) {
  if (auto checked = check(name, value); !checked) return checked;
  fields_.remove(name);
  add(name, value);
  return {};
}

Result<void> Reply::append_header(std::string_view name, std::string_view value) {
  // There is one of each of the server's own headers.
  if (own_header(name) != Own::No) return set_header(name, value);
  if (auto checked = check(name, value); !checked) return checked;
  add(name, value);
  return {};
}

void Reply::add(std::string_view name, std::string_view value) {
  fields_.append(name, value);
  switch (own_header(name)) {
    case Own::Connection:
      asked_to_close_ = equals_ignoring_case(value, "close");
      break;
    case Own::ContentLength:
      length_ = parse_decimal(value);
      break;
    case Own::Date:
      has_date_ = true;
      break;
    default:
      break;
  }
}

void Reply::remove_header(std::string_view name) {
  if (head_fixed_) return;
  fields_.remove(name);
  switch (own_header(name)) {
    case Own::Connection:
      asked_to_close_ = false;
      break;
    case Own::ContentLength:
      length_.reset();
      break;
    case Own::Date:
      has_date_ = false;
      break;
    default:
      break;
  }
}

Result<void> Reply::write_head(int status, std::initializer_list<Header> headers) {
  if (head_fixed_) return make_error(Errc::InvalidArgument, "write head", "the head was sent");
  Result<void> result;
  if (!set_status(status))
    result = make_error(Errc::InvalidArgument, "write head " + std::to_string(status),
                        "the status of an answer is a number of 200 to 999");
  for (const Header& header : headers)
    if (auto set = set_header(header.name, header.value); !set) result = set;
  head_fixed_ = true;
  return result;
}

void Reply::write_continue(std::string& out) const {
  if (!head_written_ && !setup_.http_1_0) out += "HTTP/1.1 100 Continue\r\n\r\n";
}

void Reply::write(std::string_view chunk, const Common& common, std::string& out) {
  if (!head_written_) emit_head(std::nullopt, common, out);
  if (!chunk.empty()) emit_body(chunk, out);  // an empty chunk would end the body
}

void Reply::end(std::string_view data, const Common& common, std::string& out) {
  if (!head_written_) emit_head(data.size(), common, out);
  if (!data.empty()) emit_body(data, out);
  if (body_ == Body::Chunked) out += "0\r\n\r\n";
  // Less than announced: the client must not take the next answer for the rest of this one.
  if (remaining_ != 0) keep_alive_ = false;
}

bool Reply::status_has_body() const { return status_ != 204 && status_ != 304; }

// `length` is given if the whole body is known.
void Reply::choose_framing(std::optional<std::uint64_t> length) {
  // Whoever answers HEAD without a body has not said how long the one of GET is; nor has a 304.
  const bool unknown = status_ == 304 || (setup_.head_request && length == 0U);
  if (!length_ && !unknown) length_ = length;
  if (status_ == 204) length_.reset();
  if (setup_.head_request || !status_has_body())
    body_ = Body::None;
  else if (length_)
    body_ = Body::Length;
  else
    body_ = setup_.http_1_0 ? Body::ToEnd : Body::Chunked;
  remaining_ = body_ == Body::Length ? *length_ : 0;
  if (body_ == Body::ToEnd) keep_alive_ = false;
}

void Reply::emit_head(std::optional<std::uint64_t> length, const Common& common, std::string& out) {
  head_fixed_ = head_written_ = true;
  if (common.closing || asked_to_close_) keep_alive_ = false;
  // An answer chunked on request, though it ends at once.
  if (fields_.has("Transfer-Encoding") && !setup_.http_1_0) {
    length.reset();
    length_.reset();
  }
  choose_framing(length);
  if (!fields_.lines().empty())
    for (const std::string_view name : {"Connection", "Content-Length", "Transfer-Encoding"})
      fields_.remove(name);
  if (status_ == 200) {
    out += "HTTP/1.1 200 OK\r\n";
  } else {
    out += "HTTP/1.1 ";
    append_number(out, static_cast<std::uint64_t>(status_), 10);
    out.append(" ").append(reason_phrase(status_)).append("\r\n");
  }
  out += fields_.lines();
  emit_framing(common, out);
}

void Reply::emit_framing(const Common& common, std::string& out) {
  if (!has_date_) out += common.date_line;
  if (keep_alive_)
    out.append("Connection: keep-alive\r\n").append(common.keep_alive_line);
  else
    out += "Connection: close\r\n";
  if (length_) {
    out += "Content-Length: ";
    append_number(out, *length_, 10);
    out += "\r\n\r\n";
  } else if (body_ == Body::Chunked) {
    out += "Transfer-Encoding: chunked\r\n\r\n";
  } else {
    out += "\r\n";
  }
}

void Reply::emit_body(std::string_view data, std::string& out) {
  switch (body_) {
    case Body::None:
      break;
    case Body::Length:
      data = data.substr(0, remaining_);
      remaining_ -= data.size();
      out += data;
      break;
    case Body::Chunked:
      append_number(out, data.size(), 16);
      out.append("\r\n").append(data).append("\r\n");
      break;
    case Body::ToEnd:
      out += data;
      break;
  }
}

}  // namespace cohort::http
