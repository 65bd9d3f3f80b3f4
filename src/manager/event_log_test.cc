#include "manager/event_log.h"

#include <gtest/gtest.h>

#include <string>

namespace cohort::manager {
namespace {

Value event(int number) { return Value::object({{"event", "listening"}, {"worker", number}}); }

TEST(EventLog, IsReadFromAnyNumberOn) {
  EventLog log;
  EXPECT_EQ(log.last(), 0U);
  EXPECT_EQ(log.after(0), nullptr);
  for (int i = 1; i <= 3; ++i) log.add(event(i));
  EXPECT_EQ(log.last(), 3U);
  std::string read;
  for (const NumberedEvent* next = log.after(1); next != nullptr; next = log.after(next->number))
    read += std::to_string(next->number) + ' ' + to_json(next->event["worker"]) + "; ";
  EXPECT_EQ(read, "2 2; 3 3; ");
}

TEST(EventLog, OfAMillionTheLastThousandAreThere) {
  EventLog log;
  for (int i = 1; i <= 1'000'000; ++i) log.add(event(i));
  ASSERT_NE(log.after(0), nullptr);
  EXPECT_EQ(log.after(0)->number, 999'001U) << "whoever reads sees that some are missing";
  EXPECT_EQ(log.after(999'500)->number, 999'501U);
  EXPECT_EQ(log.after(1'000'000), nullptr);
}

TEST(EventLog, EndsAreNotPushedOutByOtherEvents) {
  EventLog log;
  log.add(Value::object({{"event", "died"}, {"exit", Value::object()}}));
  for (int i = 0; i < 5000; ++i) log.add(event(i));
  ASSERT_EQ(log.ends().size(), 1U);
  EXPECT_EQ(log.ends().front().number, 1U);
  for (int i = 0; i < 500; ++i)
    log.add(Value::object({{"event", "died"}, {"worker", i}, {"exit", Value::object()}}));
  EXPECT_EQ(log.ends().size(), 100U);
  EXPECT_EQ(log.ends().back().event["worker"], Value(499));
}

}  // namespace
}  // namespace cohort::manager
