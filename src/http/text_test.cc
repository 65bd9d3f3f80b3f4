#include "http/text.h"

#include <gtest/gtest.h>

namespace cohort::http {
namespace {

using namespace std::literals;

TEST(Text, TokensAreLettersDigitsAndTheFifteenMarks) {
  EXPECT_TRUE(is_token("!#$%&'*+-.^_`|~09azAZ"));
  EXPECT_FALSE(is_token(""));
  for (int c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    const bool expected = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                          (c >= 'A' && c <= 'Z') ||
                          (c != 0 && "!#$%&'*+-.^_`|~"sv.find(byte) != std::string_view::npos);
    EXPECT_EQ(is_token_char(byte), expected) << c;
  }
}

TEST(Text, FieldValuesHaveNoControlCharacterButTheTab) {
  EXPECT_TRUE(is_field_value(""));
  EXPECT_TRUE(is_field_value("a\tb \x80\xff"));
  for (const char c : "\r\n\0\x01\x1f\x7f"s)
    EXPECT_FALSE(is_field_value("a"s + c + "b")) << static_cast<int>(c);
}

TEST(Text, NamesAreComparedWithoutCaseAsAscii) {
  EXPECT_TRUE(equals_ignoring_case("Content-Length", "cONTENT-lENGTH"));
  EXPECT_FALSE(equals_ignoring_case("Host", "Hos"));
  // The pairs that `c | 0x20` would confuse.
  EXPECT_FALSE(equals_ignoring_case("[", "{"));
  EXPECT_FALSE(equals_ignoring_case("@", "`"));
}

TEST(Text, DecimalsAreDigitsThatFit) {
  EXPECT_EQ(parse_decimal("0"), 0U);
  EXPECT_EQ(parse_decimal("007"), 7U);
  EXPECT_EQ(parse_decimal("18446744073709551615"), 18446744073709551615U);
  for (const auto* const bad : {"", "+1", "-1", " 1", "1 ", "1,1", "0x1", "18446744073709551616"})
    EXPECT_EQ(parse_decimal(bad), std::nullopt) << bad;
}

TEST(Text, StatusesHaveTheirPhrases) {
  EXPECT_EQ(reason_phrase(100), "Continue");
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(511), "Network Authentication Required");
  for (const int unknown : {0, 99, 299, 599, 999}) EXPECT_EQ(reason_phrase(unknown), "") << unknown;
}

}  // namespace
}  // namespace cohort::http
