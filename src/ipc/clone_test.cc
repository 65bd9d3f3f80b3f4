#include "ipc/clone.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/clone_vectors.h"
#include "ipc/inspect.h"

namespace cohort::ipc {
namespace {

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    (hex += kHex[byte >> 4]) += kHex[byte & 15];
  }
  return hex;
}

Result<CloneDecoder::Decoded> decoded(std::string_view bytes) {
  return CloneDecoder().decode(bytes);
}

std::string encoded(const Value& value) {
  std::string out;
  EXPECT_TRUE(encode_clone(value, out));
  return out;
}

/// Payload of a body: with the version in front.
std::string message(std::string_view body) { return "\xff\x0f" + std::string(body); }

std::string refusal(std::string_view bytes) {
  const auto result = decoded(bytes);
  if (result) return "read as " + inspect(result->value);
  EXPECT_EQ(result.error().code, Errc::MalformedMessage);
  return result.error().detail;
}

/// Encoded and decoded; circular ones are freed with the object.
class Again {
 public:
  explicit Again(const Value& value) : decoded_{decoded(encoded(value)).value()} {}
  ~Again() {
    if (decoded_.may_be_circular) Value::drop(std::move(decoded_.value));
  }
  Again(const Again&) = delete;
  Again& operator=(const Again&) = delete;
  const Value& operator*() const { return decoded_.value; }
  const Value* operator->() const { return &decoded_.value; }

 private:
  CloneDecoder::Decoded decoded_;
};

TEST(Clone, ReadsWhatNodeWroteAndPrintsItAsNodeDoes) {
  for (const CloneVector& vector : kNodeWrote) {
    auto result = decoded(from_hex(vector.hex));
    ASSERT_TRUE(result) << vector.name << ": " << result.error();
    EXPECT_EQ(inspect(result->value), vector.text) << vector.name;
    if (result->may_be_circular) Value::drop(std::move(result->value));
  }
}

TEST(Clone, WritesTheBytesThatNodeWrites) {
  // Text beyond ASCII goes as UTF-8; the named member of an array and the kind of a host object are
  // lost.
  const std::vector<std::string> differ = {
      "top str latin1", "top str twobyte", "two-byte key pad",
      "emoji",          "arr with prop",   "MessagePort-less: native TCP handle"};
  for (const CloneVector& vector : kNodeWrote) {
    auto result = decoded(from_hex(vector.hex));
    ASSERT_TRUE(result) << vector.name;
    const std::string again = encoded(result->value);
    if (std::ranges::find(differ, vector.name) == differ.end()) {
      EXPECT_EQ(to_hex(again), vector.hex) << vector.name;
    } else {
      EXPECT_NE(to_hex(again), vector.hex) << vector.name;
      EXPECT_EQ(decoded(again)->value, result->value) << vector.name;
    }
    if (result->may_be_circular) Value::drop(std::move(result->value));
  }
}

TEST(Clone, TakesAndRefusesWhatNodesReaderDoes) {
  for (const CloneVector& vector : kNodeReads) {
    auto result = decoded(from_hex(vector.hex));
    EXPECT_EQ(result.has_value(), vector.text != nullptr) << vector.name;
    if (!result || !vector.text) continue;
    EXPECT_EQ(inspect(result->value), vector.text) << vector.name;
  }
}

