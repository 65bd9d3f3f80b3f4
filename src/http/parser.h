// Bytes in, one request out: Beast's `basic_parser`, with the leniencies that smuggling lives on
// taken out. Pure: no clock, no descriptor; fuzzed (fuzz/http_parser_fuzz.cc).
//
// One parser belongs to one connection and is `reset` between requests. In the common case a
// request arrives whole: then nothing is copied, and the views of `head()` point into the bytes
// given to `put`. Otherwise the parser keeps its own copy of the head.
//
// Refused beyond what Beast refuses: folded lines; a second or listed Content-Length; any
// Transfer-Encoding but one `chunked`, or one on HTTP/1.0; a missing, second or malformed Host;
// targets that are none; what http/chunks.h refuses in a chunked body.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/http.h"
#include "http/chunks.h"

namespace cohort::http {

struct ParserLimits {
  std::size_t header_size_max = 16 * 1024;
  std::size_t header_count_max = 1000;  ///< 0: none.
  std::size_t body_size_max = 1024 * 1024;
};

struct RequestHead {
  std::string_view method;
  std::string_view url;
  bool http_1_0 = false;
  bool keep_alive = false;  ///< The client wants to keep the connection.
  std::vector<Header> headers;
};

class RequestParser {
 public:
  enum class State { NeedMore, Complete, Failed };

  explicit RequestParser(const ParserLimits& limits)
      : limits_{limits},
        chunks_{{limits.header_size_max, limits.header_size_max, limits.header_count_max,
                 limits.body_size_max}} {}
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  /// Forgets the request; the next byte begins another one.
  void reset();
  /// Takes bytes and says how many it used: never any of the next request. With NeedMore, the bytes
  /// that were not used have to come again, with more behind them.
  std::size_t put(std::string_view bytes);

  State state() const { return state_; }
  /// With Failed: 400, 413, 414, 417, 431, 501 or 505.
  int error_status() const { return error_status_; }
  /// Some of a request has been used, though not all of it.
  bool inside_request() const { return state_ == State::NeedMore && core_.has_value(); }
  bool header_done() const { return header_done_; }
  /// True once: the client waits for `100 Continue` before it sends the body.
  bool take_expect_continue();

  /// With Complete, until `reset` or the end of the bytes given to the last `put`.
  const RequestHead& head() const { return head_; }
  std::string_view body() const { return body_; }

 private:
  using error_code = boost::system::error_code;
  using string_view = boost::beast::string_view;

  // Beast's parser cannot be used twice; this one lives for one request.
  class Core final : public boost::beast::http::basic_parser<true> {
   public:
    explicit Core(RequestParser& owner) : owner_{owner} {}

   private:
    void on_request_impl(boost::beast::http::verb, string_view method, string_view target,
                         int version, error_code& error) override;
    void on_response_impl(int, string_view, int, error_code&) override {}
    void on_field_impl(boost::beast::http::field field, string_view name, string_view value,
                       error_code& error) override;
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(string_view bytes, error_code& error) override;
    // Chunks are not shown to it.
    void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, string_view, error_code&) override { return 0; }
    void on_finish_impl(error_code&) override {}

    RequestParser& owner_;
  };

  // What is known of the fields that decide how the request is framed and routed.
  struct Framing {
    bool content_length = false;
    bool transfer_encoding = false;
    bool host = false;
    bool expect_continue = false;
  };

  std::size_t put_header(std::string_view bytes);
  std::size_t put_body(std::string_view bytes);
  bool body_done() const { return core_->is_done() || chunks_.done(); }
  bool feed_header(std::string_view bytes, std::size_t& used);
  void finish_header();
  bool take_request_line(std::string_view method, std::string_view target, int version);
  bool take_field(boost::beast::http::field field, std::string_view name, std::string_view value);
  bool is_folded(std::string_view name, std::string_view value) const;
  bool take_expectation(std::string_view value);
  void keep_head(std::string_view bytes);
  void rebase(const char* from, const char* to);
  bool fail(int status);

  ParserLimits limits_;
  std::optional<Core> core_;
  State state_ = State::NeedMore;
  bool header_done_ = false;
  bool request_line_done_ = false;
  int error_status_ = 0;
  Framing framing_;
  RequestHead head_;
  std::string_view fed_;       // what Beast is looking at
  std::vector<char> partial_;  // the head, if it did not come together with the whole request
  std::size_t parsed_ = 0;     // of partial_, by Beast
  ChunkDecoder chunks_;
  std::string body_;
};

}  // namespace cohort::http
