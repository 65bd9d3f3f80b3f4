#include "cli/js_stack.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

using Lines = std::vector<std::string>;

std::string frame(const std::string& function, const std::string& script, int line, int column) {
  return R"({"callFrameId":"1.1.0","functionName":")" + function + R"(","location":{"scriptId":")" +
         script + R"(","lineNumber":)" + std::to_string(line) + R"(,"columnNumber":)" +
         std::to_string(column) + R"(},"url":"","scopeChain":[]})";
}

std::string paused(const Lines& frames) {
  std::string text;
  for (const std::string& each : frames) text += (text.empty() ? "" : ",") + each;
  return R"({"method":"Debugger.paused","params":{"callFrames":[)" + text +
         R"(],"reason":"other"}})";
}

void parsed(JsStack& stack, const std::string& script, const std::string& url) {
  stack.take(R"({"method":"Debugger.scriptParsed","params":{"scriptId":")" + script +
             R"(","url":")" + url + R"(","startLine":0}})");
}

TEST(DebuggerPath, IsThatOfTheWebSocket) {
  // As Node 20 and 26 answer.
  EXPECT_EQ(debugger_path(R"([ {
  "description": "node.js instance",
  "id": "2786f5b1-95a0-4e82-b4d9-fb7b7e057247",
  "title": "h.js",
  "type": "node",
  "url": "file:///tmp/h.js",
  "webSocketDebuggerUrl": "ws://127.0.0.1:42227/2786f5b1-95a0-4e82-b4d9-fb7b7e057247"
} ])"),
            "/2786f5b1-95a0-4e82-b4d9-fb7b7e057247");
}

TEST(DebuggerPath, IsNoneOfAnythingElse) {
  for (const char* other :
       {"", "hello world\n", "[]", "{}", "null", R"([{"type":"node"}])",
        R"([{"type":"page","webSocketDebuggerUrl":"ws://127.0.0.1:1/a"}])",
        R"([{"type":"node","webSocketDebuggerUrl":"http://127.0.0.1:1/a"}])",
        R"([{"type":"node","webSocketDebuggerUrl":"ws://127.0.0.1:1"}])",
        R"([{"type":"node","webSocketDebuggerUrl":"ws://127.0.0.1:1/a b\r\n"}])",
        R"([{"type":"node","webSocketDebuggerUrl":7}])"})
    EXPECT_EQ(debugger_path(other), std::nullopt) << other;
}

TEST(JsStack, SaysFunctionFileLineAndColumnInnermostFirst) {
  JsStack stack;
  stack.take(R"({"id":1,"result":{"debuggerId":"-9580"}})");
  parsed(stack, "81", "file:///srv/my%20shop/server.js");
  parsed(stack, "7", "node:internal/timers");
  stack.take(R"({"id":2,"result":{}})");
  EXPECT_FALSE(stack.lines());
  stack.take(paused({frame("spin", "81", 0, 18), frame("", "81", 9, 1),
                     frame("listOnTimeout", "7", 587, 16), frame("evaluated", "99", 0, 0)}));
  EXPECT_EQ(stack.lines(), (Lines{"#0  spin (/srv/my shop/server.js:1:19)",
                                  "#1  (anonymous) (/srv/my shop/server.js:10:2)",
                                  "#2  listOnTimeout (node:internal/timers:588:17)",
                                  "#3  evaluated ((no file):1:1)"}));
  EXPECT_EQ(stack.refusal(), "");
}

TEST(JsStack, HasThirtyLinesAtMostAndNoneIsLong) {
  JsStack stack;
  parsed(stack, "1", "file:///" + std::string(300, 'x') + ".js");
  stack.take(paused(Lines(100, frame("f", "1", 0, 0))));
  ASSERT_EQ(stack.lines()->size(), 30U);
  EXPECT_EQ(stack.lines()->at(9).substr(0, 6), "#9  f ");
  EXPECT_EQ(stack.lines()->at(10).substr(0, 6), "#10 f ");
  EXPECT_EQ(stack.lines()->at(10).size(), 160U);
}

TEST(JsStack, PrintsNothingThatATerminalWouldObey) {
  JsStack stack;
  stack.take(paused({frame("a\\u001b[2Jb", "1", 0, 0)}));
  EXPECT_EQ(stack.lines()->front(), "#0  a?[2Jb ((no file):1:1)");
}

TEST(JsStack, SaysWhyThereIsNone) {
  JsStack stack;
  stack.take(R"({"id":2,"error":{"code":-32000,"message":"not now"}})");
  EXPECT_EQ(stack.refusal(), "its debugger refuses: not now");
  EXPECT_FALSE(stack.lines());
}

TEST(JsStack, IsNotBrokenByWhatMakesNoSense) {
  JsStack stack;
  for (const char* other :
       {"", "[1", "null", "7", R"({"method":7})", R"({"method":"Debugger.scriptParsed"})",
        R"({"method":"Debugger.scriptParsed","params":{"scriptId":{},"url":[]}})", R"({"id":1})"})
    stack.take(other);
  EXPECT_FALSE(stack.lines());
  stack.take(R"({"method":"Debugger.paused","params":{"callFrames":[7,{"location":"x"}]}})");
  EXPECT_EQ(stack.lines()->size(), 2U);
  stack.take(R"({"method":"Debugger.paused"})");
  EXPECT_EQ(stack.lines()->size(), 0U);
}

}  // namespace
}  // namespace cohort::cli
