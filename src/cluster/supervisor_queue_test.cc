#include "cluster/supervisor_queue.h"

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace cohort::cluster {
namespace {

// Forks when it is told to, and says what it does.
struct World {
  void carry_out(const SupervisorAction& action) {
    const auto* fork = std::get_if<action::Fork>(&action);
    if (fork == nullptr) return;
    if (throws) throw std::runtime_error{"a handler"};
    said.push_back("fork " + std::to_string(fork->place));
    EXPECT_FALSE(queue.tell(event::Forked{++last, fork->place})) << "comes later";
    EXPECT_FALSE(queue.state().places[fork->place].worker) << "and was not carried out";
    said.push_back("forked");
  }

  bool throws = false;
  int last = 0;
  std::vector<std::string> said;
  SupervisorQueue queue{{.now = [] { return TimePoint{std::chrono::hours{1}}; },
                         .carry_out = [this](const SupervisorAction& action) { carry_out(action); },
                         .decided =
                             [this](const SupervisorEvent&, const auto& actions) {
                               said.push_back("decided " + std::to_string(actions.size()));
                             }}};
};

TEST(SupervisorQueue, WhatHappensWhileActionsAreCarriedOutComesAfterThem) {
  World world;
  EXPECT_TRUE(world.queue.tell(event::Keep{2}));
  EXPECT_EQ(world.said, (std::vector<std::string>{"decided 2", "fork 0", "forked", "fork 1",
                                                  "forked", "decided 0", "decided 0"}));
  EXPECT_EQ(world.queue.state().places[1].worker, 2);
}

TEST(SupervisorQueue, GoesOnAfterWhateverAHandlerThrew) {
  World world;
  world.throws = true;
  EXPECT_THROW(world.queue.tell(event::Keep{1}), std::runtime_error);
  EXPECT_TRUE(world.queue.tell(event::TimePassed{}));
}

}  // namespace
}  // namespace cohort::cluster
