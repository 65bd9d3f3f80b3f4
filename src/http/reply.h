// One response: its head, its framing, its end, appended to a string of bytes to send. Pure.
//
// One Reply belongs to one connection and is begun anew for every request. The head is held back
// until the first data, so that a response that ends at once has a Content-Length.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "cohort/error.h"
#include "cohort/http.h"
#include "http/fields.h"

namespace cohort::http {

class Reply {
 public:
  struct Setup {
    bool head_request = false;  ///< HEAD: everything but the body.
    bool http_1_0 = false;
    bool keep_alive = true;  ///< The client wants to keep the connection.
  };
  /// What every response of a server has in common.
  struct Common {
    std::string_view date_line;        ///< `Date: ...\r\n`
    std::string_view keep_alive_line;  ///< `Keep-Alive: timeout=5\r\n`, or empty
    bool closing = false;              ///< The server ends: keep no connection.
  };

  void begin(const Setup& setup);

  // Before the head is fixed; the contracts are those of Response.
  int status() const { return status_; }
  /// False, and 500, for what no status is; false, and no change, once the head is fixed.
  bool set_status(int status);
  Result<void> set_header(std::string_view name, std::string_view value);
  Result<void> append_header(std::string_view name, std::string_view value);
  void remove_header(std::string_view name);
  const Fields& fields() const { return fields_; }
  Result<void> write_head(int status, std::initializer_list<Header> headers);

  /// Nothing can be set any more.
  bool head_fixed() const { return head_fixed_; }
  /// The head is among the bytes to send.
  bool head_written() const { return head_written_; }

  void write_continue(std::string& out) const;
  void write(std::string_view chunk, const Common& common, std::string& out);
  void end(std::string_view data, const Common& common, std::string& out);
  /// After `end`: the connection may carry another request.
  bool keeps_connection() const { return keep_alive_; }

 private:
  enum class Body { None, Length, Chunked, ToEnd };

  Result<void> check(std::string_view name, std::string_view value) const;
  void add(std::string_view name, std::string_view value);
  void emit_head(std::optional<std::uint64_t> length, const Common& common, std::string& out);
  void choose_framing(std::optional<std::uint64_t> length);
  void emit_framing(const Common& common, std::string& out);
  void emit_body(std::string_view data, std::string& out);
  bool status_has_body() const;

  Setup setup_;
  Fields fields_;
  int status_ = 200;
  Body body_ = Body::None;
  bool keep_alive_ = true;
  bool head_fixed_ = false;
  bool head_written_ = false;
  bool has_date_ = false;
  bool asked_to_close_ = false;
  std::optional<std::uint64_t> length_;  // set by the handler, or known
  std::uint64_t remaining_ = 0;          // with Length: bytes that are still owed
};

}  // namespace cohort::http
