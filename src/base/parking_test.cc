#include "base/parking.h"

#include <gtest/gtest.h>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <string>
#include <vector>

#include "base/event.h"

namespace cohort {
namespace {

namespace asio = boost::asio;
using Handler = asio::any_completion_handler<void(std::string)>;

class ParkingTest : public testing::Test {
 protected:
  Handler noting(const std::string& name) {
    return [this, name](const std::string& how) { seen_.push_back(name + ' ' + how); };
  }
  void park(Parking<std::string>& parking, Handler handler) {
    parking.park(loop_, std::move(handler), [](Handler parked, bool woken, std::string value) {
      parked(woken ? "woken by " + value : "cancelled" + value);
    });
  }
  std::vector<std::string> seen() {
    io_.poll();
    io_.restart();
    return std::exchange(seen_, {});
  }
  using Seen = std::vector<std::string>;

  asio::io_context io_;
  Loop loop_{io_, io_.get_executor()};
  Parking<std::string> parking_;
  asio::cancellation_signal signal_;
  Seen seen_;
};

TEST_F(ParkingTest, WakesInTheOrderOfArrivalAndInALaterTurn) {
  EXPECT_TRUE(parking_.empty());
  EXPECT_FALSE(parking_.wake_one("nobody"));
  for (const char* name : {"a", "b", "c"}) park(parking_, noting(name));
  EXPECT_FALSE(parking_.empty());
  EXPECT_TRUE(parking_.wake_one("one"));
  EXPECT_EQ(seen_, Seen{});
  EXPECT_EQ(seen(), Seen{"a woken by one"});
  EXPECT_TRUE(parking_.wake_all("all"));
  EXPECT_TRUE(parking_.empty());
  EXPECT_FALSE(parking_.wake_all("none"));
  EXPECT_EQ(seen(), (Seen{"b woken by all", "c woken by all"}));
}

TEST_F(ParkingTest, KeepsTheLoopRunning) {
  park(parking_, noting("a"));
  EXPECT_EQ(io_.poll(), 0U);
  EXPECT_FALSE(io_.stopped());
  parking_.wake_all("");
  io_.poll();
  EXPECT_TRUE(io_.stopped());
}

TEST_F(ParkingTest, OneThatIsCancelledLeavesTheQueue) {
  park(parking_, asio::bind_cancellation_slot(signal_.slot(), noting("a")));
  park(parking_, noting("b"));
  signal_.emit(asio::cancellation_type::terminal);
  EXPECT_EQ(seen(), Seen{"a cancelled"});
  EXPECT_TRUE(parking_.wake_one("one"));
  EXPECT_TRUE(parking_.empty());
  EXPECT_EQ(seen(), Seen{"b woken by one"});
}

TEST_F(ParkingTest, OneThatWasWokenIsNotCancelledAnyMore) {
  park(parking_, asio::bind_cancellation_slot(signal_.slot(), noting("a")));
  parking_.wake_one("one");
  signal_.emit(asio::cancellation_type::terminal);
  EXPECT_EQ(seen(), Seen{"a woken by one"});
}

TEST_F(ParkingTest, WhoeverWaitsAtItsEndIsCancelled) {
  auto parking = std::make_unique<Parking<std::string>>();
  park(*parking, noting("a"));
  parking.reset();
  EXPECT_EQ(seen(), Seen{"a cancelled"});
}

// The handler owns what it waits for, as a coroutine does.
TEST(ParkingEnd, IsThatOfTheLoop) {
  std::weak_ptr<Parking<>> seen;
  {
    asio::io_context io;
    const Loop loop{io, io.get_executor()};
    auto parking = std::make_shared<Parking<>>();
    seen = parking;
    using Waits = asio::any_completion_handler<void()>;
    parking->park(loop, Waits{[parking] { FAIL(); }}, [](Waits parked, bool) { parked(); });
  }
  EXPECT_TRUE(seen.expired());
}

TEST_F(ParkingTest, AnEventTellsWhetherItCameOrWasGivenUp) {
  Event<const std::string&> event;
  const auto waiting = [this](boost::system::error_code error, const std::string& value) {
    seen_.push_back(value + ": " + (error ? error.message() : "came"));
  };
  event.once(loop_, waiting);
  event.once(loop_, asio::bind_cancellation_slot(signal_.slot(), waiting),
             [&] { seen_.emplace_back(event.has_listener() ? "one is left" : "none is left"); });
  signal_.emit(asio::cancellation_type::terminal);
  EXPECT_EQ(seen(), (Seen{"one is left", ": Operation canceled"}));
  event.emit("value");
  EXPECT_FALSE(event.has_listener());
  EXPECT_EQ(seen(), Seen{"value: came"});
  event.once(loop_, waiting);
  EXPECT_TRUE(event.abort(asio::error::eof));
  EXPECT_EQ(seen(), Seen{": End of file"});
}

}  // namespace
}  // namespace cohort
