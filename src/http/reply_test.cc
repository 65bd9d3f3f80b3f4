#include "http/reply.h"

#include <gtest/gtest.h>

namespace cohort::http {
namespace {

using namespace std::literals;

class ReplyTest : public testing::Test {
 protected:
  ReplyTest() { reply.begin({}); }

  void write(std::string_view data) { reply.write(data, common, out); }
  void end(std::string_view data = {}) { reply.end(data, common, out); }
  bool sent(std::string_view text) const { return out.find(text) != std::string::npos; }
  static bool refused(const Result<void>& result) {
    return !result && result.error().code == Errc::InvalidArgument;
  }

  Reply reply;
  Reply::Common common{.date_line = "Date: now\r\n",
                       .keep_alive_line = "Keep-Alive: timeout=5\r\n"};
  std::string out;
};

TEST_F(ReplyTest, ThatEndsAtOnceHasALength) {
  end("hello");
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\nDate: now\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n"
            "Content-Length: 5\r\n\r\nhello");
  EXPECT_TRUE(reply.keeps_connection());
}

TEST_F(ReplyTest, WithoutABodyHasTheLengthZero) {
  end();
  EXPECT_TRUE(sent("Content-Length: 0\r\n\r\n"));
}

TEST_F(ReplyTest, InPartsIsChunked) {
  write("a");
  write("");  // would be the end
  write("0123456789abcdef");
  end("z");
  EXPECT_EQ(
      out.substr(out.find("Transfer")),
      "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n10\r\n0123456789abcdef\r\n1\r\nz\r\n0\r\n\r\n");
}

TEST_F(ReplyTest, WithAnnouncedLengthIsNotChunked) {
  EXPECT_TRUE(reply.set_header("content-length", "4"));
  write("ab");
  end("cd");
  EXPECT_TRUE(sent("Content-Length: 4\r\n\r\nabcd"));
  EXPECT_FALSE(sent("chunked"));
  EXPECT_TRUE(reply.keeps_connection());
}

TEST_F(ReplyTest, NeverSendsMoreThanAnnounced) {
  EXPECT_TRUE(reply.set_header("Content-Length", "3"));
  write("abcdef");
  write("ghi");
  end("jkl");
  EXPECT_TRUE(out.ends_with("Content-Length: 3\r\n\r\nabc"));
  EXPECT_TRUE(reply.keeps_connection());
}

TEST_F(ReplyTest, ThatIsShorterThanAnnouncedEndsTheConnection) {
  EXPECT_TRUE(reply.set_header("Content-Length", "3"));
  end("ab");
  EXPECT_FALSE(reply.keeps_connection());
}

TEST_F(ReplyTest, IsChunkedOnRequest) {
  EXPECT_TRUE(reply.set_header("Transfer-Encoding", "chunked"));
  end("ab");
  EXPECT_TRUE(sent("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"));
  EXPECT_FALSE(sent("Content-Length"));
}

TEST_F(ReplyTest, ToHeadSaysTheLengthAndSendsNoBody) {
  reply.begin({.head_request = true});
  end("hello");
  EXPECT_TRUE(out.ends_with("Content-Length: 5\r\n\r\n"));
}

TEST_F(ReplyTest, ToHeadWithoutABodySaysNothingAboutTheLength) {
  reply.begin({.head_request = true});
  end();
  EXPECT_TRUE(out.ends_with("Keep-Alive: timeout=5\r\n\r\n"));
  reply.begin({.head_request = true});
  out.clear();
  write("part");
  end();
  EXPECT_TRUE(out.ends_with("Keep-Alive: timeout=5\r\n\r\n"));
}

TEST_F(ReplyTest, Of204And304HasNoBody) {
  for (const int status : {204, 304}) {
    out.clear();
    reply.begin({});
    reply.set_status(status);
    end("ignored");
    EXPECT_TRUE(out.ends_with("Keep-Alive: timeout=5\r\n\r\n")) << out;
    EXPECT_TRUE(reply.keeps_connection());
  }
}

TEST_F(ReplyTest, Of304MayRepeatTheLength) {
  reply.set_status(304);
  EXPECT_TRUE(reply.set_header("Content-Length", "42"));
  end();
  EXPECT_TRUE(out.ends_with("Content-Length: 42\r\n\r\n"));
  EXPECT_TRUE(reply.keeps_connection());
}

TEST_F(ReplyTest, ToHttp10KeepsTheConnectionOnlyWithALength) {
  reply.begin({.http_1_0 = true, .keep_alive = true});
  end("ab");
  EXPECT_TRUE(sent("Connection: keep-alive\r\n"));
  EXPECT_TRUE(reply.keeps_connection());
  out.clear();
  reply.begin({.http_1_0 = true, .keep_alive = true});
  write("a");
  end("b");
  EXPECT_TRUE(out.ends_with("Connection: close\r\n\r\nab"));
  EXPECT_FALSE(reply.keeps_connection());
}

TEST_F(ReplyTest, ClosesWhenAnySideWantsTo) {
  reply.begin({.keep_alive = false});
  end();
  EXPECT_TRUE(sent("Connection: close\r\n"));
  EXPECT_FALSE(sent("Keep-Alive"));
  out.clear();
  reply.begin({});
  EXPECT_TRUE(reply.set_header("connection", "Close"));
  end();
  EXPECT_TRUE(sent("Connection: close\r\n"));
  EXPECT_FALSE(reply.keeps_connection());
  out.clear();
  reply.begin({});
  EXPECT_TRUE(reply.set_header("Connection", "keep-alive"));
  common.closing = true;
  end();
  EXPECT_TRUE(sent("Connection: close\r\n"));
  EXPECT_FALSE(sent("keep-alive"));
  EXPECT_FALSE(reply.keeps_connection());
}

TEST_F(ReplyTest, HeadersComeInOrderAndOnce) {
  EXPECT_TRUE(reply.set_header("A", "1"));
  EXPECT_TRUE(reply.append_header("Set-Cookie", "a"));
  EXPECT_TRUE(reply.append_header("Set-Cookie", "b"));
  EXPECT_TRUE(reply.set_header("a", "2"));
  EXPECT_TRUE(reply.set_header("gone", "x"));
  reply.remove_header("Gone");
  end();
  EXPECT_EQ(out.substr(17, out.find("Date") - 17), "Set-Cookie: a\r\nSet-Cookie: b\r\na: 2\r\n");
}

TEST_F(ReplyTest, AHandlersDateIsTheOnlyOne) {
  EXPECT_TRUE(reply.set_header("Date", "then"));
  end();
  EXPECT_TRUE(sent("Date: then\r\n"));
  EXPECT_FALSE(sent("Date: now"));
}

TEST_F(ReplyTest, RemovingFramingRestoresTheDefault) {
  EXPECT_TRUE(reply.set_header("Content-Length", "9"));
  EXPECT_TRUE(reply.set_header("Connection", "close"));
  EXPECT_TRUE(reply.set_header("Date", "then"));
  for (const auto* const name : {"Content-Length", "Connection", "Date"}) reply.remove_header(name);
  end("ab");
  EXPECT_TRUE(sent("Date: now\r\nConnection: keep-alive\r\n"));
  EXPECT_TRUE(sent("Content-Length: 2\r\n"));
}

TEST_F(ReplyTest, RefusesWhatWouldSplitIt) {
  for (const auto value : {"a\r\nX: y"sv, "a\nb"sv, "a\rb"sv, "a\0b"sv})
    EXPECT_TRUE(refused(reply.set_header("X", value)));
  for (const auto name : {""sv, "A B"sv, "A:"sv, "A\r\nB"sv, "A\0"sv})
    EXPECT_TRUE(refused(reply.append_header(name, "x")));
  end();
  EXPECT_FALSE(sent("X"));
}

TEST_F(ReplyTest, RefusesFramingThatItCouldNotKeep) {
  EXPECT_TRUE(refused(reply.set_header("Content-Length", "many")));
  EXPECT_TRUE(refused(reply.set_header("Transfer-Encoding", "gzip, chunked")));
  EXPECT_TRUE(refused(reply.set_header("Connection", "upgrade")));
  EXPECT_TRUE(refused(reply.set_header("Keep-Alive", "timeout=1000")));
}

TEST_F(ReplyTest, WriteHeadLeavesOutWhatIsRefusedAndKeepsTheRest) {
  EXPECT_TRUE(refused(reply.write_head(302, {{"Location", "/\r\nSet-Cookie: a"}, {"X", "y"}})));
  end();
  EXPECT_TRUE(out.starts_with("HTTP/1.1 302 Found\r\nX: y\r\nDate"));
  EXPECT_FALSE(sent("Cookie"));
}

TEST_F(ReplyTest, NothingChangesAfterWriteHead) {
  EXPECT_TRUE(reply.write_head(404, {}));
  EXPECT_TRUE(reply.head_fixed());
  EXPECT_FALSE(reply.head_written());
  EXPECT_TRUE(refused(reply.set_header("X", "y")));
  EXPECT_TRUE(refused(reply.write_head(200, {})));
  reply.set_status(200);
  end("gone");
  EXPECT_TRUE(out.starts_with("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_TRUE(sent("Content-Length: 4\r\n"));
}

TEST_F(ReplyTest, StatusesOutsideOfTheRangeAreA500) {
  EXPECT_FALSE(reply.set_status(101));
  EXPECT_EQ(reply.status(), 500);
  EXPECT_TRUE(reply.set_status(204));
  EXPECT_TRUE(refused(reply.write_head(100, {})));
  EXPECT_FALSE(reply.set_status(101));
  end();
  EXPECT_TRUE(out.starts_with("HTTP/1.1 500 "));
}

TEST_F(ReplyTest, AStatusWithoutAPhraseIsSentWithoutOne) {
  reply.set_status(599);
  end();
  EXPECT_TRUE(out.starts_with("HTTP/1.1 599 \r\n"));
}

TEST_F(ReplyTest, ContinueIsSaidOnlyBeforeTheHeadAndToHttp11) {
  reply.write_continue(out);
  EXPECT_EQ(out, "HTTP/1.1 100 Continue\r\n\r\n");
  end();
  const std::string before = out;
  reply.write_continue(out);
  EXPECT_EQ(out, before);
  out.clear();
  reply.begin({.http_1_0 = true});
  reply.write_continue(out);
  EXPECT_EQ(out, "");
}

}  // namespace
}  // namespace cohort::http