TEST(Clone, GivesBackEveryKind) {
  const std::vector<float> floats = {1.5f, -0.0f};
  const Value values[] = {
      {},
      nullptr,
      true,
      false,
      0,
      -1,
      0x1p31,
      0.1,
      Value::bigint(0),
      Value::bigint(-5),
      Value::bigint(UINT64_MAX),
      Value::bigint("-123456789012345678901234567890").value(),
      "",
      "text",
      "h\u00e9\u20ac\U0001f600",
      "lone \xed\xa0\x80 and \xed\xbf\xbf",
      std::string(100'000, 'x'),
      Value::array(),
      Value::array({1, "a", nullptr, {}}),
      Value::array_of_holes(3),
      Value::object(),
      {{"a", {{"b", {1, 2}}}}, {"1", 2}, {"4294967295", 3}, {"01", 4}, {"\u20ac", 5}},
      Value::date(1e12),
      Value::date(0.0 / 0.0),
      Value::regexp("a/b", "gy"),
      Value::error("RangeError", "message", "stack", {{"why", 1}}),
      Value::error("Error", {}),
      Value::map({{1, "a"}, {"k", Value::object()}}),
      Value::set({1, "x", Value::object()}),
      Value::boxed(true),
      Value::boxed("s"),
      Value::boxed(-0.0),
      Value::boxed(Value::bigint(7)),
      Value::buffer("hey"),
      Value::buffer(std::string(100'000, 'y')),
      Value::typed_array(floats),
      Value::typed_array(std::vector<std::int64_t>{INT64_MIN, -1, 0}),
      Value::binary(Binary::DataView, std::as_bytes(std::span("view"))),
      Value::binary(Binary::ArrayBuffer, {}),
      Value::resizable_array_buffer(std::as_bytes(std::span("resizable")), 100),
  };
  for (const Value& value : values) {
    const Again again(value);
    EXPECT_EQ(*again, value) << inspect(value);
    EXPECT_EQ(inspect(*again), inspect(value));
  }
}

TEST(Clone, KeepsHolesApartFromUndefined) {
  Value array = Value::array_of_holes(4);
  array[1] = Value();
  array[3] = 1;
  EXPECT_EQ(to_hex(encoded(array)),
            "ff0f61044902"
            "5f"
            "49064902"
            "400204");
  const Again again(array);
  EXPECT_TRUE((*again)[0].is_hole());
  EXPECT_FALSE((*again)[1].is_hole());
  EXPECT_EQ(*again, array);
}

TEST(Clone, KeepsSharedAndCircularReferences) {
  const Value shared = Value::buffer("shared");
  Value root = {{"a", shared}, {"b", {shared, Value::date(0)}}};
  root["self"] = root;
  {
    const Again again(root);
    EXPECT_TRUE((*again)["self"].is_same(*again));
    EXPECT_TRUE((*again)["a"].is_same((*again)["b"][0]));
    EXPECT_EQ(*again, root);
  }
  root.erase("self");

  // More of them than are compared one by one.
  Value many = Value::array();
  for (int i = 0; i < 50; ++i) many.push_back(Value::object({{"i", i}}));
  Value twice = {many, many};
  for (int i = 0; i < 50; ++i) twice.push_back(many[i]);
  const Again again(twice);
  EXPECT_TRUE((*again)[0].is_same((*again)[1]));
  for (int i = 0; i < 50; ++i) EXPECT_TRUE((*again)[0][i].is_same((*again)[i + 2])) << i;
}

TEST(Clone, LetsAMapASetAndAnErrorContainThemselves) {
  const std::string bodies[] = {
      {";\"\x01k^\x00:\x02", 8}, {"'^\x00,\x01", 5}, {"rm\"\x01mc^\x00.", 9}};
  for (const std::string& body : bodies) {
    auto result = decoded(message(body));
    ASSERT_TRUE(result) << body << result.error();
    EXPECT_TRUE(result->may_be_circular);
    EXPECT_EQ(encoded(result->value), message(body));
    Value::drop(std::move(result->value));
  }
}

TEST(Clone, KeepsTheNumbersOfObjectsInStep) {
  // Date, RegExp, boxed, Map, Set, Error, ArrayBuffer and views take a number, primitives none.
  const Value last = Value::object();
  const Value value = Value::array(
      {Value::date(0), Value::regexp("x"), Value::boxed(1), Value::map({{1, 2}}), Value::set({"s"}),
       Value::error("Error", "e"), Value::buffer("b"), Value::binary(Binary::ArrayBuffer, {}),
       "string", Value::bigint(1), last, last});
  const Again again(value);
  EXPECT_TRUE((*again)[10].is_same((*again)[11]));
}

TEST(Clone, DropsNamedMembersOfArrays) {
  auto result =
      decoded(message(std::string("A\x01I\x02\"\x05"
                                  "extrao{\x00$\x01\x01",
                                  17)));
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->value, Value({1}));
}

TEST(Clone, ReplacesBytesThatAreNoText) {
  EXPECT_EQ(**std::make_unique<Again>("a\xff"), "a\ufffd");
  EXPECT_EQ(**std::make_unique<Again>("\xed\xa0\x80\xff"), "\xed\xa0\x80\ufffd");
  // A pair that was written as two halves is one character to JavaScript.
  EXPECT_EQ(**std::make_unique<Again>("\xed\xa0\xbd\xed\xb8\x80"), "\U0001f600");
}

TEST(Clone, SaysWhereAMessageIsMalformed) {
  EXPECT_EQ(refusal(""), "no version at byte 0 of 0");
  EXPECT_EQ(refusal("\xff\x10"
                    "0"),
            "an unknown version at byte 2 of 3");
  EXPECT_EQ(refusal(message("Q")), "an unknown tag at byte 2 of 3");
  EXPECT_EQ(refusal(message("^\x05")), "a reference to nothing at byte 4 of 4");
}

TEST(Clone, RefusesEveryTruncationOfAMessage) {
  Value value = {{"text", "h\xed\xa0\x80"},
                 {"list", Value::array({1, 2.5, Value::bigint(9), Value::date(1)})},
                 {"map", Value::map({{"a", Value::buffer("bytes")}})},
                 {"error", Value::error("TypeError", "m", "s", Value::set({1}))},
                 {"holes", Value::array_of_holes(2)}};
  const std::string bytes = encoded(value);
  EXPECT_TRUE(decoded(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decoded(std::string_view(bytes).substr(0, size))) << size;
}

TEST(Clone, SurvivesEveryChangedByte) {
  Value value = {{"text", "abc"},
                 {"list", Value::array({1, Value::map({{"a", Value::buffer("bytes")}})})},
                 {"error", Value::error("TypeError", "m", "s", Value::set({1}))}};
  value["again"] = value["list"];
  const std::string bytes = encoded(value);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(byte);
      auto result = decoded(changed);
      if (!result) continue;
      const std::string again = encoded(result->value);
      auto second = decoded(again);
      ASSERT_TRUE(second) << i << ' ' << byte;
      EXPECT_EQ(encoded(second->value), again);
      Value::drop(std::move(result->value));
      Value::drop(std::move(second->value));
    }
  }
}

TEST(Clone, BoundsDepthBothWays) {
  const auto nested = [](std::size_t depth) {
    std::string body;
    for (std::size_t i = 0; i < depth; ++i) body += "A\x01";
    body += '0';
    for (std::size_t i = 0; i < depth; ++i) body += std::string("$\x00\x01", 3);
    return message(body);
  };
  EXPECT_TRUE(decoded(nested(kCloneDepthMax)));
  EXPECT_EQ(refusal(nested(kCloneDepthMax + 1)).substr(0, 23), "nested deeper than 1000");
  EXPECT_FALSE(decoded(message(std::string(1'000'000, '\\'))));
  EXPECT_FALSE(decoded(message(std::string(1'000'000, ';'))));

  Value deep = nullptr;
  for (std::size_t i = 0; i < kCloneDepthMax; ++i) deep = Value::array({deep});
  std::string out = "kept";
  EXPECT_TRUE(encode_clone(deep, out));
  deep = Value::array({deep});
  out = "kept";
  std::vector<Attached> attached;
  const Result<void> result = encode_clone(deep, out, &attached);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::InvalidArgument);
  EXPECT_EQ(out, "kept");
}

