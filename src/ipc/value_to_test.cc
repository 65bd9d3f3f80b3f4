#include "cohort/value_to.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace cohort {
namespace {

struct Size {
  int width = 0;
  int height = 0;
  bool operator==(const Size&) const = default;
};
BOOST_DESCRIBE_STRUCT(Size, (), (width, height))

struct Base {
  std::uint64_t id = 0;
  bool operator==(const Base&) const = default;
};
BOOST_DESCRIBE_STRUCT(Base, (), (id))

struct Job : Base {
  std::string path;
  Size size;
  std::vector<std::string> tags;
  std::optional<double> quality;
  std::map<std::string, std::vector<Size>> variants;
  std::vector<std::byte> icon;
  std::vector<float> weights;
  bool urgent = false;
  Value extra;
  bool operator==(const Job&) const = default;
};
BOOST_DESCRIBE_STRUCT(Job, (Base),
                      (path, size, tags, quality, variants, icon, weights, urgent, extra))

Job example() {
  Job job;
  job.id = 7;
  job.path = "a.png";
  job.size = {320, 200};
  job.tags = {"one", "two"};
  job.variants["small"] = {{16, 16}, {32, 32}};
  job.icon = {std::byte{1}, std::byte{2}};
  job.weights = {0.5f};
  job.urgent = true;
  job.extra = {1, "two"};
  return job;
}

template <class T>
std::string failure(const Value& value) {
  const Result<T> result = value_to<T>(value);
  if (result) return "none";
  EXPECT_EQ(result.error().code, Errc::InvalidArgument);
  return result.error().op + ": " + result.error().detail;
}

TEST(ValueTo, WritesAStructAsAnObject) {
  EXPECT_EQ(value_from(Size{1, 2}), Value({{"width", 1}, {"height", 2}}));
  const Value value = value_from(example());
  EXPECT_EQ(value["id"], 7);
  EXPECT_EQ(value["size"]["width"], 320);
  EXPECT_EQ(value["tags"], Value::array({"one", "two"}));
  EXPECT_EQ(value["variants"]["small"][1]["height"], 32);
  EXPECT_TRUE(value["quality"].is_undefined());
  EXPECT_TRUE(value["icon"].is_buffer());
  EXPECT_EQ(value["extra"][1], "two");
}

TEST(ValueTo, ReadsBackWhatItWrote) {
  Job job = example();
  EXPECT_EQ(value_to<Job>(value_from(job)).value(), job);
  job.quality = 0.75;
  EXPECT_EQ(value_to<Job>(value_from(job)).value(), job);
}

TEST(ValueTo, NamesTheMemberAndWhatWasThere) {
  EXPECT_EQ(failure<Size>({{"width", "320"}, {"height", 1}}),
            "read width: a string where a number should be");
  EXPECT_EQ(failure<Size>({{"width", 1}}), "read height: nothing where a number should be");
  EXPECT_EQ(failure<Size>(nullptr), "read: null where an object should be");
  const auto changed = [](const char* key, Value member) {
    Value value = value_from(example());
    value[key] = std::move(member);
    return failure<Job>(value);
  };
  EXPECT_EQ(changed("size", {{"width", true}}),
            "read size.width: a boolean where a number should be");
  EXPECT_EQ(changed("tags", Value::array({"a", 2})),
            "read tags[1]: a number where a string should be");
  EXPECT_EQ(changed("variants", {{"small", Value::array({Value({{"width", 1}})})}}),
            "read variants.small[0].height: nothing where a number should be");
  EXPECT_EQ(changed("icon", "text"), "read icon: a string where binary data should be");
  EXPECT_EQ(changed("quality", Value::map()), "read quality: a Map where a number should be");
  EXPECT_EQ(changed("tags", Value::buffer("b")), "read tags: Buffer where an array should be");
  EXPECT_EQ(changed("urgent", 1), "read urgent: a number where a boolean should be");
  EXPECT_EQ((failure<std::vector<std::vector<int>>>(Value::array({Value::array({1, "x"})}))),
            "read [0][1]: a string where a number should be");
}

TEST(ValueTo, ChecksTheRangeOfIntegers) {
  EXPECT_EQ(value_to<std::uint8_t>(255).value(), 255);
  EXPECT_EQ(failure<std::uint8_t>(256),
            "read: a number where a whole number from 0 to 255 should be");
  EXPECT_EQ(failure<std::uint8_t>(-1),
            "read: a number where a whole number from 0 to 255 should be");
  EXPECT_EQ(failure<int>(0.5),
            "read: a number where a whole number from -2147483648 to 2147483647 should be");
  EXPECT_EQ(value_to<int>(0).value(), 0);
  EXPECT_EQ(value_to<int>(1).value(), 1);
  EXPECT_EQ(value_to<int>(Value::bigint(5)).value(), 5);
  EXPECT_EQ(failure<int>(Value::bigint(1LL << 40)),
            "read: a BigInt where a whole number from -2147483648 to 2147483647 should be");
}

TEST(ValueTo, LosesNothingOfLargeIntegers) {
  for (const std::int64_t number :
       {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}, std::int64_t{0},
        (std::int64_t{1} << 53) + 1, std::numeric_limits<std::int64_t>::max()})
    EXPECT_EQ(value_to<std::int64_t>(value_from(number)).value(), number);
  EXPECT_EQ(value_to<std::uint64_t>(value_from(UINT64_MAX)).value(), UINT64_MAX);
  EXPECT_TRUE(value_from(std::int64_t{1} << 53).is_number());
  EXPECT_TRUE(value_from((std::int64_t{1} << 53) + 1).is_bigint());
}

TEST(ValueTo, TakesNullAndUndefinedForAnEmptyOptional) {
  EXPECT_FALSE(value_to<std::optional<int>>(nullptr).value());
  EXPECT_FALSE(value_to<std::optional<int>>({}).value());
  EXPECT_EQ(value_to<std::optional<int>>(3).value(), 3);
}

TEST(ValueTo, TakesATypedArrayForTheVectorOfItsElements) {
  const std::vector<float> floats = {1.5f, 2};
  EXPECT_EQ(value_to<std::vector<float>>(Value::typed_array(floats)).value(), floats);
  EXPECT_EQ(value_to<std::vector<float>>(Value::array({1.5, 2})).value(), floats);
  EXPECT_EQ(failure<std::vector<double>>(Value::typed_array(floats)),
            "read: Float32Array where an array should be");
  EXPECT_EQ(value_to<std::vector<bool>>(value_from(std::vector<bool>{true, false})).value(),
            (std::vector<bool>{true, false}));
}

}  // namespace
}  // namespace cohort
