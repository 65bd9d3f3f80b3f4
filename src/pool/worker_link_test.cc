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