TEST(Clone, AllocatesNothingForSizesThatAreOnlyAnnounced) {
  const std::string huge = "\xff\xff\xff\xff\x0f";  // 2^32 - 1
  for (const char* tag : {"A", "\"", "S", "c", "B", "Z", "\\\x00\x0a", "a"})
    EXPECT_FALSE(decoded(message((*tag == '\\' ? std::string("\\\x00\x0a", 3) : tag) + huge)))
        << tag;
  EXPECT_FALSE(decoded(message("~\x01" + huge)));
  // A resizable ArrayBuffer may announce what it likes: nothing is reserved for it.
  EXPECT_TRUE(decoded(message("~" + std::string("\x00", 1) + huge)));
  // Holes need no bytes, so they have a limit of their own.
  EXPECT_EQ(
      refusal(message("a\x81\x80\x80\x01@" + std::string("\x00\x81\x80\x80\x01", 5))).substr(0, 14),
      "too many holes");
}

TEST(Clone, KeepsNoHalfOfACircularMessageThatIsMalformed) {
  // The sanitizers see a leak.
  EXPECT_FALSE(
      decoded(message(std::string("o\"\x01"
                                  "a^\x00\"\x01"
                                  "bA\x01^\x00Q",
                                  14))));
}

TEST(Clone, RefersToLargeBytesInTheMessageThatOwnsThem) {
  const Value value = {{"image", Value::buffer(std::string(200'000, 'i'))},
                       {"text", std::string(200'000, 't')},
                       {"icon", Value::buffer(std::string(1'000, 'j'))}};
  auto frame = std::make_shared<std::string>(encoded(value));
  const auto in_frame = [&](const void* at) {
    const char* byte = static_cast<const char*>(at);
    return byte >= frame->data() && byte < frame->data() + frame->size();
  };
  CloneDecoder decoder;
  Value owned = decoder.decode(*frame, frame)->value;
  EXPECT_TRUE(in_frame(owned["image"].bytes().data()));
  EXPECT_TRUE(in_frame(owned["text"].string_or({}).data()));
  EXPECT_FALSE(in_frame(owned["icon"].bytes().data()));
  EXPECT_EQ(owned, value);
  const Value copied = decoder.decode(*frame)->value;
  EXPECT_FALSE(in_frame(copied["image"].bytes().data()));

  const std::weak_ptr<std::string> weak = frame;
  const Value image = owned["image"];
  frame.reset();
  owned = {};
  EXPECT_FALSE(weak.expired());
  EXPECT_EQ(image.bytes().size(), 200'000u);
}

TEST(Clone, CanSendLargeBytesFromWhereTheyLie) {
  const Value image = Value::buffer(std::string(kAttachedSizeMin, 'i'));
  const Value value = {{"first", image},
                       {"small", Value::buffer("small")},
                       {"text", std::string(kAttachedSizeMin, 't')},
                       {"first again", image}};
  std::string text = "before";
  std::vector<Attached> attached;
  ASSERT_TRUE(encode_clone(value, text, &attached));
  ASSERT_EQ(attached.size(), 2u);
  EXPECT_EQ(attached[0].bytes.data(), image.bytes().data());
  std::string whole;
  std::size_t copied = 0;
  for (const Attached& part : attached) {
    whole += text.substr(copied, part.position - copied);
    whole.append(reinterpret_cast<const char*>(part.bytes.data()), part.bytes.size());
    copied = part.position;
  }
  whole += text.substr(copied);
  EXPECT_EQ(whole, "before" + encoded(value));
}

}  // namespace
}  // namespace cohort::ipc
