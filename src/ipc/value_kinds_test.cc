// The kinds of Value beyond JSON's.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "cohort/value.h"
#include "ipc/inspect.h"

namespace cohort {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

std::string_view text_of(const Value& value) {
  return {reinterpret_cast<const char*>(value.bytes().data()), value.bytes().size()};
}

TEST(ValueKinds, TellTheirType) {
  const std::pair<Value, Value::Type> cases[] = {{Value::bigint(1), Value::Type::BigInt},
                                                 {Value::date(0), Value::Type::Date},
                                                 {Value::regexp("x"), Value::Type::RegExp},
                                                 {Value::error("Error", "m"), Value::Type::Error},
                                                 {Value::map(), Value::Type::Map},
                                                 {Value::set(), Value::Type::Set},
                                                 {Value::boxed(1), Value::Type::Boxed},
                                                 {Value::buffer("b"), Value::Type::Binary},
                                                 {Value::array_of_holes(1), Value::Type::Array}};
  for (const auto& [value, type] : cases) {
    EXPECT_EQ(value.type(), type) << value;
    EXPECT_FALSE(value.is_object() || value.is_undefined() || value.is_string());
    EXPECT_TRUE(value["missing"].is_undefined());
    EXPECT_EQ(value, value.clone());
    EXPECT_TRUE(value.is_same(Value(value)));
  }
}

TEST(ValueKinds, BigIntsAreExact) {
  EXPECT_EQ(Value::bigint(INT64_MIN).int64_or(0), INT64_MIN);
  EXPECT_EQ(Value::bigint(INT64_MAX).int64_or(0), INT64_MAX);
  EXPECT_EQ(Value::bigint(UINT64_MAX).uint64_or(0), UINT64_MAX);
  EXPECT_EQ(Value::bigint(UINT64_MAX).int64_or(7), 7);
  EXPECT_EQ(Value::bigint(-1).uint64_or(7), 7u);
  EXPECT_EQ(Value::bigint(0).int64_or(7), 0);
  EXPECT_EQ(Value(3).uint64_or(7), 3u);
  EXPECT_EQ(Value(-3).uint64_or(7), 7u);
  EXPECT_EQ(Value(0x1p64).uint64_or(7), 7u);
  EXPECT_EQ(Value("3").uint64_or(7), 7u);
  EXPECT_EQ(Value::bigint(5).number_or(7), 7) << "a BigInt is no number";
  const std::uint64_t words[] = {1, 2, 0, 0};
  EXPECT_EQ(Value::bigint(true, words).bigint_words().size(), 2u);
  EXPECT_FALSE(Value::bigint(true, std::span(words).subspan(2)).bigint_is_negative());
  EXPECT_EQ(Value::bigint(1), Value::bigint(1u));
  EXPECT_TRUE(Value::bigint(1).is_same(Value::bigint(1)));
  EXPECT_NE(Value::bigint(1), Value(1));
}

TEST(ValueKinds, BigIntsComeFromDecimalTextAndArePrintedAsSuch) {
  for (const char* text :
       {"0", "1", "-1", "18446744073709551615", "18446744073709551616", "9999999999999999999",
        "10000000000000000000", "-340282366920938463463374607431768211456",
        "100000000000000000000000000000000000000000000000000000000000000000001"})
    EXPECT_EQ(ipc::inspect(Value::bigint(text).value()), std::string(text) + "n");
  EXPECT_EQ(Value::bigint("-0").value(), Value::bigint(0));
  EXPECT_EQ(Value::bigint("007").value(), Value::bigint(7));
  for (const std::string& text : {std::string(), std::string("-"), std::string("1x"),
                                  std::string("0x1"), std::string(10'001, '1')})
    EXPECT_EQ(Value::bigint(text).error().code, Errc::InvalidArgument);
  const std::vector<std::uint64_t> huge(1025, 1);
  EXPECT_TRUE(ipc::inspect(Value::bigint(true, huge)).starts_with("-0x10000000000000001"));
}

TEST(ValueKinds, DatesAreWholeMillisecondsInTheRangeOfJavaScript) {
  EXPECT_EQ(Value::date(1.9).date_or(0), 1);
  EXPECT_EQ(Value::date(-1.9).date_or(0), -1);
  EXPECT_FALSE(std::signbit(Value::date(-0.0).date_or(1)));
  EXPECT_EQ(Value::date(8.64e15).date_or(0), 8.64e15);
  EXPECT_TRUE(std::isnan(Value::date(8.64e15 + 1).date_or(0)));
  EXPECT_TRUE(std::isnan(Value::date(kNan).date_or(0)));
  EXPECT_EQ(Value::date(kNan), Value::date(kNan));
  EXPECT_NE(Value::date(0), Value::date(1));
  EXPECT_EQ(Value(1).date_or(7), 7);
}

TEST(ValueKinds, DatesPrintAsIsoText) {
  const std::pair<double, const char*> cases[] = {{0, "1970-01-01T00:00:00.000Z"},
                                                  {-1, "1969-12-31T23:59:59.999Z"},
                                                  {951782400000, "2000-02-29T00:00:00.000Z"},
                                                  {4107542399999, "2100-02-28T23:59:59.999Z"},
                                                  {-62167219200000, "0000-01-01T00:00:00.000Z"},
                                                  {-62167219200001, "-000001-12-31T23:59:59.999Z"},
                                                  {253402300800000, "+010000-01-01T00:00:00.000Z"},
                                                  {8.64e15, "+275760-09-13T00:00:00.000Z"},
                                                  {-8.64e15, "-271821-04-20T00:00:00.000Z"}};
  for (const auto& [ms, text] : cases) EXPECT_EQ(ipc::inspect(Value::date(ms)), text);
}

TEST(ValueKinds, ErrorsAndRegExpsReadLikeObjects) {
  const Value error = Value::error("TypeError", "bad", "TypeError: bad\n    at f", {{"why", 1}});
  EXPECT_EQ(error["name"], "TypeError");
  EXPECT_EQ(error["message"], "bad");
  EXPECT_EQ(error["stack"], "TypeError: bad\n    at f");
  EXPECT_EQ(error["cause"]["why"], 1);
  EXPECT_EQ(Value::error("MyError", 5)["name"], "Error");
  EXPECT_TRUE(Value::error("MyError", 5)["message"].is_undefined());
  EXPECT_NE(error, Value::error("TypeError", "bad", error["stack"], {{"why", 2}}));
  const Value regexp = Value::regexp("a+", "yyg!");
  EXPECT_EQ(regexp["source"], "a+");
  EXPECT_EQ(regexp["flags"], "gy");
  EXPECT_NE(regexp, Value::regexp("a+", "g"));
  EXPECT_EQ(regexp, Value::regexp("a+", "yg"));

  Value changed = error;
  EXPECT_EQ(changed["message"], "bad");
  changed["message"] = "other";
  EXPECT_EQ(error["message"], "bad") << "an error does not change";
}

TEST(ValueKinds, MapsAndSetsKeepTheOrderAndNoKeyTwice) {
  const Value key = Value::object();
  const Value map = Value::map({{1, "a"},
                                {"1", "b"},
                                {kNan, "c"},
                                {key, "d"},
                                {1.0, "e"},
                                {kNan, "f"},
                                {Value::object(), "g"},
                                {key, "h"},
                                {-0.0, "i"},
                                {0, "j"},
                                {Value::bigint(1), "k"},
                                {Value::bigint(1), "l"}});
  std::string order;
  for (const auto& [k, v] : map.entries()) order += v.string_or("?");
  EXPECT_EQ(order, "ebfhgjl");
  EXPECT_EQ(map.size(), 7u);
  const Value set = Value::set({3, "3", 3, nullptr, nullptr, {}, true, false, true});
  EXPECT_EQ(ipc::inspect(set), "Set(6) { 3, '3', null, undefined, true, false }");
  EXPECT_EQ(Value::map({{1, 2}}), Value::map({{1, 2}}));
  EXPECT_NE(Value::map({{1, 2}}), Value::map({{1, 3}}));
  EXPECT_NE(Value::set({1, 2}), Value::set({2, 1}));
  EXPECT_NE(Value::set({1}), Value::array({1}));
  EXPECT_TRUE(set[0].is_undefined()) << "a Set has no index";
}

TEST(ValueKinds, HolesReadAsUndefinedAndStayHoles) {
  Value array = Value::array_of_holes(3);
  EXPECT_EQ(array.size(), 3u);
  EXPECT_TRUE(array[0].is_undefined());
  EXPECT_TRUE(array[0] == Value());
  EXPECT_NE(array, Value::array({{}, {}, {}}));
  EXPECT_EQ(array, Value::array_of_holes(3));
  array[1] = "filled";
  EXPECT_EQ(ipc::inspect(array), "[ <1 empty item>, 'filled', <1 empty item> ]");
  EXPECT_EQ(to_json(array), R"([null,"filled",null])");
  Value other = Value::array();
  other.push_back(array[0]);
  EXPECT_FALSE(other[0].is_hole());
  EXPECT_EQ(array.clone(), array);
}

TEST(ValueKinds, BoxesHoldPrimitivesOnly) {
  EXPECT_EQ(Value::boxed("s").unboxed(), "s");
  EXPECT_EQ(Value("s").unboxed(), "s");
  EXPECT_TRUE(Value::boxed(nullptr).is_null());
  EXPECT_TRUE(Value::boxed(Value::array()).is_array());
  EXPECT_EQ(Value::boxed(1), Value::boxed(1));
  EXPECT_FALSE(Value::boxed(1).is_same(Value::boxed(1)));
  EXPECT_NE(Value::boxed(1), Value(1));
}

TEST(ValueKinds, BinaryDataIsKeptAndSharedNotCopied) {
  std::string text(1000, 'x');
  const char* at = text.data();
  const Value buffer = Value::buffer(std::move(text));
  EXPECT_EQ(text_of(buffer).data(), at);
  EXPECT_EQ(text_of(Value(buffer)).data(), at);
  EXPECT_EQ(text_of(buffer.clone()).data(), at);
  std::vector<float> floats(100, 1.5f);
  const void* floats_at = floats.data();
  EXPECT_EQ(Value::typed_array(std::move(floats)).bytes().data(), floats_at);
  std::string long_text(1000, 'y');
  at = long_text.data();
  const Value string = std::move(long_text);
  EXPECT_EQ(string.string_or({}).data(), at);

  const auto owner = std::make_shared<std::string>("owned by somebody else");
  {
    const Value part =
        Value::binary(Binary::Buffer, std::as_bytes(std::span(*owner)).first(5), owner);
    EXPECT_EQ(text_of(part), "owned");
    EXPECT_EQ(owner.use_count(), 2);
  }
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(ValueKinds, BinaryDataHasAKindAndASize) {
  const Value numbers = Value::typed_array(std::vector<std::int16_t>{1, -2, 3});
  EXPECT_EQ(numbers.binary_kind(), Binary::Int16Array);
  EXPECT_EQ(numbers.size(), 3u);
  EXPECT_EQ(numbers.bytes().size(), 6u);
  EXPECT_EQ(numbers.typed_elements<std::int16_t>(), (std::vector<std::int16_t>{1, -2, 3}));
  EXPECT_TRUE(numbers.typed_elements<std::uint16_t>().empty());
  EXPECT_TRUE(Value(1).typed_elements<double>().empty());
  EXPECT_FALSE(Value("text").binary_kind());
  EXPECT_TRUE(Value("text").bytes().empty());
  EXPECT_TRUE(Value::buffer("").is_buffer());
  EXPECT_FALSE(numbers.is_buffer());
  EXPECT_EQ(Value::binary(Binary::Int32Array, std::as_bytes(std::span("1234567"))).size(), 2u)
      << "the last byte is not a whole element";
  const Value resizable = Value::resizable_array_buffer(std::as_bytes(std::span("abc", 3)), 10);
  EXPECT_EQ(resizable.size_max(), 10u);
  EXPECT_FALSE(Value::binary(Binary::ArrayBuffer, {}).size_max());
  EXPECT_NE(Value::buffer("a"), Value::buffer("b"));
  EXPECT_NE(Value::buffer("a"), Value::binary(Binary::Uint8Array, Value::buffer("a").bytes()));
  EXPECT_EQ(Value::buffer("a"), Value::buffer("a"));
  EXPECT_FALSE(Value::buffer("a").is_same(Value::buffer("a")));
}

TEST(ValueKinds, HaveTheJsonThatJavaScriptGivesThem) {
  const std::pair<Value, const char*> cases[] = {
      {Value::buffer("hi"), R"({"type":"Buffer","data":[104,105]})"},
      {Value::buffer(""), R"({"type":"Buffer","data":[]})"},
      {Value::typed_array(std::vector<float>{1.5f, -0.0f, INFINITY}),
       R"({"0":1.5,"1":0,"2":null})"},
      {Value::typed_array(std::vector<std::int8_t>{-1}), R"({"0":-1})"},
      {Value::binary(Binary::Float16Array, std::as_bytes(std::span("\x00\x3c\x01\x00\x00\xfc", 6))),
       R"({"0":1,"1":5.960464477539063e-8,"2":null})"},
      {Value::typed_array(std::vector<std::int64_t>{}), "{}"},
      {Value::binary(Binary::ArrayBuffer, std::as_bytes(std::span("x"))), "{}"},
      {Value::binary(Binary::DataView, std::as_bytes(std::span("x"))), "{}"},
      {Value::date(0), R"("1970-01-01T00:00:00.000Z")"},
      {Value::date(kNan), "null"},
      {Value::map({{1, 2}}), "{}"},
      {Value::set({1}), "{}"},
      {Value::regexp("x"), "{}"},
      {Value::error("Error", "m", "s", 1), "{}"},
      {Value::boxed("s"), R"("s")"},
      {Value::boxed(kNan), "null"},
      {Value::boxed(false), "false"}};
  for (const auto& [value, json] : cases) EXPECT_EQ(to_json(value), json) << value;
  for (const Value& value :
       {Value::bigint(1), Value::boxed(Value::bigint(1)), Value::array({Value::bigint(1)}),
        Value::typed_array(std::vector<std::int64_t>{1})}) {
    std::string out = "kept";
    const Result<void> result = append_json(value, out);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().detail, "a BigInt has no JSON");
    EXPECT_EQ(out, "kept");
  }
}

TEST(ValueKinds, CloneApartAndEqual) {
  const Value shared = {{"n", 1}};
  const Value original =
      Value::map({{shared, Value::set({shared})}, {"e", Value::error("Error", "m", {}, shared)}});
  const Value copy = original.clone();
  EXPECT_EQ(copy, original);
  const Value& copied = copy.entries()[0].key;
  EXPECT_FALSE(copied.is_same(shared));
  EXPECT_TRUE(copied.is_same(copy.entries()[0].value.elements()[0]));
  EXPECT_TRUE(copied.is_same(copy.entries()[1].value["cause"]));
}

TEST(ValueKinds, SurviveAnyDepth) {
  Value deep = Value::set();
  for (int i = 0; i < 20'000; ++i) {
    deep = Value::error("Error", "m", {}, Value::map({{"k", Value::set({deep})}}));
  }
  EXPECT_TRUE(deep.clone() == deep);
}

TEST(ValueKinds, DropFreesACircularValueThatNobodyElseHolds) {
  const auto witness = std::make_shared<const std::string>("alive");
  const auto circular = [&] {
    Value value = {
        {"bytes", Value::binary(Binary::Buffer, std::as_bytes(std::span(*witness)), witness)}};
    value["self"] = value;
    value["list"] = {value, {{"up", value}}};
    return value;
  };
  Value alone = circular();
  EXPECT_EQ(witness.use_count(), 2);
  Value::drop(std::move(alone));
  EXPECT_EQ(witness.use_count(), 1);

  Value held = circular();
  Value part = held["list"];
  Value::drop(std::move(held));
  EXPECT_EQ(witness.use_count(), 2);
  EXPECT_EQ(part[0]["list"][1]["up"]["self"]["bytes"].size(), 5u);
  Value::drop(std::move(part));
  EXPECT_EQ(witness.use_count(), 1);
  Value::drop("text");
}

TEST(ValueKinds, WhoHoldsAPartThatHasNoPartsDoesNotKeepTheRest) {
  const auto witness = std::make_shared<const std::string>("alive");
  Value value = {
      {"bytes", Value::binary(Binary::Buffer, std::as_bytes(std::span(*witness)), witness)},
      {"boxed", Value::boxed(1)},
      {"pattern", Value::regexp("a", "g")}};
  value["self"] = value;
  const Value boxed = value["boxed"];
  const Value pattern = value["pattern"];
  Value::drop(value.clone());
  Value::drop(std::move(value));
  EXPECT_EQ(witness.use_count(), 1);
  EXPECT_EQ(boxed.unboxed(), 1);
}

}  // namespace
}  // namespace cohort
