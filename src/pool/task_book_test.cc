#include "pool/task_book.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

namespace cohort::pool {
namespace {

const Error kDied = make_error(Errc::WorkerDied, "run", "it was killed");

class TaskBookTest : public ::testing::Test {
 protected:
  std::unique_ptr<Job> job(const std::string& name, std::size_t inputs = 1, unsigned retries = 0,
                           Priority priority = Priority::Normal) {
    auto made = std::make_unique<Job>();
    made->name = name;
    made->inputs = Value::array();
    for (std::size_t i = 0; i < inputs; ++i) made->inputs.push_back(Value::array({i}));
    made->retries = retries;
    made->priority = priority;
    made->answer = [this, name](std::size_t input, const Result<Value>& result, std::uint64_t) {
      said.push_back(name + std::to_string(input) + (result ? "=ok" : "=" + result.error().detail));
    };
    made->left_queue = [this] { ++left; };
    return made;
  }
  std::string next(int worker) {
    const Job* const taken = book.next_for(worker);
    return taken == nullptr ? "-" : taken->name;
  }

  TaskBook book{3};
  std::vector<std::string> said;
  int left = 0;
};

TEST_F(TaskBookTest, GivesTheOldestOfTheHighestPriority) {
  book.add(job("low", 1, 0, Priority::Low));
  book.add(job("first"));
  book.add(job("second"));
  book.add(job("high", 1, 0, Priority::High));
  EXPECT_EQ(book.waiting(), 4u);
  EXPECT_EQ(next(1), "high");
  EXPECT_EQ(next(1), "first");
  EXPECT_EQ(next(2), "second");
  EXPECT_EQ(next(2), "low");
  EXPECT_EQ(next(2), "-");
  EXPECT_EQ(left, 4);
  EXPECT_FALSE(book.anybody_waits());
}

TEST_F(TaskBookTest, EachInputIsAnsweredOnceAndInOrder) {
  const auto id = book.add(job("a", 2));
  next(1);
  EXPECT_FALSE(book.answered(id, 1, Value(1), 0)) << "not its turn";
  EXPECT_FALSE(book.answered(id, 0, Value(1), 0));
  EXPECT_FALSE(book.answered(id, 0, Value(1), 0)) << "twice";
  EXPECT_TRUE(book.answered(id, 1, Value(1), 0));
  EXPECT_FALSE(book.answered(id, 2, Value(1), 0));
  EXPECT_EQ(said, (std::vector<std::string>{"a0=ok", "a1=ok"}));
  EXPECT_EQ(book.done(), 2u);
}

TEST_F(TaskBookTest, SeveralInputsAreAnsweredAtOnceButOnlyTheNextOnes) {
  auto framed = job("a", 0);
  framed->framed = 5;
  framed->answer_many = [this](std::size_t input, std::size_t count, const std::string& frames,
                               std::uint64_t) {
    said.push_back("a" + std::to_string(input) + "+" + std::to_string(count) + "=" + frames);
  };
  const auto id = book.add(std::move(framed));
  next(1);
  EXPECT_FALSE(book.answered(id, 1, 2, "early", 0)) << "not their turn";
  EXPECT_FALSE(book.answered(id, 0, 6, "many", 0)) << "more than there are";
  EXPECT_FALSE(book.answered(id, 0, 2, "two", 0));
  EXPECT_FALSE(book.answered(id, 0, 2, "twice", 0));
  EXPECT_FALSE(book.answered(id, 2, Value(1), 0)) << "one by itself";
  EXPECT_TRUE(book.answered(id, 3, 2, "rest", 0));
  EXPECT_FALSE(book.answered(id, 5, 1, "gone", 0));
  EXPECT_EQ(said, (std::vector<std::string>{"a0+2=two", "a2=ok", "a3+2=rest"}));
  EXPECT_EQ(book.done(), 5u);
}

TEST_F(TaskBookTest, SeveralAreNoAnswerToAJobThatIsNotInFrames) {
  const auto id = book.add(job("a", 2));
  next(1);
  EXPECT_FALSE(book.answered(id, 0, 2, "frames", 0));
  EXPECT_TRUE(said.empty());
}

TEST_F(TaskBookTest, ADeadWorkersTasksGoToOthersButForTheOneThatItHadBegun) {
  const auto first = book.add(job("a"));
  book.add(job("b"));
  book.add(job("c"));
  next(1), next(1), next(2);
  book.died(1, first, kDied);
  EXPECT_EQ(said, std::vector<std::string>{"a0=it was killed"});
  EXPECT_EQ(next(2), "b");
  EXPECT_EQ(next(2), "-");
}

TEST_F(TaskBookTest, OfAChunkOnlyTheInputThatRanFails) {
  const auto id = book.add(job("a", 4));
  next(1);
  book.answered(id, 0, Value(1), 0);
  book.died(1, id, kDied);
  EXPECT_EQ(next(2), "a");
  EXPECT_EQ(book.find(id)->first, 2u);
  book.answered(id, 2, Value(1), 0);
  EXPECT_TRUE(book.answered(id, 3, Value(1), 0));
  EXPECT_EQ(said, (std::vector<std::string>{"a0=ok", "a1=it was killed", "a2=ok", "a3=ok"}));
}

TEST_F(TaskBookTest, IsTriedAgainSoOftenAsItMay) {
  const auto id = book.add(job("a", 1, 1));
  next(1);
  book.died(1, id, kDied);
  EXPECT_TRUE(said.empty());
  EXPECT_EQ(next(2), "a");
  book.died(2, id, kDied);
  EXPECT_EQ(said, std::vector<std::string>{"a0=it was killed"});
  EXPECT_EQ(book.retried(), 1u);
  EXPECT_TRUE(book.poison().empty());
}

TEST_F(TaskBookTest, PoisonIsGivenUpWhateverItMay) {
  const auto id = book.add(job("a", 1, 100));
  for (int worker = 1; worker <= 3; ++worker) {
    EXPECT_EQ(next(worker), "a");
    book.died(worker, id, kDied);
  }
  EXPECT_EQ(next(4), "-");
  EXPECT_EQ(book.poison(), std::set<std::string>{"a"});
}

TEST_F(TaskBookTest, KnowsWhoseDeadlineIsOver) {
  auto soon = job("soon");
  soon->deadline = BookTime{std::chrono::seconds{1}};
  auto later = job("later");
  later->deadline = BookTime{std::chrono::seconds{2}};
  const auto id = book.add(std::move(soon));
  book.add(std::move(later));
  EXPECT_EQ(book.next_deadline(), BookTime{std::chrono::seconds{1}});
  EXPECT_TRUE(book.expired(BookTime{std::chrono::milliseconds{999}}).empty());
  EXPECT_EQ(book.expired(BookTime{std::chrono::seconds{1}}), std::vector<std::uint64_t>{id});
  EXPECT_TRUE(book.fail(id, kDied));
  EXPECT_FALSE(book.fail(id, kDied));
  EXPECT_EQ(book.next_deadline(), BookTime{std::chrono::seconds{2}});
  EXPECT_EQ(next(1), "later");
}

TEST_F(TaskBookTest, DropsTheOldestThatWaits) {
  const auto first = book.add(job("a"));
  book.add(job("b"));
  book.add(job("c"));
  book.fail(first, make_error(Errc::CallFailed, "", "cancelled"));
  book.drop_oldest(Priority::Normal, make_error(Errc::QueueFull, "", "dropped"));
  EXPECT_EQ(said, (std::vector<std::string>{"a0=cancelled", "b0=dropped"}));
  EXPECT_EQ(next(1), "c");
}

// Whatever happens, in whatever order: each input is answered exactly once.
TEST_F(TaskBookTest, AnyOrderOfEventsAnswersEachInputOnce) {
  for (unsigned seed = 1; seed <= 3000; ++seed) {
    std::mt19937 random{seed};
    const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    TaskBook any{1 + below(3)};
    std::map<std::pair<int, std::size_t>, int> answers;
    std::map<std::uint64_t, std::size_t> size_of;
    std::size_t inputs = 0;
    const auto has = [&](int worker) {
      std::vector<std::uint64_t> all;
      for (const auto& [id, size] : size_of)
        if (any.worker_of(id) == worker) all.push_back(id);
      return all;
    };
    for (int step = 0, number = 0; step < 120; ++step) {
      const int worker = static_cast<int>(below(3));
      const auto mine = has(worker);
      switch (below(8)) {
        case 0:
        case 1: {
          auto made = job("x", 1 + below(4), below(3), static_cast<Priority>(below(3)));
          const int me = ++number;
          const std::size_t size = made->inputs.size();
          inputs += size;
          made->answer = [&answers, me](std::size_t input, const Result<Value>&, std::uint64_t) {
            ++answers[{me, input}];
          };
          size_of[any.add(std::move(made))] = size;
          break;
        }
        case 2:
        case 3:
          any.next_for(worker);
          break;
        case 4:
        case 5:
          if (!mine.empty()) {
            const auto id = mine[below(static_cast<unsigned>(mine.size()))];
            any.answered(id, below(5), Value(1), 0);
            if (const Job* const left_over = any.find(id))
              any.answered(id, left_over->first, Value(1), 0);
          }
          break;
        case 6: {
          std::optional<std::uint64_t> begun;
          if (!mine.empty() && below(3) > 0)
            begun = mine[below(static_cast<unsigned>(mine.size()))];
          any.died(worker, begun, kDied);
          EXPECT_TRUE(has(worker).empty());
          break;
        }
        default:
          if (below(4) == 0) any.drop_oldest(static_cast<Priority>(below(3)), kDied);
          if (!mine.empty() && below(4) == 0) any.fail(mine.front(), kDied);
          if (!mine.empty() && below(4) == 0) any.give_back(mine.back());
      }
    }
    any.fail_all(kDied);
    ASSERT_EQ(answers.size(), inputs) << "seed " << seed;
    for (const auto& [which, count] : answers) ASSERT_EQ(count, 1) << "seed " << seed;
    ASSERT_EQ(any.done(), inputs) << "seed " << seed;
    ASSERT_FALSE(any.anybody_waits()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace cohort::pool
