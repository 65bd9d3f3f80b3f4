#include "pool/command_message.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cohort::pool {
namespace {

using Said = CommandMessage::Kind;

Value json(std::string_view text) { return parse_json(text).value(); }

TEST(CommandMessage, ACallIsALineOfJson) {
  EXPECT_EQ(line_of_call(7, "add", Value::array({1, "a\nb"})).value(),
            "{\"id\":7,\"method\":\"add\",\"params\":[1,\"a\\nb\"]}\n");
}

TEST(CommandMessage, WhatHasNoJsonIsNoLine) {
  const auto line = line_of_call(1, "add", Value::array({Value::bigint(7)}));
  EXPECT_EQ(line.error().code, Errc::InvalidArgument);
}

TEST(CommandMessage, ALineIsAResultAFailureOrProgress) {
  const auto result = message_of_line(R"({"id":1,"result":[2]})").value();
  EXPECT_EQ(result.kind, Said::Answer);
  EXPECT_EQ(result.call, 1U);
  EXPECT_EQ(result.content.value(), Value::array({2}));

  const auto failure = message_of_line(R"({"id":2,"error":{"message":"no"}})").value();
  EXPECT_EQ(failure.kind, Said::Answer);
  EXPECT_EQ(failure.content.error().code, Errc::CallFailed);
  EXPECT_EQ(failure.content.error().detail, "no");
  EXPECT_EQ(message_of_line(R"({"id":2,"error":"no"})").value().content.error().detail, "no");

  const auto progress = message_of_line(R"({"id":3,"progress":0.5})").value();
  EXPECT_EQ(progress.kind, Said::Progress);
  EXPECT_EQ(progress.call, 3U);
  EXPECT_EQ(progress.content.value(), 0.5);
}

TEST(CommandMessage, ResultAndErrorMayStandBesideEachOtherIfOneIsNull) {
  EXPECT_EQ(message_of_line(R"({"id":1,"error":null,"result":2})").value().content.value(), 2);
  EXPECT_EQ(message_of_line(R"({"id":1,"result":null,"error":{"message":"no"}})")
                .value()
                .content.error()
                .detail,
            "no");
}

TEST(CommandMessage, AnIdThatIsNoneOfOursIsThatOfNoCall) {
  for (const char* id : {"-1", "1.5", "\"1\"", "null", "0"})
    EXPECT_EQ(message_of_line("{\"id\":" + std::string{id} + "}").value().call, 0U) << id;
}

TEST(CommandMessage, AnythingElseIsMalformedAndSaysHowItBegins) {
  const auto why = [](std::string_view line) { return message_of_line(line).error().detail; };
  EXPECT_EQ(why("Hello"), "it wrote a line that is not JSON: \"Hello\"");
  EXPECT_EQ(why(""), "it wrote a line that is not JSON: \"\"");
  EXPECT_EQ(why("[1]"), "it wrote a line that is no answer: \"[1]\"");
  EXPECT_EQ(why(R"({"result":1})"), "it wrote a line that is no answer: \"{\\\"result\\\":1}\"");
  EXPECT_EQ(why(std::string(100, 'x')),
            "it wrote a line that is not JSON: \"" + std::string(60, 'x') + "\"...");
  EXPECT_EQ(why("a\x01\xff"), "it wrote a line that is not JSON: \"a\\u0001\xEF\xBF\xBD\"");
}

TEST(CommandMessage, AChannelHasJsonRpc) {
  const auto result = message_of_channel(json(R"({"jsonrpc":"2.0","id":1,"result":2})")).value();
  EXPECT_EQ(result.kind, Said::Answer);
  EXPECT_EQ(result.call, 1U);
  EXPECT_EQ(result.content.value(), 2);
  // A function that returns nothing.
  EXPECT_TRUE(message_of_channel(json(R"({"jsonrpc":"2.0","id":1})")).value().content.has_value());

  const auto failure = message_of_channel(
      json(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such"}})"));
  EXPECT_EQ(failure->content.error().code, Errc::NoSuchMethod);
  EXPECT_EQ(failure->content.error().detail, "no such");

  const auto progress = message_of_channel(
      json(R"({"jsonrpc":"2.0","method":"$/progress","params":{"token":3,"value":"half"}})"));
  EXPECT_EQ(progress->kind, Said::Progress);
  EXPECT_EQ(progress->call, 3U);
  EXPECT_EQ(progress->content.value(), "half");
}

TEST(CommandMessage, WhatIsNotJsonRpcOfOursOnAChannelIsNobodysBusiness) {
  for (const char* text : {"\"ready\"", "{}", R"({"id":1,"result":2})", R"({"jsonrpc":"2.0"})",
                           R"({"jsonrpc":"2.0","method":"log","params":1})",
                           R"({"jsonrpc":"2.0","id":1,"method":"help"})"})
    EXPECT_FALSE(message_of_channel(json(text))) << text;
}

// What `reader` makes of `parts`; "!" where it says no.
std::vector<std::string> lines_of(LineReader reader, const std::vector<std::string_view>& parts) {
  std::vector<std::string> lines;
  for (const std::string_view part : parts) {
    const bool is_good = reader.feed(part, [&](std::string_view line) {
      lines.emplace_back(line);
      return true;
    });
    if (!is_good) lines.emplace_back("!");
  }
  return lines;
}

TEST(LineReader, GivesLinesHoweverTheyArrive) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(lines_of(LineReader{9}, {"one\ntwo\n"}), (Lines{"one", "two"}));
  EXPECT_EQ(lines_of(LineReader{9}, {"o", "ne", "\ntw", "o\n\n"}), (Lines{"one", "two", ""}));
  EXPECT_EQ(lines_of(LineReader{9}, {"one\ntwo"}), (Lines{"one"}));
}

TEST(LineReader, RefusesALineThatIsTooLong) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(lines_of(LineReader{3}, {"abc\n"}), (Lines{"abc"}));
  EXPECT_EQ(lines_of(LineReader{3}, {"abcd\n"}), (Lines{"!"}));
  EXPECT_EQ(lines_of(LineReader{3}, {"ab", "cd"}), (Lines{"!"}));
}

}  // namespace
}  // namespace cohort::pool
