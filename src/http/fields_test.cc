#include "http/fields.h"

#include <gtest/gtest.h>

namespace cohort::http {
namespace {

TEST(Fields, AreKeptAsTheyAreSentInOrder) {
  Fields fields;
  fields.append("A", "1");
  fields.append("Empty", "");
  fields.append("a", "2");
  EXPECT_EQ(fields.lines(), "A: 1\r\nEmpty: \r\na: 2\r\n");
}

TEST(Fields, AreFoundInAnyCaseTheFirstOfSeveral) {
  Fields fields;
  fields.append("Set-Cookie", "a=1");
  fields.append("set-cookie", "b=2");
  EXPECT_EQ(fields.get("SET-COOKIE"), "a=1");
  EXPECT_TRUE(fields.has("Set-cookie"));
  EXPECT_FALSE(fields.has("Set-Cooki"));
  EXPECT_FALSE(fields.has("Set-Cookie2"));
  EXPECT_EQ(fields.get("Other"), "");
}

TEST(Fields, AValueThatLooksLikeAHeaderIsNotOne) {
  Fields fields;
  fields.append("A", "Host: b");
  EXPECT_FALSE(fields.has("Host"));
  fields.remove("Host");
  EXPECT_EQ(fields.get("A"), "Host: b");
}

TEST(Fields, RemovingTakesEveryOneOfThatName) {
  Fields fields;
  for (const auto* const name : {"X", "Keep", "x", "X"}) fields.append(name, "v");
  fields.remove("x");
  EXPECT_EQ(fields.lines(), "Keep: v\r\n");
  fields.remove("x");
  EXPECT_EQ(fields.lines(), "Keep: v\r\n");
  fields.clear();
  EXPECT_EQ(fields.lines(), "");
}

}  // namespace
}  // namespace cohort::http
