// Places that come and go while their workers serve.
#include <gtest/gtest.h>

#include "cluster/supervisor_test_world.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;

TEST(SupervisorScaling, WorkersOfPlacesThatAreNoMoreAreRetiredAndEndedWhenTheyAreDry) {
  Places places{3};
  EXPECT_EQ(places.scale(1), "retire 2, retire 3");
  EXPECT_EQ(places.state().places.size(), 1U);
  EXPECT_EQ(places.pass(100ms), "look whether 2 is dry, look whether 3 is dry");
  EXPECT_EQ(places.is_dry(2), "end 2");
  EXPECT_EQ(places.pass(24900ms), "end 3") << "the grace time is over";
  EXPECT_EQ(places.exits(2), "");
  EXPECT_EQ(places.pass(100ms), "") << "nobody comes in their place";
}

TEST(SupervisorScaling, NewPlacesAreFilledAtOnce) {
  Places places{1};
  EXPECT_EQ(places.scale(3), "fork 2, fork 3");
  EXPECT_EQ(places.scale(3), "");
}

TEST(SupervisorScaling, APlaceThatComesBackIsANewOne) {
  Places places{2};
  places.scale(1);
  EXPECT_EQ(places.scale(2), "fork 3");
  EXPECT_TRUE(is_retired(places.state(), 2));
  places.serves(3);
  EXPECT_EQ(places.exits(2), "");
  EXPECT_EQ(places.state().places[1].worker, 3);
}

TEST(SupervisorScaling, ASuccessorOfAPlaceThatIsNoMoreIsEnded) {
  Places places{2};
  places.replace(2);
  EXPECT_EQ(places.scale(1), "retire 2, end 3");
  EXPECT_EQ(places.is_ready(3), "");
}

TEST(SupervisorScaling, ToNothingEndsEverybodyAndTheServiceGoesOn) {
  Places places{2};
  EXPECT_EQ(places.scale(0), "retire 1, retire 2");
  places.is_dry(1), places.is_dry(2);
  places.exits(1), places.exits(2);
  EXPECT_EQ(places.state().phase, Supervisor::Phase::Running);
  EXPECT_EQ(places.scale(1), "fork 3");
}

}  // namespace
}  // namespace cohort::cluster
