// An HTTP answer as it comes in, byte by byte: whether it is whole. Its body is not kept. Pure.
#pragma once

#include <boost/beast/core/buffer_traits.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cohort::cli {

/// Takes the bytes of a body, and forgets them.
struct ForgottenBody {
  struct value_type {};
  struct reader {
    template <bool isRequest, class Fields>
    reader(boost::beast::http::header<isRequest, Fields>&, value_type&) {}
    void init(const boost::optional<std::uint64_t>&, boost::system::error_code& error) {
      error = {};
    }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, boost::system::error_code& error) {
      error = {};
      return boost::beast::buffer_bytes(buffers);
    }
    void finish(boost::system::error_code& error) { error = {}; }
  };
};

class LoadAnswer {
 public:
  LoadAnswer() { begin(); }

  /// False: this is no HTTP.
  bool put(std::string_view bytes);
  /// The connection has ended. False: the answer is not whole.
  bool end();
  bool is_done() const { return parser_->is_done(); }
  /// Of one that is done: whether the connection may be used again.
  bool keeps() const { return parser_->get().keep_alive(); }
  int status() const { return static_cast<int>(parser_->get().result_int()); }
  /// How many have come.
  std::size_t bytes() const { return bytes_; }
  /// Why this is no HTTP.
  const std::string& what() const { return what_; }

 private:
  void begin();

  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::response_parser<ForgottenBody>> parser_;
  std::size_t bytes_ = 0;
  std::string what_;
};

}  // namespace cohort::cli
