// Places whose workers leave: on purpose, or so it seems.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <variant>

#include "cluster/supervisor.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;

// Places whose workers, 1 and so on, serve. The primary carries out what it has to do: each call
// says what that was.
class Places {
 public:
  explicit Places(unsigned count) {
    feed(event::Keep{count});
    for (int worker = 1; worker <= last_; ++worker) serves(worker);
  }
  void serves(int worker) {
    feed(event::Opened{worker});
    feed(event::Ready{worker});
  }
  std::string closes(int worker, bool uses_others = false) {
    return feed(event::Closed{worker, uses_others});
  }
  std::string opens(int worker) { return feed(event::Opened{worker}); }
  std::string ends(int worker) { return feed(event::Ends{worker}); }
  std::string exits(int worker) { return feed(event::Exited{worker}); }
  std::string pass(Duration time) {
    now_ += time;
    return feed(event::TimePassed{});
  }
  std::optional<Duration> until_wakeup() const {
    const auto at = next_wakeup(state_);
    return at ? std::optional{*at - now_} : std::nullopt;
  }
  bool left(int worker) const { return has_left(state_, worker); }

 private:
  std::string feed(const SupervisorEvent& event) {
    std::string done;
    for (const auto& action : step(state_, event, now_)) {
      if (const auto* fork = std::get_if<action::Fork>(&action)) {
        done += "fork " + std::to_string(++last_);
        if (fork->beside) done += " beside " + std::to_string(*fork->beside);
        feed(event::Forked{last_, fork->place});
      } else if (const auto* release = std::get_if<action::Release>(&action)) {
        done += "release what " + std::to_string(release->worker) + " closed";
      }
    }
    return done;
  }

  Supervisor state_;
  TimePoint now_{1000s};
  int last_ = 0;
};

TEST(SupervisorLeaving, WhoSaysThatItEndsHasASuccessorWhenItHasClosedItsServers) {
  Places places{2};
  EXPECT_EQ(places.ends(1), "");
  EXPECT_EQ(places.until_wakeup(), std::nullopt) << "it still accepts";
  EXPECT_EQ(places.closes(1), "");
  EXPECT_EQ(places.pass(100ms), "fork 3 beside 1");
  EXPECT_EQ(places.exits(1), "") << "it has been replaced";
  EXPECT_EQ(places.until_wakeup(), std::nullopt);
}

TEST(SupervisorLeaving, WhoSaysSoAfterItHasClosedThemHasOneThen) {
  Places places{1};
  EXPECT_EQ(places.closes(1), "");
  EXPECT_EQ(places.pass(500ms), "");
  EXPECT_EQ(places.ends(1), "");
  EXPECT_EQ(places.pass(100ms), "fork 2 beside 1");
}

TEST(SupervisorLeaving, WhoClosesAllAndSaysNothingIsTakenForLeavingAfterASecond) {
  Places places{1};
  EXPECT_EQ(places.closes(1), "");
  EXPECT_EQ(places.pass(999ms), "");
  EXPECT_EQ(places.pass(1ms), "") << "now it is known";
  EXPECT_TRUE(places.left(1));
  EXPECT_EQ(places.pass(100ms), "fork 2 beside 1");
}

TEST(SupervisorLeaving, WhoEndsBeforeItsSuccessorStartsIsNotBesideIt) {
  Places places{1};
  places.ends(1);
  places.closes(1);
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.pass(100ms), "fork 2");
}

TEST(SupervisorLeaving, WhoServedAndLeavesOnPurposeDidNotFail) {
  Places places{1};
  for (int worker = 1; worker < 10; ++worker) {
    places.ends(worker);
    places.closes(worker);
    places.exits(worker);
    EXPECT_EQ(places.pass(100ms), "fork " + std::to_string(worker + 1));
    places.serves(worker + 1);
  }
}

TEST(SupervisorLeaving, WhoClosesOneOfItsServersStaysAndThePortIsFreeAfterASecond) {
  Places places{1};
  EXPECT_EQ(places.closes(1, true), "");
  EXPECT_EQ(places.pass(999ms), "");
  EXPECT_EQ(places.pass(1ms), "release what 1 closed");
  EXPECT_FALSE(places.left(1));
  EXPECT_EQ(places.until_wakeup(), std::nullopt);
}

TEST(SupervisorLeaving, WhoOpensAServerAgainWithinASecondStays) {
  Places places{1};
  places.closes(1);
  EXPECT_EQ(places.pass(900ms), "");
  EXPECT_EQ(places.opens(1), "");
  EXPECT_EQ(places.pass(100ms), "release what 1 closed") << "if it was another";
  EXPECT_EQ(places.pass(1h), "");
}

TEST(SupervisorLeaving, AProgramThatComesBackLaterIsTakenForLeavingOnce) {
  Places places{2};
  places.closes(1);
  places.pass(1s);
  EXPECT_EQ(places.pass(100ms), "fork 3 beside 1");
  EXPECT_EQ(places.opens(1), "");
  EXPECT_FALSE(places.left(1)) << "it serves again";
  EXPECT_EQ(places.closes(2), "");
  EXPECT_EQ(places.pass(1s), "release what 2 closed");
  EXPECT_EQ(places.pass(1h), "");
  EXPECT_FALSE(places.left(2)) << "it may come back, too";
  places.ends(2);
  EXPECT_EQ(places.pass(100ms), "fork 4 beside 2") << "it said so";
}

TEST(SupervisorLeaving, NoMoreThanEightLeaveAPlaceAtATime) {
  Places places{1};
  for (int worker = 1; worker <= kLeaversMax; ++worker) {
    places.ends(worker);
    places.closes(worker);
    if (worker == kLeaversMax) break;
    EXPECT_NE(places.pass(100ms), "");
    places.serves(worker + 1);
  }
  EXPECT_EQ(places.until_wakeup(), std::nullopt);
  EXPECT_EQ(places.pass(1h), "");
  EXPECT_EQ(places.exits(3), "fork 9 beside 8");
}

TEST(SupervisorLeaving, WhoDiesAfterItClosedItsServersDied) {
  Places places{1};
  places.closes(1);
  places.exits(1);
  EXPECT_EQ(places.pass(100ms), "fork 2");
  places.serves(2);
  places.closes(2);
  places.exits(2);
  EXPECT_EQ(places.pass(100ms), "") << "for the second time";
  EXPECT_EQ(places.pass(100ms), "fork 3");
}

}  // namespace
}  // namespace cohort::cluster
