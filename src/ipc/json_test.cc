#include "ipc/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <limits>
#include <string>

namespace cohort {
namespace {

const double kInfinity = std::numeric_limits<double>::infinity();

/// Parses and prints.
std::string again(std::string_view text) { return to_json(parse_json(text).value()); }

std::string parse_failure(std::string_view text) {
  const Result<Value> result = parse_json(text);
  if (result) return "parsed as " + to_json(*result);
  EXPECT_EQ(result.error().code, Errc::MalformedMessage);
  return result.error().detail;
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(Json, ParsesEveryKindOfValue) {
  EXPECT_TRUE(parse_json("null")->is_null());
  EXPECT_EQ(*parse_json("true"), true);
  EXPECT_EQ(*parse_json("false"), false);
  EXPECT_EQ(*parse_json("\"text\""), "text");
  EXPECT_EQ(*parse_json("-12.5e1"), -125);
  EXPECT_EQ(*parse_json("[1,\"a\",null,[],{}]"),
            Value({1, "a", nullptr, Value::array(), Value::object()}));
  EXPECT_EQ(*parse_json(R"({"a":{"b":[1,{"c":2}]},"d":3})"),
            Value({{"a", {{"b", {1, {{"c", 2}}}}}}, {"d", 3}}));
}

TEST(Json, ToleratesWhiteSpaceAroundValues) {
  EXPECT_EQ(again(" \t\r\n{ \"a\" : [ 1 , 2 ] }\r"), R"({"a":[1,2]})");
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1,]",
                           "{\"a\":1,}",
                           "{a:1}",
                           "'x'",
                           "nul",
                           "NaN",
                           "01",
                           "1.",
                           "+1",
                           "1 2",
                           "\"a",
                           "\"\n\"",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "[1",
                           "]",
                           "// c\n1",
                           ("\xef\xbb\xbf"
                            "1"),
                           "undefined",
                           "{\"a\"}",
                           "1e",
                           "-",
                           "\"\t\"",
                           "\xff"})
    EXPECT_FALSE(parse_json(text)) << text << ": " << parse_failure(text);
  EXPECT_FALSE(parse_json(std::string_view("1\0", 2)));
}

TEST(Json, RefusesTooDeepNestingBothWays) {
  EXPECT_EQ(again(nested(1000)), nested(1000));
  EXPECT_NE(parse_failure(nested(1001)).find("deep"), std::string::npos);
  EXPECT_FALSE(parse_json(std::string(1'000'000, '[')));
  Value deeper = Value::array({*parse_json(nested(1000))});
  EXPECT_EQ(to_json(deeper), "");
}

TEST(Json, ReadsNumbersExactly) {
  for (const double number : {0.1, 1.0 / 3, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
                              123456789012345680.0, 9007199254740993.0, 4.35, 0.000001, 1e21, 1e-7,
                              8.41e21, 9.2233720368547758e18, 1e23, 6.02214076e23}) {
    EXPECT_EQ(parse_json(to_json(number))->number_or(0), number);
    EXPECT_EQ(parse_json(to_json(-number))->number_or(0), -number);
  }
  // A parser that scales by a power of ten gets these wrong by one unit.
  EXPECT_EQ(parse_json("8.988465674311579e307")->number_or(0), 8.988465674311579e307);
  EXPECT_EQ(parse_json("358416272e-33")->number_or(0), 358416272e-33);
  EXPECT_EQ(parse_json("9007199254740993")->number_or(0), 9007199254740992.0);
  EXPECT_EQ(parse_json("18446744073709551615")->number_or(0), 0x1p64);
  EXPECT_EQ(parse_json("-9223372036854775809")->number_or(0), -0x1p63);
  EXPECT_EQ(parse_json("123456789012345678901234567890")->number_or(0),
            123456789012345678901234567890.0);
}

