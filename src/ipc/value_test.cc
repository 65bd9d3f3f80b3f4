#include "cohort/value.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace cohort {
namespace {

/// As `Worker::send` takes it.
std::string send(const Value& value) { return to_json(value); }

static_assert(!std::is_constructible_v<Value, int*>, "a pointer is no bool");
static_assert(!std::is_constructible_v<Value, void (*)()>, "a function is no bool");
static_assert(!std::is_constructible_v<Value, char>, "is it a number or a text?");
static_assert(!std::is_constructible_v<Value, std::unique_ptr<int>>);
static_assert(std::is_nothrow_move_constructible_v<Value> &&
              std::is_nothrow_move_assignable_v<Value>);
static_assert(std::is_nothrow_copy_constructible_v<Value>);

TEST(Value, ConvertsFromWhatUsersWrite) {
  EXPECT_EQ(send({{"cmd", "notifyRequest"}}), R"({"cmd":"notifyRequest"})");
  EXPECT_EQ(send("text"), R"("text")");
  EXPECT_EQ(send(std::string("text")), R"("text")");
  EXPECT_EQ(send(std::string_view("text")), R"("text")");
  EXPECT_EQ(send(42), "42");
  EXPECT_EQ(send(42u), "42");
  EXPECT_EQ(send(0.5f), "0.5");
  EXPECT_EQ(send(std::uint8_t{7}), "7");
  EXPECT_EQ(send(true), "true");
  EXPECT_EQ(send(nullptr), "null");
  EXPECT_EQ(send({1, 2, 3}), "[1,2,3]");
  EXPECT_EQ(send({"a", "b"}), R"(["a","b"])");
  EXPECT_EQ(send({1, "two", nullptr, 4.5, false}), R"([1,"two",null,4.5,false])");
}

TEST(Value, ReadsBracesAsObjectsWhereEveryItemIsANamedPair) {
  EXPECT_EQ(send({{"a", 1}, {"b", 2}}), R"({"a":1,"b":2})");
  EXPECT_EQ(send({{"a", 1}, {"b", {{"c", {1, 2}}}}}), R"({"a":1,"b":{"c":[1,2]}})");
  EXPECT_EQ(send({{"a", 1}, {"b"}}), R"([["a",1],["b"]])");
  EXPECT_EQ(send({{"a", 1}, 2}), R"([["a",1],2])");
  EXPECT_EQ(send({{1, 2}, {3, 4}}), "[[1,2],[3,4]]");
  EXPECT_EQ(send({{{"a", 1}, {"b", 2}}}), R"([{"a":1,"b":2}])");
  EXPECT_EQ(send({{"a", {}}}), R"({"a":{}})");
  EXPECT_EQ(send({{"a", 1}, {"b", 2}, {"a", 3}}), R"({"a":3,"b":2})");
  const std::string key = "name";
  EXPECT_EQ(send({{key, key}, {std::string_view(key).substr(1), 1}}), R"({"name":"name","ame":1})");
}

TEST(Value, TakesAnArrayInAVariableForAnArrayAlsoWithinBraces) {
  const Value pair = Value::array({"a", 1});
  EXPECT_EQ(send({pair, pair}), R"([["a",1],["a",1]])");
  EXPECT_EQ(send({{"x", pair}}), R"({"x":["a",1]})");
}

Value returned_in_braces(const Value& value) { return {value}; }

TEST(Value, TakesOneValueAloneInBracesForThatValueWithEveryCompiler) {
  Value one = 1;
  EXPECT_EQ(send({one}), "1");
  EXPECT_EQ(send(Value{one}), "1");
  EXPECT_EQ(send(Value{Value(1)}), "1");
  EXPECT_EQ(send(returned_in_braces(one)), "1");
  EXPECT_TRUE(Value{}.is_undefined());
  EXPECT_EQ(send({1}), "[1]");
  EXPECT_EQ(send(Value{"x"}), R"(["x"])");
  EXPECT_EQ(send({{one}}), "[[1]]");
  EXPECT_EQ(send({{"items", {one}}}), R"({"items":[1]})");
  EXPECT_EQ(send(Value::array({one})), "[1]");
}

TEST(Value, MakesArraysAndObjectsByName) {
  EXPECT_EQ(send(Value::array({{"a", 1}, {"b", 2}})), R"([["a",1],["b",2]])");
  EXPECT_EQ(send(Value::object({{"a", 1}, {"b", "c"}, {"a", 2}})), R"({"a":2,"b":"c"})");
  EXPECT_EQ(send(Value::array()), "[]");
  EXPECT_EQ(send(Value::object()), "{}");
}

TEST(Value, IsNeverABoolFromAPointer) {
  const char* text = "text";
  char buffer[] = "buffer";
  const char* none = nullptr;
  EXPECT_TRUE(Value(text).is_string());
  EXPECT_TRUE(Value(buffer).is_string());
  EXPECT_TRUE(Value(&buffer[0]).is_string());
  EXPECT_TRUE(Value(none).is_null());
  EXPECT_TRUE(Value(0).is_number());
}

TEST(Value, TellsItsType) {
  EXPECT_EQ(Value().type(), Value::Type::Undefined);
  EXPECT_EQ(Value(nullptr).type(), Value::Type::Null);
  EXPECT_EQ(Value(false).type(), Value::Type::Bool);
  EXPECT_EQ(Value(1).type(), Value::Type::Number);
  EXPECT_EQ(Value("short").type(), Value::Type::String);
  EXPECT_EQ(Value(std::string(100, 'x')).type(), Value::Type::String);
  EXPECT_EQ(Value::array().type(), Value::Type::Array);
  EXPECT_EQ(Value::object().type(), Value::Type::Object);
  EXPECT_TRUE(Value().is_undefined() && Value(nullptr).is_null() && Value(false).is_bool());
  EXPECT_TRUE(Value(1).is_number() && Value("").is_string());
  EXPECT_TRUE(Value::array().is_array() && Value::object().is_object());
}

TEST(Value, HoldsStringsOfAnyLength) {
  for (const std::size_t size : {0u, 1u, 13u, 14u, 15u, 16u, 1000u}) {
    std::string text(size, 'x');
    if (size > 2) text[1] = '\0';
    const Value value = text;
    const Value copy = value;
    EXPECT_EQ(value.string_or("?"), text);
    EXPECT_EQ(copy, value);
    EXPECT_EQ(copy, text);
  }
}

TEST(Value, GivesTheFallbackForAnotherType) {
  EXPECT_EQ(Value("x").number_or(7), 7);
  EXPECT_EQ(Value(5).number_or(7), 5);
  EXPECT_EQ(Value(5).string_or("none"), "none");
  EXPECT_EQ(Value(1).bool_or(false), false);
  EXPECT_EQ(Value(true).bool_or(false), true);
  EXPECT_EQ(Value(-3).int64_or(9), -3);
  EXPECT_EQ(Value(0.5).int64_or(9), 9);
  EXPECT_EQ(Value("3").int64_or(9), 9);
  EXPECT_EQ(Value(0x1p63).int64_or(9), 9);
  EXPECT_EQ(Value(-0x1p63).int64_or(9), INT64_MIN);
  EXPECT_EQ(Value(0.0 / 0.0).int64_or(9), 9);
}

TEST(Value, IsUndefinedWhereThereIsNothing) {
  const Value object = {{"a", {{"b", 1}}}};
  EXPECT_EQ(object["a"]["b"], 1);
  EXPECT_TRUE(object["x"].is_undefined());
  EXPECT_TRUE(object["x"]["y"][3]["z"].is_undefined());
  EXPECT_TRUE(object[0].is_undefined());
  const Value text = "text";
  EXPECT_TRUE(text["length"].is_undefined());
  const Value array = {1, 2};
  EXPECT_EQ(array[0], 1);
  EXPECT_EQ(array[1u], 2);
  EXPECT_TRUE(array[2].is_undefined());
  EXPECT_TRUE(array[-1].is_undefined());
  EXPECT_TRUE(array["0"].is_undefined());
}

TEST(Value, InsertsMembersInOrder) {
  Value value;
  value["b"] = 1;
  value["a"]["deep"] = "x";
  value["b"] = 2;
  value[std::string("c")] = nullptr;
  EXPECT_EQ(send(value), R"({"b":2,"a":{"deep":"x"},"c":null})");
  EXPECT_TRUE(value["new"].is_undefined());
  EXPECT_TRUE(value.contains("new"));
  EXPECT_EQ(value.size(), 4u);
}

TEST(Value, SurvivesAssigningAMemberOfItselfWhileItGrows) {
  Value value = {{"a", std::string(50, 'x')}};
  for (int i = 0; i < 100; ++i) value["k" + std::to_string(i)] = value["a"];
  EXPECT_EQ(value["k99"], value["a"]);
  value = value["a"];
  EXPECT_EQ(value, std::string(50, 'x'));
  Value list = {std::string(50, 'y')};
  for (int i = 0; i < 100; ++i) list.push_back(list[0]);
  EXPECT_EQ(list[100], std::string(50, 'y'));
}

TEST(Value, DropsWritesToWhatHasNoMembers) {
  Value text = "recvmsg";
  if (text["cmd"] == "notifyRequest") FAIL();
  text["cmd"] = 1;
  text[0] = 1;
  EXPECT_EQ(text, "recvmsg");
  EXPECT_TRUE(text["cmd"].is_undefined());
  Value array = {1, 2};
  array[2] = 3;
  array[-1] = 3;
  array["x"] = 3;
  EXPECT_EQ(send(array), "[1,2]");
  array[1] = 5;
  EXPECT_EQ(send(array), "[1,5]");
}

TEST(Value, PushesOntoArraysOnly) {
  Value value;
  EXPECT_TRUE(value.push_back(1));
  EXPECT_TRUE(value.push_back("two"));
  EXPECT_EQ(send(value), R"([1,"two"])");
  Value object = Value::object();
  EXPECT_FALSE(object.push_back(1));
  EXPECT_EQ(object.size(), 0u);
}

TEST(Value, SharesArraysAndObjectsBetweenCopiesAsJavaScriptDoes) {
  Value a = {{"n", 1}};
  Value b = a;
  b["n"] = 2;
  EXPECT_EQ(a["n"], 2);
  EXPECT_TRUE(a.is_same(b));
  Value holder = {{"inner", a}};
  holder["inner"]["n"] = 3;
  EXPECT_EQ(a["n"], 3);
}

TEST(Value, ClonesDeeply) {
  Value a = {{"list", {1, {{"x", 1}}}}, {"text", std::string(100, 't')}};
  Value b = a.clone();
  EXPECT_EQ(a, b);
  EXPECT_FALSE(a.is_same(b));
  b["list"][1]["x"] = 2;
  EXPECT_EQ(a["list"][1]["x"], 1);
  EXPECT_EQ(Value("scalar").clone(), "scalar");
}

TEST(Value, CloneOfWhatIsMovedFromIsThatItselfIfNobodyElseHasIt) {
  Value only = {{"n", 1}};
  const auto* const members = only.members().data();
  EXPECT_EQ(std::move(only).clone().members().data(), members);

  Value shared = {{"n", 1}};
  const Value other = shared;
  Value copy = std::move(shared).clone();
  copy["n"] = 2;
  EXPECT_EQ(other["n"], 1);

  const Value inner = {1};
  Value deep = {{"inner", inner}};
  EXPECT_FALSE(std::move(deep).clone()["inner"].is_same(inner));
}

TEST(Value, ClonesSharedAndCircularValuesAsSuch) {
  const Value shared = {{"n", 1}};
  Value a = {{"x", shared}, {"y", shared}};
  a["self"] = a;
  Value b = a.clone();
  EXPECT_TRUE(b["x"].is_same(b["y"]));
  EXPECT_TRUE(b["self"].is_same(b));
  EXPECT_FALSE(b["x"].is_same(shared));
  EXPECT_EQ(a, b);
  b["x"]["n"] = 2;
  EXPECT_NE(a, b);
  a.erase("self");
  b.erase("self");
}

TEST(Value, ComparesDeeply) {
  EXPECT_EQ(Value({{"a", 1}, {"b", {1, 2}}}), Value({{"b", {1, 2}}, {"a", 1}}));
  EXPECT_NE(Value({{"a", 1}}), Value({{"a", 2}}));
  EXPECT_NE(Value({{"a", 1}}), Value({{"b", 1}}));
  EXPECT_NE(Value({1, 2}), Value({1, 2, 3}));
  EXPECT_NE(Value({1, 2}), Value({2, 1}));
  EXPECT_NE(Value::array(), Value::object());
  EXPECT_EQ(Value::array(), Value::array());
  EXPECT_NE(Value(), Value(nullptr));
  EXPECT_NE(Value(0), Value(false));
  EXPECT_NE(Value("1"), Value(1));
  EXPECT_EQ(Value(-0.0), Value(0));
  EXPECT_NE(Value(0.0 / 0.0), Value(0.0 / 0.0));
}

TEST(Value, ComparesWithWhatConvertsToIt) {
  const Value message = {{"cmd", "notifyRequest"}, {"n", 3}, {"ok", true}, {"none", nullptr}};
  EXPECT_TRUE(message["cmd"] == "notifyRequest");
  EXPECT_TRUE("notifyRequest" == message["cmd"]);
  EXPECT_TRUE(message["cmd"] == std::string("notifyRequest"));
  EXPECT_TRUE(message["cmd"] == std::string_view("notifyRequest"));
  EXPECT_TRUE(message["cmd"] != "other");
  EXPECT_TRUE(message["n"] == 3);
  EXPECT_TRUE(3.0 == message["n"]);
  EXPECT_TRUE(message["n"] != 3.5);
  EXPECT_TRUE(message["ok"] == true);
  EXPECT_FALSE(message["n"] == true);
  EXPECT_TRUE(message["none"] == nullptr);
  EXPECT_FALSE(message["missing"] == nullptr);
  EXPECT_FALSE(message == "recvmsg");
}

TEST(Value, IteratesOverMembersAndElements) {
  const Value object = {{"a", 1}, {"b", 2}};
  std::string seen;
  for (const auto& [key, value] : object.members()) seen += key + "=" + to_json(value) + ";";
  EXPECT_EQ(seen, "a=1;b=2;");
  EXPECT_TRUE(object.elements().empty());
  const Value array = {"x", "y"};
  for (const Value& element : array.elements()) seen += element.string_or("?");
  EXPECT_EQ(seen, "a=1;b=2;xy");
  EXPECT_TRUE(array.members().empty());
  EXPECT_EQ(Value("text").size(), 0u);
}

TEST(Value, FindsAndErasesInSmallAndLargeObjects) {
  for (const int count : {1, 15, 16, 17, 18, 500}) {
    Value object = Value::object();
    for (int i = 0; i < count; ++i) object["key" + std::to_string(i)] = i;
    for (int i = 0; i < count; ++i) object["key" + std::to_string(i)] = i + 1;
    const Value& read = object;
    ASSERT_EQ(read.size(), static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) EXPECT_EQ(read["key" + std::to_string(i)], i + 1);
    EXPECT_FALSE(object.erase("key"));
    EXPECT_TRUE(object.erase("key0"));
    EXPECT_FALSE(read.contains("key0"));
    EXPECT_EQ(read.size(), static_cast<std::size_t>(count - 1));
    for (int i = 1; i < count; ++i) EXPECT_EQ(read["key" + std::to_string(i)], i + 1);
    object["key0"] = "again";
    EXPECT_EQ(read.members().back().key, "key0");
    EXPECT_EQ(object.clone(), object);
  }
}

TEST(Value, SurvivesAnyDepth) {
  Value deep = Value::array();
  for (int i = 0; i < 300'000; ++i) deep = Value::array({deep});
  Value copy = deep.clone();
  EXPECT_TRUE(copy == deep);
  EXPECT_EQ(to_json(deep), "");
  std::string text;
  const Result<void> result = append_json(deep, text);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::InvalidArgument);
}

TEST(Value, MayBeCopiedAndDroppedByThreadsAtOnce) {
  const Value shared = {{"text", std::string(100, 'x')}, {"list", {1, 2, 3}}};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; ++i) {
        const Value copy = shared["list"];
        const Value text = shared["text"];
        EXPECT_EQ(copy.size(), 3u);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shared["list"], Value({1, 2, 3}));
}

}  // namespace
}  // namespace cohort
