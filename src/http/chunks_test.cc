// Chunked bodies. What Node 20.20 and 26.10 did with each of these, sent without another byte
// behind it, is the same but where a line says otherwise.
#include "http/chunks.h"

#include <gtest/gtest.h>

namespace cohort::http {
namespace {

using namespace std::string_view_literals;

constexpr ChunkDecoder::Limits kLimits{
    .line_size_max = 64, .extension_size_max = 64, .trailer_count_max = 3, .body_size_max = 16};

// "more", the status of a refusal, or the body and what was left of the bytes.
std::string decode(std::string_view bytes, std::size_t part = ~std::size_t{0},
                   const ChunkDecoder::Limits& limits = kLimits) {
  ChunkDecoder decoder{limits};
  std::string body;
  while (!bytes.empty() && !decoder.done() && decoder.error_status() == 0) {
    const std::size_t size = std::min(part, bytes.size());
    bytes.remove_prefix(decoder.put(bytes.substr(0, size), body));
  }
  if (decoder.error_status() != 0) return std::to_string(decoder.error_status());
  return decoder.done() ? '[' + body + ']' + std::string{bytes} : "more";
}

TEST(Chunks, AreABodyHoweverTheyArrive) {
  for (const std::size_t part : {1UL, 2UL, 3UL, 100UL}) {
    EXPECT_EQ(decode("5\r\nhello\r\n0\r\n\r\n", part), "[hello]");
    EXPECT_EQ(decode("A\r\n0123456789\r\n00\r\n\r\nGET", part), "[0123456789]GET");
    EXPECT_EQ(
        decode("2;a;b=c;d=\"e;\\\"\t\\f\xc3\"\r\nhi\r\n0;z\r\nA: b\tc\r\nHost:\r\n\r\n", part),
        "[hi]");
    EXPECT_EQ(decode("0\r\n\r\n", part), "[]");
    EXPECT_EQ(decode("000000000000000000002\r\n\r\n\r\n0\r\n\r\n", part), "[\r\n]");
  }
}

// Each is refused at its last byte: what is before it may become a body.
constexpr std::string_view kRefused[] = {
    "g",
    "\r",
    ";",
    " ",
    "-",
    "+",
    "0x",
    "5g",
    "5 ",
    "5\t",
    "5\n",
    "5\rx",
    "0\rx",
    "0\n",
    "5;\r",
    "5;\n",
    "5; ",
    "5;\t",
    "5;a ",
    "5;a\t",
    "5;a\n",
    "5;a\rx",
    "5;a= ",
    "5;a=\t",
    "5;a=b ",
    "5;a=b\n",
    "5;a=b\rx",
    "5;\"",
    "5;@",
    "5;(",
    "5;\x80",
    "5;\0"sv,
    "5;a=@",
    "5;a=\x80",
    "5;a=\"x\r",
    "5;a=\"x\n",
    "5;a=\"\0"sv,
    "5;a=\"\x01",
    "5;a=\"\x7f",
    "5;a=\"\\\r",
    "5;a=\"\\\n",
    "5;a=\"\\\0"sv,
    "5;a=\"x\" ",
    "5;a=\"x\"y",
    "5;a=\"x\"=",
    "5;a=\"x\"\rx",
    "0;a=\"x\r",
    "5\r\nhelloX",
    "5\r\nhello\n",
    "5\r\nhello\rX",
    "0\r\n\rx",
    "0\r\n\n",
    "0\r\n ",
    "0\r\n\t",
    "0\r\n:",
    "0\r\n@",
    "0\r\n\x80",
    "0\r\nA ",
    "0\r\nA\r",
    "0\r\nA\n",
    "0\r\na\0"sv,
    "0\r\na: \0"sv,
    "0\r\na: b\x01",
    "0\r\na: b\x7f",
    "0\r\na: b\n",
    "0\r\na: b\rx",
    "0\r\na:\n",
    "0\r\na:  \rx",
    "0\r\nA: b\r\n ",
    "0\r\na: b\r\n\rx",
    "0\r\na: b\r\n\n",
    "0\r\nContent-Length:",
    "0\r\ntransfer-encodinG:",
    "11111111111111111",
    // Node takes these. They are no extensions (RFC 9112, section 7.1.1).
    "5;=",
    "5;;",
    "5;a=\r",
    "5;a=;",
    "5;a=b\"",
    "5;a=b=",
};

TEST(Chunks, WhatCannotBecomeABodyIsRefusedAtTheByteThatSaysSo) {
  for (const std::string_view bytes : kRefused) {
    EXPECT_EQ(decode(bytes), "400") << bytes;
    EXPECT_EQ(decode(bytes, 1), "400") << bytes;
    EXPECT_EQ(decode(bytes.substr(0, bytes.size() - 1)), "more") << bytes;
  }
}

TEST(Chunks, AreLimitedInAllTheirParts) {
  const std::string much(60, 'x');
  EXPECT_EQ(decode("F\r\n0123456789abcde\r\n1\r\nf\r\n0\r\n\r\n"), "[0123456789abcdef]");
  EXPECT_EQ(decode("F\r\n0123456789abcde\r\n2\r\n"), "413");
  EXPECT_EQ(decode("FFFFFFFFFFFFFFFF\r\n"), "413");
  EXPECT_EQ(decode(std::string(70, '0')), "431") << "a size of many digits";
  EXPECT_EQ(decode("1;" + much + "xxx"), "431");
  EXPECT_EQ(decode("1;a=\"" + much), "431");
  EXPECT_EQ(decode("1;" + much + "\r\nx\r\n1;xxxxx"), "413") << "of all extensions";
  EXPECT_EQ(decode("0\r\na: " + much), "431");
  EXPECT_EQ(decode("0\r\na:\r\nb:\r\nc:\r\n\r\n"), "[]");
  EXPECT_EQ(decode("0\r\na:\r\nb:\r\nc:\r\nd"), "431");
  ChunkDecoder::Limits any_count = kLimits;
  any_count.trailer_count_max = 0;
  EXPECT_EQ(decode("0\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n", 1, any_count), "[]");
}

TEST(Chunks, BeginAnewAfterAReset) {
  ChunkDecoder decoder{kLimits};
  std::string body;
  decoder.put("2;a\r\nhi\r\n0\r\nb: c\r\n", body);
  decoder.reset();
  body.clear();
  decoder.put("3\r\nyou\r\n0\r\n\r\n", body);
  EXPECT_TRUE(decoder.done());
  EXPECT_EQ(body, "you");
}

}  // namespace
}  // namespace cohort::http
