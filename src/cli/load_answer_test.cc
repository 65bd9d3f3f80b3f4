#include "cli/load_answer.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

// Of which bytes came, one by one, as the slowest reader has them.
struct AnswerOf : LoadAnswer {
  explicit AnswerOf(std::string_view text) {
    for (const char& byte : text) EXPECT_TRUE(put({&byte, 1})) << what();
  }
};

TEST(LoadAnswer, IsWholeWhenItsLengthHasCome) {
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
  AnswerOf whole{text};
  EXPECT_TRUE(whole.is_done());
  EXPECT_TRUE(whole.keeps());
  EXPECT_EQ(whole.status(), 200);
  EXPECT_EQ(whole.bytes(), text.size());
  for (const std::size_t size : {text.size() - 1, text.size() - 3, std::size_t{5}}) {
    AnswerOf cut{text.substr(0, size)};
    EXPECT_FALSE(cut.is_done());
    EXPECT_FALSE(cut.end()) << size;
  }
  EXPECT_FALSE(LoadAnswer{}.end());
}

TEST(LoadAnswer, IsWholeWhenTheLastChunkHasCome) {
  const std::string text =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  EXPECT_TRUE(AnswerOf{text}.is_done());
  EXPECT_FALSE(AnswerOf{text.substr(0, text.size() - 5)}.end());
}

TEST(LoadAnswer, WithoutALengthEndsWithTheConnection) {
  AnswerOf answer{"HTTP/1.0 200 OK\r\n\r\nabc"};
  EXPECT_FALSE(answer.is_done());
  EXPECT_TRUE(answer.end());
  EXPECT_FALSE(answer.keeps());
}

TEST(LoadAnswer, ComesAfterHints) {
  const AnswerOf answer{
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"};
  EXPECT_TRUE(answer.is_done());
  EXPECT_EQ(answer.status(), 204);
}

TEST(LoadAnswer, ThatIsNoHttpIsSaid) {
  LoadAnswer answer;
  EXPECT_FALSE(answer.put("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  EXPECT_EQ(answer.what(), "bad version");
}

}  // namespace
}  // namespace cohort::cli
