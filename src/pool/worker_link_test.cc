#include "pool/worker_link.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace cohort::pool {
namespace {

TEST(WorkerLink, SmallValuesAreInTheRecord) {
  const Value value{{"n", 1}, {"list", {1, "two"}}};
  const auto packed = pack(value, "name", 1000);
  ASSERT_TRUE(packed);
  EXPECT_FALSE(packed->in_lane);
  ipc::CloneDecoder decoder;
  const auto unpacked = unpack(packed->text, false, decoder);
  ASSERT_TRUE(unpacked);
  EXPECT_EQ(unpacked->name, "name");
  EXPECT_EQ(unpacked->value, value);
}

TEST(WorkerLink, LargeDataIsInALane) {
  const Value value = Value::array(
      {Value::buffer(std::vector<std::byte>(1 << 20, std::byte{7})), std::string(200'000, 'x'), 3});
  const auto packed = pack(value, "name", 1 << 16);
  ASSERT_TRUE(packed);
  EXPECT_TRUE(packed->in_lane);
  EXPECT_LT(packed->text.size(), 1000u);
  ipc::CloneDecoder decoder;
  const auto unpacked = unpack(packed->text, true, decoder);
  ASSERT_TRUE(unpacked) << unpacked.error();
  EXPECT_EQ(unpacked->value, value);
}

TEST(WorkerLink, ManySmallThingsThatAreTooMuchTogetherAreInALaneToo) {
  Value value = Value::array();
  for (int i = 0; i < 100'000; ++i) value.push_back(i);
  const auto packed = pack(value, "numbers", 1000);
  ASSERT_TRUE(packed);
  EXPECT_TRUE(packed->in_lane);
  ipc::CloneDecoder decoder;
  EXPECT_EQ(unpack(packed->text, true, decoder).value().value, value);
}

TEST(WorkerLink, TruncatedBytesAreMalformed) {
  ipc::CloneDecoder decoder;
  for (const bool in_lane : {false, true}) {
    const Value value = in_lane ? Value::buffer(std::string(100'000, 'x')) : Value{{"a", 1}};
    const auto packed = pack(value, "name", 1000);
    ASSERT_TRUE(packed);
    for (std::size_t size = 0; size < packed->text.size(); ++size)
      EXPECT_FALSE(unpack(std::string_view{packed->text}.substr(0, size), in_lane, decoder));
  }
}

TEST(Frames, AreReadInTheOrderInWhichTheyWereAppended) {
  std::string frames;
  EXPECT_TRUE(append_frame(frames, Kind::Answer, Value("one"), 1000));
  EXPECT_TRUE(append_frame(frames, Kind::Failure, Value(), 1000));
  FrameReader reader{frames};
  ipc::CloneDecoder decoder;
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.kind(), Kind::Answer);
  EXPECT_EQ(decoder.decode(reader.value()).value().value, Value("one"));
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.kind(), Kind::Failure);
  EXPECT_TRUE(reader.left().empty());
  EXPECT_FALSE(reader.next());
}

TEST(Frames, WhatDoesNotFitOrCannotBeSentLeavesThemAsTheyWere) {
  std::string frames;
  ASSERT_TRUE(append_frame(frames, Kind::Answer, Value(1), 100));
  const std::string before = frames;
  Value deep = 1;
  for (int i = 0; i < 5000; ++i) deep = Value::array({deep});
  EXPECT_FALSE(append_frame(frames, Kind::Answer, Value(std::string(100, 'x')), 100));
  EXPECT_FALSE(append_frame(frames, Kind::Answer,
                            Value::buffer(std::string(ipc::kAttachedSizeMin, 'x')), SIZE_MAX));
  EXPECT_FALSE(append_frame(frames, Kind::Answer, deep, SIZE_MAX));
  EXPECT_EQ(frames, before);
}

TEST(Frames, NoPartOfOneIsOne) {
  std::string frames;
  ASSERT_TRUE(append_frame(frames, Kind::Answer, Value("text"), 100));
  for (std::size_t size = 0; size < frames.size(); ++size)
    EXPECT_FALSE(FrameReader{std::string_view{frames}.substr(0, size)}.next()) << size;
  const std::string wild(100, '\xff');
  EXPECT_FALSE(FrameReader{wild}.next());
}

TEST(Frames, OfATaskComeAfterItsName) {
  std::string frames;
  ASSERT_TRUE(append_frame(frames, Kind::Run, Value(1), 100));
  const std::string text = with_name("task", frames);
  std::string_view left;
  EXPECT_EQ(name_of(text, left).value(), "task");
  EXPECT_EQ(left, frames);
  EXPECT_FALSE(name_of(std::string_view{text}.substr(0, 10), left));
}

TEST(WorkerLink, AnErrorArrivesAsItWas) {
  for (const Error& error :
       {system_error(EACCES, "open x", "locked"), make_error(Errc::QueueFull, "give", ""),
        make_error(Errc::CallFailed, "run", "why")}) {
    const Error got = error_of_value(value_of_error(error));
    EXPECT_EQ(got.code, error.code);
    EXPECT_EQ(got.message(), error.message());
  }
  EXPECT_EQ(error_of_value(Value()).code, Errc::CallFailed);
}

}  // namespace
}  // namespace cohort::pool
