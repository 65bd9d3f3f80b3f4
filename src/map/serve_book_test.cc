#include "map/serve_book.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace cohort::map {
namespace {

ServedLine line(std::uint64_t number) { return {number, std::to_string(number) + '\n', 0}; }

TEST(ServeBook, AWorkerAnswersTheOldestOfItsLines) {
  ServeBook book{1, false};
  book.give(1, line(1));
  book.give(2, line(2));
  book.give(1, line(3));
  EXPECT_EQ(book.outstanding(1), 2u);
  EXPECT_EQ(book.answered(1)->number, 1u);
  EXPECT_EQ(book.answered(2)->number, 2u);
  EXPECT_FALSE(book.answered(2));
  EXPECT_EQ(book.answered(1)->number, 3u);
  EXPECT_FALSE(book.has_lines(1));
}

TEST(ServeBook, OfADeadWorkerTheOldestFailsAndTheOthersAreGivenAgain) {
  ServeBook book{1, false};
  for (std::uint64_t number = 1; number <= 3; ++number) book.give(1, line(number));
  EXPECT_EQ(book.died(1)->number, 1u);
  EXPECT_EQ(book.failed(), 1u);
  EXPECT_EQ(book.take_again()->number, 2u);
  EXPECT_EQ(book.take_again()->number, 3u);
  EXPECT_FALSE(book.take_again());
  EXPECT_FALSE(book.died(1)) << "it has none";
}

TEST(ServeBook, ALineIsTriedSoOften) {
  ServeBook book{2, false};
  book.give(1, line(1));
  EXPECT_FALSE(book.died(1));
  book.give(2, *book.take_again());
  EXPECT_EQ(book.died(2)->number, 1u);
}

TEST(ServeBook, InOrderWhatComesEarlyIsHeld) {
  ServeBook book{1, true};
  book.done(2, "b\n");
  EXPECT_EQ(book.take_output(), "");
  EXPECT_EQ(book.held(), 1u);
  book.done(1, "");
  EXPECT_EQ(book.take_output(), "b\n");
  book.done(3, "c\n");
  EXPECT_EQ(book.take_output(), "c\n");
}

TEST(ServeBook, AnyOrderOfEventsAnswersEachLineOnceInOrder) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random{seed};
    ServeBook book{2, true};
    constexpr std::uint64_t kLines = 60;
    std::uint64_t next = 1;
    std::set<std::uint64_t> ended;
    std::string printed, expected;
    for (int step = 0; ended.size() < kLines && step < 100'000; ++step) {
      const auto worker = static_cast<unsigned>(random() % 3);
      switch (random() % 8) {
        case 0:
          if (const auto failed = book.died(worker)) {
            ASSERT_TRUE(ended.insert(failed->number).second);
            book.done(failed->number, "");
          }
          break;
        case 1:
        case 2:
        case 3:
          if (auto again = book.take_again())
            book.give(worker, *again);
          else if (next <= kLines)
            book.give(worker, line(next++));
          break;
        default:
          if (const auto answered = book.answered(worker)) {
            ASSERT_TRUE(ended.insert(answered->number).second);
            book.done(answered->number, answered->text);
          }
      }
      printed += book.take_output();
    }
    ASSERT_EQ(ended.size(), kLines);
    EXPECT_EQ(book.held(), 0u);
    EXPECT_EQ(book.lines_done(), kLines);
    std::uint64_t last = 0;
    std::size_t count = 0;
    for (std::size_t at = 0; at < printed.size(); at = printed.find('\n', at) + 1, ++count) {
      const std::uint64_t number = std::stoull(printed.substr(at));
      EXPECT_GT(number, last);
      last = number;
    }
    EXPECT_EQ(count, kLines - book.failed());
  }
}

}  // namespace
}  // namespace cohort::map