TEST(Json, ReadsNumbersBeyondADoubleAsJavaScriptDoes) {
  EXPECT_EQ(parse_json("1e400")->number_or(0), kInfinity);
  EXPECT_EQ(parse_json("-1e400")->number_or(0), -kInfinity);
  EXPECT_EQ(parse_json("1e-400")->number_or(1), 0);
  EXPECT_TRUE(std::signbit(parse_json("-1e-400")->number_or(1)));
  EXPECT_TRUE(std::signbit(parse_json("-0")->number_or(1)));
  EXPECT_TRUE(std::signbit(parse_json("-0.0")->number_or(1)));
  EXPECT_FALSE(std::signbit(parse_json("0")->number_or(1)));
}

TEST(Json, ReadsEscapes) {
  EXPECT_EQ(*parse_json(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00")"),
            "\"\\/\b\f\n\r\tA\u00e9\u20ac\U0001F600");
  EXPECT_EQ(*parse_json(R"({"a\nb":1})"), Value({{"a\nb", 1}}));
  EXPECT_EQ(parse_json(R"("\u0000")")->string_or("?"), std::string_view("\0", 1));
  // In pieces: escapes far apart, in keys and values, longer than any buffer.
  const std::string text(10'000, 'x');
  const std::string json = "{\"" + text + "\\n" + text + "\":\"" + text + "\\t" + text + "\"}";
  EXPECT_EQ(*parse_json(json), Value({{text + "\n" + text, text + "\t" + text}}));
}

TEST(Json, KeepsHalvesOfSurrogatePairs) {
  // As the three bytes that UTF-8 would have for them.
  const std::string high = "\xed\xa0\xbd";
  const std::string low = "\xed\xb8\x80";
  EXPECT_EQ(*parse_json(R"("\ud83d")"), high);
  EXPECT_EQ(*parse_json(R"("a\uDE00z")"), "a" + low + "z");
  EXPECT_EQ(*parse_json(R"("\ud83d\ud83d\ude00")"), high + "\U0001F600");
  EXPECT_EQ(*parse_json(R"("\ud83dx\ude00")"), high + "x" + low);
  EXPECT_EQ(*parse_json(R"("\\ud83d\ud83d")"), "\\ud83d" + high);
  EXPECT_EQ(*parse_json(R"({"\ude00":["\ud83d\n"]})"),
            Value::object({{low, Value::array({high + "\n"})}}));
  EXPECT_EQ(*parse_json("\"\\ud83d\xff\""), high + "\ufffd");
  EXPECT_FALSE(parse_json(R"("\ud83d)"));
  for (const char* text :
       {R"("\ud83d")", R"("a\ude00z")", R"({"\udc00":["\ud800\n"]})", R"("\ude00\ud83d")"})
    EXPECT_EQ(again(text), text);
}

TEST(Json, ReadsBytesThatAreNotUtf8AsReplacements) {
  const std::string r = "\ufffd";
  EXPECT_EQ(*parse_json("\"a\xffz\""), "a" + r + "z");
  EXPECT_EQ(*parse_json("\"\xe2\x82\""), r);              // one broken sequence, one replacement
  EXPECT_EQ(*parse_json("\"\xed\xa0\x80\""), r + r + r);  // a surrogate in UTF-8
  EXPECT_EQ(*parse_json("\"\xc0\xaf\xf5\""), r + r + r);  // over-long; beyond Unicode
  EXPECT_EQ(*parse_json("\"\xf0\x9f\x98\xe2\x82\xac\""), r + "\u20ac");
}

TEST(Json, LetsTheLastOfEqualKeysWinInTheFirstPlace) {
  EXPECT_EQ(again(R"({"a":1,"b":2,"a":{"c":3}})"), R"({"a":{"c":3},"b":2})");
  EXPECT_EQ(again(R"({"a":{"x":1},"a":[2]})"), R"({"a":[2]})");
}

TEST(Json, ReadsLargeObjectsInReasonableTime) {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i)
    text += "\"a long common prefix " + std::to_string(i) + "\":" + std::to_string(i) + ",";
  text.back() = '}';
  const std::clock_t start = std::clock();
  const Value value = parse_json(text).value();
  // Comparing each key with all others would be five billion comparisons.
  EXPECT_LT(std::clock() - start, 20 * CLOCKS_PER_SEC);
  EXPECT_EQ(value.size(), 100'000u);
  EXPECT_EQ(value["a long common prefix 98765"], 98765);
}

TEST(Json, PrintsNumbersAsJavaScriptDoes) {
  struct Case {
    double number;
    const char* text;
  };
  const Case cases[] = {{0, "0"},
                        {-0.0, "0"},
                        {1, "1"},
                        {-1, "-1"},
                        {1.5, "1.5"},
                        {-0.25, "-0.25"},
                        {100, "100"},
                        {1e20, "100000000000000000000"},
                        {123456789012345680000.0, "123456789012345680000"},
                        {1e21, "1e+21"},
                        {1.5e300, "1.5e+300"},
                        {0.000001, "0.000001"},
                        {0.0000012, "0.0000012"},
                        {1e-7, "1e-7"},
                        {-1.5e-9, "-1.5e-9"},
                        {5e-324, "5e-324"},
                        {0.1 + 0.2, "0.30000000000000004"},
                        {9007199254740991.0, "9007199254740991"},
                        {9007199254740992.0, "9007199254740992"},
                        {4294967296.5, "4294967296.5"},
                        {1.7976931348623157e308, "1.7976931348623157e+308"},
                        {kInfinity, "null"},
                        {-kInfinity, "null"},
                        {kInfinity - kInfinity, "null"}};
  for (const Case& c : cases) EXPECT_EQ(to_json(c.number), c.text);
}

TEST(Json, EscapesAsJsonStringifyDoes) {
  EXPECT_EQ(to_json("\"\\/\b\f\n\r\t"), R"("\"\\/\b\f\n\r\t")");
  EXPECT_EQ(to_json(std::string("\0\x01\x1f\x7f", 4)), "\"\\u0000\\u0001\\u001f\x7f\"");
  EXPECT_EQ(to_json("\u2028\u20ac\U0001F600"), "\"\u2028\u20ac\U0001F600\"");
  EXPECT_EQ(to_json({{"a\"\n", 1}}), "{\"a\\\"\\n\":1}");
  // At each offset within a word of eight.
  for (std::size_t i = 0; i < 20; ++i) {
    std::string text(20, 'x');
    text[i] = '\n';
    std::string expected = "\"" + std::string(20, 'x') + "\"";
    expected.replace(i + 1, 1, "\\n");
    EXPECT_EQ(to_json(text), expected);
  }
}

TEST(Json, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(to_json("a\xff\n"), "\"a\ufffd\\n\"");
  EXPECT_EQ(to_json("\xed\xa0 text that is long enough"), "\"\ufffd text that is long enough\"");
  EXPECT_EQ(to_json("cut \xf0\x9f\x98"), "\"cut \ufffd\"");
}

TEST(Json, LeavesOutUndefined) {
  EXPECT_EQ(to_json(Value::object({{"a", {}}, {"b", 1}, {"c", {}}})), R"({"b":1})");
  EXPECT_EQ(to_json(Value::array({{}, 1, Value()})), "[null,1,null]");
  EXPECT_EQ(to_json(Value::object({{"a", {}}})), "{}");
}

TEST(Json, RefusesToPrintUndefinedAndCycles) {
  std::string out = "before";
  EXPECT_EQ(append_json(Value(), out).error().code, Errc::InvalidArgument);
  Value circular = {{"a", {1}}};
  circular["a"].push_back(circular);
  EXPECT_EQ(append_json(circular, out).error().code, Errc::InvalidArgument);
  EXPECT_EQ(out, "before");
  circular.erase("a");
  EXPECT_TRUE(append_json(circular, out));
  EXPECT_EQ(out, "before{}");
}

TEST(Json, KeepsNothingOfAFailedParse) {
  ipc::JsonParser parser;
  EXPECT_FALSE(parser.parse(R"({"a":["b\n)"));
  EXPECT_EQ(*parser.parse("\"x\""), "x");
  EXPECT_FALSE(parser.parse("[1] 2"));
  EXPECT_EQ(*parser.parse("[3]"), Value({3}));
}

}  // namespace
}  // namespace cohort
