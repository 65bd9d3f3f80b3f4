// A chunked body (RFC 9112, section 7.1) in any parts. Pure.
//
// What cannot become a body is known at the byte that makes it so, wherever that is: in a size, an
// extension, a trailer. Nobody who sends such a byte can hold a connection until a timeout, and no
// byte is looked at twice. As strict as Node: blanks around sizes and extensions, and folded
// trailers, are refused. Trailers are checked and dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cohort::http {

class ChunkDecoder {
 public:
  struct Limits {
    std::size_t line_size_max = 0;       ///< Of a chunk's line, or the last one with all trailers.
    std::size_t extension_size_max = 0;  ///< Of all extensions of a body.
    std::size_t trailer_count_max = 0;   ///< 0: none.
    std::size_t body_size_max = 0;
  };

  explicit ChunkDecoder(const Limits& limits) : limits_{limits} {}
  /// Another body begins.
  void reset() { *this = ChunkDecoder{limits_}; }
  /// Appends data to `body`, and says how many bytes it used: all, unless it is done or failed.
  std::size_t put(std::string_view bytes, std::string& body);
  bool done() const { return at_ == At::End; }
  /// 0 unless it failed: 400, 413 or 431.
  int error_status() const { return error_status_; }

 private:
  // What the next byte is part of. An `...End` takes the LF behind a CR.
  // clang-format off
  enum class At {
    Size, NameStart, Name, ValueStart, Value, Quoted, Escaped, QuotedEnd, LineEnd,
    Data, DataCr, DataEnd,
    TrailerStart, TrailerName, TrailerValue, TrailerEnd, BodyEnd,
    End, Failed,
  };
  // clang-format on

  At next(char c, std::size_t body_size);
  At size(char c);
  At extension(char c);
  At quoted(char c);
  At trailer(char c);
  At line_end(std::size_t body_size);
  bool within_limits();
  At fail(int status);

  Limits limits_;
  At at_ = At::Size;
  int error_status_ = 0;
  bool has_size_ = false;
  std::uint64_t left_ = 0;  // of the chunk
  std::size_t line_size_ = 0;
  std::size_t extension_size_ = 0;
  std::size_t trailer_count_ = 0;
  std::string trailer_name_;
};

}  // namespace cohort::http
