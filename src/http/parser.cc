#include "http/parser.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <functional>
#include <limits>

#include "http/text.h"

namespace cohort::http {

namespace beast_http = boost::beast::http;
using boost::system::error_code;

namespace {

// Buffers of an unusual request are not kept for the next one.
constexpr std::size_t kKeptCapacity = 1024;
constexpr std::size_t kKeptHeaders = 64;

template <class Container>
void clear(Container& container, std::size_t kept = kKeptCapacity) {
  if (container.capacity() > kept)
    container = Container{};
  else
    container.clear();
}

std::string_view to_std(boost::beast::string_view text) { return {text.data(), text.size()}; }

std::string_view view(const std::vector<char>& bytes) { return {bytes.data(), bytes.size()}; }

boost::asio::const_buffer buffer(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

// A request line that Beast refused for its version: is it a version, though none that we speak?
bool names_other_version(std::string_view line) {
  const std::size_t target = line.find(' ') + 1;  // Beast got as far as the version
  const std::string_view version = line.substr(line.find(' ', target) + 1, 8);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return version.size() == 8 && version.starts_with("HTTP/") && digit(version[5]) &&
         version[6] == '.' && digit(version[7]) && version != "HTTP/1.0" && version != "HTTP/1.1";
}

// What no part of a header may contain. Beast finds it too, but once a header came in parts it
// looks only when the empty line has come, and after a bare LF none ever may.
bool has_stray_control(std::string_view bytes) {
  char last = bytes.front();
  for (const char c : bytes.substr(1)) {
    if ((c == '\n') != (last == '\r')) return true;
    if (static_cast<unsigned char>(c) < ' ' && c != '\t' && c != '\r' && c != '\n') return true;
    last = c;
  }
  return false;
}

// RFC 9112, section 3.2: origin form, absolute form, or `*` for OPTIONS.
bool is_target(std::string_view method, std::string_view target) {
  if (target.front() == '/') return true;
  if (target == "*") return method == "OPTIONS";
  const auto scheme = target.find("://");
  return scheme != target.npos && scheme > 0 && is_token(target.substr(0, scheme));
}

// Host = uri-host [ ":" port ]: what no URL's authority may contain would let two programs see two
// hosts. Empty is legal.
bool is_host(std::string_view value) {
  static constexpr auto kForbidden = [] {
    std::array<bool, 256> table{};
    for (std::size_t c = 0; c <= ' '; ++c) table[c] = true;
    for (const char c : std::string_view{"/\\?#@,<>\"`{}|^\x7f"})
      table[static_cast<std::size_t>(c)] = true;
    return table;
  }();
  return std::none_of(value.begin(), value.end(),
                      [](char c) { return kForbidden[static_cast<unsigned char>(c)]; });
}

}  // namespace

void RequestParser::reset() {
  core_.reset();
  state_ = State::NeedMore;
  header_done_ = request_line_done_ = false;
  error_status_ = 0;
  if (framing_.transfer_encoding) chunks_.reset();
  framing_ = {};
  clear(head_.headers, kKeptHeaders);
  fed_ = {};
  clear(partial_);
  parsed_ = 0;
  clear(body_);
}

std::size_t RequestParser::put(std::string_view bytes) {
  std::size_t used = 0;
  std::string_view whole_head;
  if (!header_done_) {
    if (!core_) {
      // Empty lines before a request are to be ignored (RFC 9112, section 2.2).
      while (bytes.substr(used).starts_with("\r\n")) used += 2;
      const std::string_view rest = bytes.substr(used);
      if (rest.empty() || rest == "\r") return used;
      core_.emplace(*this);
      core_->header_limit(std::numeric_limits<std::uint32_t>::max());  // ours is over all of it
      core_->body_limit(limits_.body_size_max);
    }
    const std::size_t size = put_header(bytes.substr(used));
    if (partial_.empty()) whole_head = bytes.substr(used, size);
    used += size;
    if (!header_done_) return used;
  }
  if (!body_done() && used < bytes.size()) {
    framing_.expect_continue = false;  // the body is on its way
    used += put_body(bytes.substr(used));
  }
  if (state_ == State::Failed) return used;
  if (body_done())
    state_ = State::Complete;
  else if (!whole_head.empty())
    keep_head(whole_head);  // the caller's bytes will be gone when the body is complete
  return used;
}

std::size_t RequestParser::put_header(std::string_view bytes) {
  std::size_t used = 0;
  if (partial_.empty()) {
    if (feed_header(bytes, used)) return used;
    if (state_ == State::Failed) return bytes.size();
    keep_head(bytes);
    parsed_ = used;
    if (has_stray_control(bytes)) fail(400);
    return bytes.size();
  }
  // One byte more than allowed is enough to know.
  const std::size_t taken = std::min(bytes.size(), limits_.header_size_max + 1 - partial_.size());
  const std::size_t checked = partial_.size() - 1;
  keep_head(bytes.substr(0, taken));
  const bool done = feed_header(view(partial_).substr(parsed_), used);
  parsed_ += used;
  if (done) return taken - (partial_.size() - parsed_);
  if (state_ == State::NeedMore && has_stray_control(view(partial_).substr(checked))) fail(400);
  return taken;
}

// Shows the header, or what is there of it, to Beast. True when it is complete and in order.
bool RequestParser::feed_header(std::string_view bytes, std::size_t& used) {
  error_code error;
  core_->eager(false);  // stop at the end of the header
  fed_ = bytes;
  used = core_->put(buffer(bytes), error);
  const std::size_t total = parsed_ + (core_->is_header_done() ? used : bytes.size());
  if (error && error != beast_http::error::need_more) {
    if (error_status_ != 0) return false;  // one of ours, from a callback
    if (error == beast_http::error::bad_version)
      return fail(names_other_version(partial_.empty() ? bytes : view(partial_)) ? 505 : 400);
    return fail(error == beast_http::error::body_limit ? 413 : 400);
  }
  if (total > limits_.header_size_max) {
    const std::string_view all = partial_.empty() ? bytes : view(partial_);
    return fail(all.substr(0, limits_.header_size_max).find('\n') == all.npos ? 414 : 431);
  }
  if (!core_->is_header_done()) return false;
  finish_header();
  return header_done_;
}

void RequestParser::finish_header() {
  if (!framing_.host && !head_.http_1_0) {
    fail(400);
    return;
  }
  header_done_ = true;
  head_.keep_alive = core_->keep_alive();
  core_->eager(true);
}

std::size_t RequestParser::put_body(std::string_view bytes) {
  if (core_->chunked()) {
    const std::size_t used = chunks_.put(bytes, body_);
    if (chunks_.error_status() != 0) fail(chunks_.error_status());
    return used;
  }
  error_code error;
  const std::size_t used = core_->put(buffer(bytes), error);
  if (error && error != beast_http::error::need_more)
    fail(error == beast_http::error::body_limit ? 413 : 400);
  return used;
}

bool RequestParser::take_request_line(std::string_view method, std::string_view target,
                                      int version) {
  request_line_done_ = true;
  head_.method = method;
  head_.url = target;
  head_.http_1_0 = version == 10;
  if (method == "CONNECT") return fail(501);  // we are no proxy
  return is_target(method, target) || fail(400);
}

bool RequestParser::take_field(beast_http::field field, std::string_view name,
                               std::string_view value) {
  if (is_folded(name, value)) return fail(400);
  if (head_.headers.size() == limits_.header_count_max && limits_.header_count_max != 0)
    return fail(431);
  head_.headers.push_back({name, value});
  switch (field) {
    case beast_http::field::content_length:
      if (std::exchange(framing_.content_length, true) || framing_.transfer_encoding ||
          !parse_decimal(value))
        return fail(400);
      return true;
    case beast_http::field::transfer_encoding:
      if (std::exchange(framing_.transfer_encoding, true) || framing_.content_length ||
          head_.http_1_0)
        return fail(400);
      return equals_ignoring_case(value, "chunked") || fail(501);
    case beast_http::field::host:
      if (std::exchange(framing_.host, true) || !is_host(value)) return fail(400);
      return true;
    case beast_http::field::expect:
      return take_expectation(value);
    default:
      return true;
  }
}

// Beast joins folded lines (RFC 9112, section 5.2, tells servers to refuse them). It shows either
// as a value that is not where the bytes are, or as a line end between name and value.
bool RequestParser::is_folded(std::string_view name, std::string_view value) const {
  const std::less<const char*> before;
  const char* const begin = name.data() + name.size() + 1;
  if (before(value.data(), begin) || before(fed_.data() + fed_.size(), value.data() + value.size()))
    return true;
  for (const char* at = begin; at != value.data(); ++at)
    if (*at != ' ' && *at != '\t') return true;
  return false;
}

bool RequestParser::take_expectation(std::string_view value) {
  if (head_.http_1_0) return true;  // means nothing there (RFC 9110, section 10.1.1)
  if (!equals_ignoring_case(value, "100-continue")) return fail(417);
  framing_.expect_continue = true;
  return true;
}

bool RequestParser::take_expect_continue() {
  return header_done_ && state_ == State::NeedMore &&
         std::exchange(framing_.expect_continue, false);
}

// Appends to the parser's own copy of the head, and lets the views follow it.
void RequestParser::keep_head(std::string_view bytes) {
  const std::size_t size = partial_.size() + bytes.size();
  if (partial_.empty() || size > partial_.capacity()) {
    std::vector<char> grown;
    grown.reserve(2 * size);
    grown.assign(partial_.begin(), partial_.end());
    rebase(partial_.empty() ? bytes.data() : partial_.data(), grown.data());
    partial_.swap(grown);
  }
  partial_.insert(partial_.end(), bytes.begin(), bytes.end());
}

void RequestParser::rebase(const char* from, const char* to) {
  if (from == to) return;
  const auto move = [&](std::string_view& view) {
    if (view.data() != nullptr) view = {to + (view.data() - from), view.size()};
  };
  if (request_line_done_) {
    move(head_.method);
    move(head_.url);
  }
  for (Header& header : head_.headers) {
    move(header.name);
    move(header.value);
  }
}

bool RequestParser::fail(int status) {
  error_status_ = status;
  state_ = State::Failed;
  return false;
}

void RequestParser::Core::on_request_impl(beast_http::verb, string_view method, string_view target,
                                          int version, error_code& error) {
  if (!owner_.take_request_line(to_std(method), to_std(target), version))
    error = beast_http::error::bad_target;
}

void RequestParser::Core::on_field_impl(beast_http::field field, string_view name,
                                        string_view value, error_code& error) {
  if (!owner_.take_field(field, to_std(name), to_std(value))) error = beast_http::error::bad_field;
}

std::size_t RequestParser::Core::on_body_impl(string_view bytes, error_code&) {
  owner_.body_.append(bytes.data(), bytes.size());
  return bytes.size();
}

}  // namespace cohort::http
