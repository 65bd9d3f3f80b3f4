#include "cluster/supervisor.h"

#include <gtest/gtest.h>

#include <iomanip>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;
using Phase = Supervisor::Phase;

const TimePoint kStart{1000s};

std::string text(const std::vector<SupervisorAction>& actions) {
  struct Name {
    std::string operator()(const action::Fork& fork) const {
      return "fork " + std::to_string(fork.place);
    }
    std::string operator()(const action::Release& release) const {
      return "release " + std::to_string(release.worker);
    }
    std::string operator()(const action::Retire& retire) const {
      return "retire " + std::to_string(retire.worker);
    }
    std::string operator()(const action::Hold& hold) const {
      return "hold " + std::to_string(hold.worker);
    }
    std::string operator()(const action::Rest& rest) const {
      return "rest " + std::to_string(rest.worker);
    }
    std::string operator()(const action::Lead& lead) const {
      return "lead " + std::to_string(lead.worker);
    }
    std::string operator()(const action::Follow& follow) const {
      return "follow " + std::to_string(follow.worker);
    }
    std::string operator()(const action::Resume& resume) const {
      return "resume " + std::to_string(resume.worker);
    }
    std::string operator()(const action::RolloutOver&) const { return "rollout-over"; }
    std::string operator()(const action::LookWhetherDry& look) const {
      return "look whether dry " + std::to_string(look.worker);
    }
    std::string operator()(const action::End& end) const {
      return "end " + std::to_string(end.worker);
    }
    std::string operator()(const action::Kill& kill) const {
      return "kill " + std::to_string(kill.worker);
    }
    std::string operator()(const action::StopArrivals&) const { return "stop-arrivals"; }
    std::string operator()(const action::LookForArrivals&) const { return "look"; }
    std::string operator()(const action::DisconnectAll&) const { return "disconnect-all"; }
    std::string operator()(const action::KillAll&) const { return "kill-all"; }
    std::string operator()(const action::GiveUp&) const { return "give-up"; }
    std::string operator()(const action::Close&) const { return "close"; }
    std::string operator()(const action::AllClosed&) const { return "all-closed"; }
    std::string operator()(const action::Finish& finish) const {
      return finish.gave_up ? "finish, having given up" : "finish";
    }
  };
  std::string joined;
  for (const auto& action : actions)
    joined += (joined.empty() ? "" : ", ") + std::visit(Name{}, action);
  return joined;
}

std::string text(Phase phase) {
  switch (phase) {
    case Phase::Running:
      return "running";
    case Phase::LettingIn:
      return "letting";
    case Phase::Draining:
      return "draining";
    case Phase::Killing:
      return "killing";
    case Phase::Over:
      return "over";
  }
  return "?";
}

// A supervisor with a clock; each call says what it has to do, as text.
struct Cluster {
  Supervisor state;
  TimePoint now = kStart;
  int last_worker = 0;

  std::string feed(const SupervisorEvent& event) { return text(step(state, event, now)); }
  std::string keep(unsigned count) { return feed(event::Keep{count}); }
  std::string terminate() { return feed(event::Terminate{}); }
  std::string nothing_arrives() { return feed(event::NothingArrives{}); }
  std::string ready(int worker) { return feed(event::Ready{worker}); }
  std::string exited(int worker) { return feed(event::Exited{worker}); }
  std::string pass(Duration time) {
    now += time;
    return feed(event::TimePassed{});
  }
  /// The primary carried a Fork out. Returns the worker's id.
  int fork(std::optional<std::size_t> place) {
    EXPECT_EQ(feed(event::Forked{++last_worker, place}), "");
    return last_worker;
  }
  std::optional<Duration> until_wakeup() const {
    const auto at = next_wakeup(state);
    if (!at) return std::nullopt;
    return *at - now;
  }
};

Cluster keeping(unsigned count) {
  Cluster cluster;
  cluster.keep(count);
  for (unsigned place = 0; place < count; ++place) cluster.fork(place);
  return cluster;
}

// One place, filled by worker 1, in each phase.
Cluster in_phase(Phase phase) {
  Cluster cluster = keeping(1);
  if (phase == Phase::Running) return cluster;
  cluster.terminate();
  if (phase == Phase::LettingIn) return cluster;
  cluster.nothing_arrives();
  if (phase == Phase::Draining) return cluster;
  cluster.terminate();
  if (phase == Phase::Over) cluster.exited(1);
  return cluster;
}

constexpr const char* kExpected = R"(
running  | keep 3      | running  | fork 1, fork 2
running  | keep 0      | running  |
running  | scale 0     | running  | retire 1
running  | forked 9    | running  |
running  | ready 1     | running  |
running  | opened 1    | running  |
running  | closed 1    | running  |
running  | ends 1      | running  |
running  | exited 1    | running  |
running  | exited 7    | running  |
running  | leaves 1    | running  |
running  | fails 1     | over     | all-closed, finish
running  | vanished 7  | running  |
running  | replace 1   | running  | fork 0
running  | reload 2    | running  | fork 0
running  | unfit 1     | running  |
running  | dry 1       | running  |
running  | nothing     | running  |
running  | terminate   | letting  | stop-arrivals
running  | time passed | running  |

letting  | keep 3      | letting  |
letting  | keep 0      | letting  |
letting  | scale 0     | letting  |
letting  | forked 9    | letting  |
letting  | ready 1     | letting  |
letting  | opened 1    | letting  |
letting  | closed 1    | letting  |
letting  | ends 1      | letting  |
letting  | exited 1    | over     | finish
letting  | exited 7    | letting  |
letting  | leaves 1    | letting  |
letting  | fails 1     | over     | finish
letting  | vanished 7  | letting  |
letting  | replace 1   | letting  |
letting  | reload 2    | letting  | rollout-over
letting  | unfit 1     | letting  |
letting  | dry 1       | letting  |
letting  | nothing     | draining | disconnect-all
letting  | terminate   | killing  | kill-all
letting  | time passed | letting  |

draining | keep 3      | draining |
draining | keep 0      | draining |
draining | scale 0     | draining |
draining | forked 9    | draining | disconnect-all
draining | ready 1     | draining |
draining | opened 1    | draining |
draining | closed 1    | draining |
draining | ends 1      | draining |
draining | exited 1    | over     | finish
draining | exited 7    | draining |
draining | leaves 1    | draining |
draining | fails 1     | over     | finish
draining | vanished 7  | draining |
draining | replace 1   | draining |
draining | reload 2    | draining | rollout-over
draining | unfit 1     | draining |
draining | dry 1       | draining |
draining | nothing     | draining |
draining | terminate   | killing  | kill-all
draining | time passed | draining |

killing  | keep 3      | killing  |
killing  | keep 0      | killing  |
killing  | scale 0     | killing  |
killing  | forked 9    | killing  | kill-all
killing  | ready 1     | killing  |
killing  | opened 1    | killing  |
killing  | closed 1    | killing  |
killing  | ends 1      | killing  |
killing  | exited 1    | over     | finish
killing  | exited 7    | killing  |
killing  | leaves 1    | killing  | kill-all
killing  | fails 1     | over     | finish
killing  | vanished 7  | killing  |
killing  | replace 1   | killing  |
killing  | reload 2    | killing  | rollout-over
killing  | unfit 1     | killing  |
killing  | dry 1       | killing  |
killing  | nothing     | killing  |
killing  | terminate   | killing  |
killing  | time passed | killing  |

over     | keep 3      | over     |
over     | keep 0      | over     |
over     | scale 0     | over     |
over     | forked 9    | over     |
over     | ready 1     | over     |
over     | opened 1    | over     |
over     | closed 1    | over     |
over     | ends 1      | over     |
over     | exited 1    | over     |
over     | exited 7    | over     |
over     | leaves 1    | over     |
over     | fails 1     | over     |
over     | vanished 7  | over     |
over     | replace 1   | over     |
over     | reload 2    | over     | rollout-over
over     | unfit 1     | over     |
over     | dry 1       | over     |
over     | nothing     | over     |
over     | terminate   | over     |
over     | time passed | over     |
)";

TEST(Supervisor, EveryPhaseTakesEveryEvent) {
  const std::map<std::string, SupervisorEvent> events = {{"keep 3", event::Keep{3}},
                                                         {"keep 0", event::Keep{0}},
                                                         {"scale 0", event::Scale{0}},
                                                         {"reload 2", event::Reload{{2, {}}}},
                                                         {"unfit 1", event::Unfit{1}},
                                                         {"forked 9", event::Forked{9, {}}},
                                                         {"ready 1", event::Ready{1}},
                                                         {"opened 1", event::Opened{1}},
                                                         {"closed 1", event::Closed{1, false}},
                                                         {"ends 1", event::Ends{1}},
                                                         {"exited 1", event::Exited{1}},
                                                         {"exited 7", event::Exited{7}},
                                                         {"leaves 1", event::Exited{1, true}},
                                                         {"fails 1", event::Exited{1, false, true}},
                                                         {"vanished 7", event::Vanished{7}},
                                                         {"replace 1", event::Replace{1}},
                                                         {"dry 1", event::Dry{1}},
                                                         {"nothing", event::NothingArrives{}},
                                                         {"terminate", event::Terminate{}},
                                                         {"time passed", event::TimePassed{}}};
  std::string actual = "\n";
  for (const Phase phase :
       {Phase::Running, Phase::LettingIn, Phase::Draining, Phase::Killing, Phase::Over}) {
    for (const std::string name :
         {"keep 3",   "keep 0",   "scale 0",  "forked 9", "ready 1",   "opened 1",   "closed 1",
          "ends 1",   "exited 1", "exited 7", "leaves 1", "fails 1",   "vanished 7", "replace 1",
          "reload 2", "unfit 1",  "dry 1",    "nothing",  "terminate", "time passed"}) {
      Cluster cluster = in_phase(phase);
      ASSERT_EQ(cluster.state.phase, phase);
      const std::string actions = cluster.feed(events.at(name));
      std::ostringstream line;
      line << std::left << std::setw(9) << text(phase) << "| " << std::setw(12) << name << "| "
           << std::setw(9) << text(cluster.state.phase) << '|' << (actions.empty() ? "" : " ")
           << actions;
      actual += line.str() + '\n';
    }
    if (phase != Phase::Over) actual += '\n';
  }
  EXPECT_EQ(actual, kExpected);
}

// Running.

TEST(Supervisor, KeepForksOneWorkerForEachPlaceAtOnce) {
  Cluster cluster;
  EXPECT_EQ(cluster.keep(3), "fork 0, fork 1, fork 2");
  EXPECT_EQ(cluster.pass(1h), "") << "a fork is asked for once";
}

TEST(Supervisor, KeepingTheSameNumberChangesNothing) {
  Cluster cluster = keeping(2);
  EXPECT_EQ(cluster.keep(2), "");
}

TEST(Supervisor, MorePlacesAreFilledAtOnce) {
  Cluster cluster = keeping(1);
  EXPECT_EQ(cluster.keep(3), "fork 1, fork 2");
}

TEST(Supervisor, FewerPlacesLeaveTheWorkersOfTheRestAloneButDoNotReplaceThem) {
  Cluster cluster = keeping(3);
  EXPECT_EQ(cluster.keep(1), "");
  EXPECT_EQ(cluster.exited(2), "");
  EXPECT_EQ(cluster.exited(3), "");
  EXPECT_EQ(cluster.pass(1h), "");
  EXPECT_EQ(cluster.state.live.size(), 1U);
}

TEST(Supervisor, APlaceThatReturnsIsNewAndTheWorkerThatHadItBeforeDoesNotCount) {
  Cluster cluster = keeping(2);
  cluster.keep(1);
  EXPECT_EQ(cluster.keep(2), "fork 1");
  const int successor = cluster.fork(1);
  EXPECT_EQ(cluster.exited(2), "");
  EXPECT_EQ(cluster.pass(1h), "") << "the place is filled";
  EXPECT_EQ(cluster.state.places[1].worker, successor);
}

TEST(Supervisor, AForkThatIsReportedForAPlaceThatIsGoneHasNoPlace) {
  Cluster cluster;
  cluster.keep(2);
  cluster.keep(1);
  cluster.fork(1);
  EXPECT_EQ(cluster.state.live.at(1).place, std::nullopt);
}

TEST(Supervisor, AForkThatIsReportedForAPlaceThatIsFilledIsTooMuch) {
  Cluster cluster;
  cluster.keep(2);
  cluster.keep(1);
  cluster.keep(2);
  cluster.fork(1);  // both forks for place 1 are carried out late
  EXPECT_EQ(cluster.feed(event::Forked{2, 1}), "end 2");
  EXPECT_EQ(cluster.state.places[1].worker, 1);
  EXPECT_EQ(cluster.state.live.at(2).place, std::nullopt);
}

TEST(Supervisor, AWorkerThatDiesIsReplacedAfterTheBackOff) {
  Cluster cluster = keeping(1);
  cluster.ready(1);
  EXPECT_EQ(cluster.exited(1), "");
  EXPECT_EQ(cluster.until_wakeup(), 100ms);
  EXPECT_EQ(cluster.pass(99ms), "");
  EXPECT_EQ(cluster.pass(1ms), "fork 0");
  EXPECT_EQ(cluster.until_wakeup(), std::nullopt) << "an idle cluster does not wake up";
}

TEST(Supervisor, AnEarlyOrLateWakeUpIsNoProblem) {
  Cluster cluster = keeping(1);
  cluster.ready(1);
  cluster.exited(1);
  EXPECT_EQ(cluster.pass(0ms), "");
  EXPECT_EQ(cluster.pass(5s), "fork 0");
  EXPECT_EQ(cluster.pass(5s), "");
}

TEST(Supervisor, TheBackOffDoublesToTenSecondsWhileAPlaceKeepsFailing) {
  const std::vector<std::pair<int, Duration>> expected = {
      {1, 100ms},  {2, 200ms},  {3, 400ms}, {4, 800ms}, {5, 1600ms},
      {6, 3200ms}, {7, 6400ms}, {8, 10s},   {9, 10s},   {2'000'000'000, 10s}};
  for (const auto& [failures, delay] : expected) EXPECT_EQ(backoff(failures), delay) << failures;

  EXPECT_EQ(backoff(1, 1), 100ms) << "the first one is replaced soon";
  EXPECT_EQ(backoff(2, 1), 230'900us);
  EXPECT_EQ(backoff(9, 2), 10'590ms);

  Cluster cluster = keeping(1);
  cluster.ready(1);
  for (int death = 1; death <= 9; ++death) {
    cluster.exited(cluster.last_worker);
    const Duration delay = backoff(death);
    EXPECT_EQ(cluster.until_wakeup(), delay);
    EXPECT_EQ(cluster.pass(delay), "fork 0");
    cluster.fork(0);
  }
}

TEST(Supervisor, TenSecondsOfHealthStartTheBackOffOver) {
  Cluster cluster = keeping(1);
  cluster.ready(1);
  for (int death = 1; death <= 3; ++death) {
    cluster.exited(cluster.last_worker);
    cluster.pass(*cluster.until_wakeup());
    cluster.fork(0);
  }
  cluster.pass(kHealthyAfter - 1ms);
  cluster.exited(cluster.last_worker);
  EXPECT_EQ(cluster.until_wakeup(), 800ms) << "not quite ten seconds";
  cluster.pass(800ms);
  cluster.fork(0);
  cluster.pass(kHealthyAfter);
  cluster.exited(cluster.last_worker);
  EXPECT_EQ(cluster.until_wakeup(), 100ms);
  cluster.pass(100ms);
  cluster.exited(cluster.fork(0));
  EXPECT_EQ(cluster.until_wakeup(), 200ms) << "and doubles again";
}

TEST(Supervisor, EachPlaceHasItsOwnBackOff) {
  Cluster cluster = keeping(2);
  cluster.ready(2);
  cluster.exited(1);
  cluster.pass(100ms);
  const int successor = cluster.fork(0);
  cluster.exited(successor);
  cluster.exited(2);
  EXPECT_EQ(cluster.pass(100ms), "fork 1");
  EXPECT_EQ(cluster.pass(100ms), "fork 0");
}

TEST(Supervisor, WorkersThatTheUserForkedAreNotReplaced) {
  Cluster cluster;
  const int worker = cluster.fork(std::nullopt);
  EXPECT_EQ(cluster.exited(worker), "");
  EXPECT_EQ(cluster.until_wakeup(), std::nullopt);
  EXPECT_EQ(cluster.pass(1h), "");
}

// Giving up.

TEST(Supervisor, GivesUpAfterFiveDeathsIfNoWorkerWasEverReady) {
  Cluster cluster = keeping(1);
  for (int death = 1; death < kTriesMax; ++death) {
    EXPECT_EQ(cluster.exited(cluster.last_worker), "") << death;
    EXPECT_EQ(cluster.pass(*cluster.until_wakeup()), "fork 0");
    cluster.fork(0);
  }
  EXPECT_EQ(cluster.exited(cluster.last_worker), "give-up, finish, having given up");
  EXPECT_EQ(cluster.state.phase, Phase::Over);
}

TEST(Supervisor, GivingUpKillsWhatTheUserForked) {
  Cluster cluster;
  const int own = cluster.fork(std::nullopt);
  cluster.keep(kTriesMax);
  for (int place = 0; place < kTriesMax; ++place) cluster.fork(place);
  for (int worker = own + 1; worker < own + kTriesMax; ++worker)
    EXPECT_EQ(cluster.exited(worker), "");
  EXPECT_EQ(cluster.exited(own + kTriesMax), "give-up, kill-all");
  EXPECT_EQ(cluster.exited(own), "finish, having given up");
}

TEST(Supervisor, NeverGivesUpOnceAWorkerWasReady) {
  Cluster cluster = keeping(1);
  cluster.ready(1);
  for (int death = 1; death <= 3 * kTriesMax; ++death) {
    EXPECT_EQ(cluster.exited(cluster.last_worker), "");
    EXPECT_EQ(cluster.pass(*cluster.until_wakeup()), "fork 0");
    cluster.fork(0);
  }
}

TEST(Supervisor, AWorkerThatLivedForTenSecondsWasReady) {
  Cluster cluster = keeping(1);
  cluster.now += kHealthyAfter;
  for (int death = 1; death <= 2 * kTriesMax; ++death) {
    EXPECT_EQ(cluster.exited(cluster.last_worker), "");
    EXPECT_EQ(cluster.pass(*cluster.until_wakeup()), "fork 0");
    cluster.fork(0);
  }
}

TEST(Supervisor, WhatTheUserForkedDoesNotMakeItReady) {
  Cluster cluster = keeping(1);
  cluster.ready(cluster.fork(std::nullopt));
  cluster.exited(1);
  for (int death = 2; death <= kTriesMax; ++death) {
    cluster.pass(*cluster.until_wakeup());
    const int worker = cluster.fork(0);
    EXPECT_EQ(cluster.exited(worker), death == kTriesMax ? "give-up, kill-all" : "");
  }
}

// Two places: worker 1 boots slowly, the other place fails five times meanwhile.
Cluster one_boots_while_the_other_fails() {
  Cluster cluster = keeping(2);
  cluster.exited(2);
  for (int death = 2; death <= kTriesMax; ++death) {
    cluster.pass(*cluster.until_wakeup());
    cluster.exited(cluster.fork(1));
  }
  return cluster;
}

TEST(Supervisor, AWorkerThatStillBootsHoldsUpGivingUp) {
  Cluster cluster = one_boots_while_the_other_fails();
  EXPECT_EQ(cluster.state.phase, Phase::Running);
  EXPECT_EQ(cluster.pass(5s), "") << "no further tries while nobody was ready";
  EXPECT_EQ(cluster.exited(1), "give-up, finish, having given up");
}

TEST(Supervisor, AWorkerThatBootsAtLastLetsTheOthersTryAgain) {
  Cluster cluster = one_boots_while_the_other_fails();
  cluster.pass(5s);
  cluster.ready(1);
  ASSERT_TRUE(cluster.until_wakeup());
  EXPECT_LE(*cluster.until_wakeup(), 0s) << "it is due already";
  EXPECT_EQ(cluster.pass(0s), "fork 1");
}

TEST(Supervisor, AWorkerThatNeverListensButLivesLetsTheOthersTryAgain) {
  Cluster cluster = one_boots_while_the_other_fails();
  ASSERT_TRUE(cluster.until_wakeup()) << "else the other place stays empty for ever";
  EXPECT_EQ(cluster.pass(*cluster.until_wakeup() - 1ms), "");
  EXPECT_EQ(cluster.now - kStart, kHealthyAfter - 1ms);
  EXPECT_EQ(cluster.pass(1ms), "fork 1");
}

TEST(Supervisor, FailingPlacesThatAreNoLongerWantedAreNoReasonToGiveUp) {
  Cluster cluster = one_boots_while_the_other_fails();
  EXPECT_EQ(cluster.keep(0), "");
  EXPECT_EQ(cluster.exited(1), "");
  EXPECT_EQ(cluster.until_wakeup(), std::nullopt);
}

// The end.

TEST(Supervisor, TerminateWithNoWorkersFinishesAtOnce) {
  Cluster cluster;
  EXPECT_EQ(cluster.terminate(), "finish");
  EXPECT_EQ(cluster.state.phase, Phase::Over);
}

TEST(Supervisor, TerminateWhileAPlaceWaitsForItsBackOffForksNoMore) {
  Cluster cluster = keeping(1);
  cluster.exited(1);
  EXPECT_EQ(cluster.terminate(), "finish");
  EXPECT_EQ(cluster.pass(1h), "");
  EXPECT_EQ(cluster.until_wakeup(), std::nullopt);
}

TEST(Supervisor, ADrainFinishesWhenTheLastWorkerIsGone) {
  Cluster cluster = keeping(2);
  const int own = cluster.fork(std::nullopt);
  EXPECT_EQ(cluster.terminate(), "stop-arrivals");
  EXPECT_EQ(cluster.nothing_arrives(), "disconnect-all");
  EXPECT_EQ(cluster.exited(1), "");
  EXPECT_EQ(cluster.exited(own), "") << "what the user forked counts for the end";
  EXPECT_EQ(cluster.exited(2), "finish");
  EXPECT_EQ(cluster.pass(1h), "") << "nothing is forked for the places";
}

TEST(Supervisor, ADrainThatTakesTooLongKills) {
  Cluster cluster = keeping(2);
  cluster.state.rules.drain_timeout = 3s;
  cluster.pass(1min);
  cluster.terminate();
  cluster.nothing_arrives();
  EXPECT_EQ(cluster.until_wakeup(), 3s);
  cluster.exited(1);
  EXPECT_EQ(cluster.until_wakeup(), 3s) << "the replacement's back-off is no reason to wake up";
  EXPECT_EQ(cluster.pass(3s - 1ms), "");
  EXPECT_EQ(cluster.pass(1ms), "kill-all");
  EXPECT_EQ(cluster.until_wakeup(), std::nullopt);
  EXPECT_EQ(cluster.pass(1h), "") << "once";
  EXPECT_EQ(cluster.exited(2), "finish");
}

TEST(Supervisor, TheDrainTimeoutIs25SecondsUnlessSet) {
  Cluster cluster = in_phase(Phase::Draining);
  EXPECT_EQ(cluster.until_wakeup(), 25s);
}

TEST(Supervisor, WhatHasArrivedIsLetInForSoLongAsItWaits) {
  Cluster cluster = keeping(2);
  EXPECT_EQ(cluster.terminate(), "stop-arrivals");
  EXPECT_EQ(cluster.until_wakeup(), 100ms) << "for handshakes under way";
  EXPECT_EQ(cluster.pass(100ms), "look");
  EXPECT_EQ(cluster.until_wakeup(), 10ms);
  EXPECT_EQ(cluster.pass(10ms), "look");
  EXPECT_EQ(cluster.feed(event::Forked{3, {}}), "") << "it is told with the others";
  EXPECT_EQ(cluster.nothing_arrives(), "disconnect-all");
  EXPECT_EQ(cluster.nothing_arrives(), "") << "once";
  EXPECT_EQ(cluster.until_wakeup(), 25s - 110ms);
}

TEST(Supervisor, NobodyIsAskedToEndWhenAllHaveEndedMeanwhile) {
  Cluster cluster = in_phase(Phase::LettingIn);
  EXPECT_EQ(cluster.feed(event::Exited{1, true}), "") << "what it left lives on";
  EXPECT_EQ(cluster.nothing_arrives(), "");
  EXPECT_EQ(cluster.feed(event::Vanished{1}), "finish");
}

TEST(Supervisor, WhoDoesNotTakeWhatHasArrivedIsNotWaitedForForEver) {
  Cluster cluster = keeping(1);
  cluster.terminate();
  while (cluster.now - kStart < 1990ms) EXPECT_EQ(cluster.pass(*cluster.until_wakeup()), "look");
  EXPECT_EQ(cluster.pass(10ms), "disconnect-all");
  Cluster hurried = keeping(1);
  hurried.state.rules.drain_timeout = 400ms;
  hurried.terminate();
  EXPECT_EQ(hurried.until_wakeup(), 100ms);
  EXPECT_EQ(hurried.pass(200ms), "disconnect-all") << "half of the grace time";
  EXPECT_EQ(hurried.until_wakeup(), 200ms);
}

TEST(Supervisor, AHandlerThatForksDuringADrainHasItsWorkerAskedToEnd) {
  Cluster cluster = in_phase(Phase::Draining);
  EXPECT_EQ(cluster.feed(event::Forked{2, {}}), "disconnect-all");
  EXPECT_EQ(cluster.exited(1), "");
  EXPECT_EQ(cluster.exited(2), "finish");
}

TEST(Supervisor, AHandlerThatForksOnEveryExitDoesNotKeepAKilledClusterAlive) {
  Cluster cluster = in_phase(Phase::Killing);
  EXPECT_EQ(cluster.feed(event::Forked{2, {}}), "kill-all");
  EXPECT_EQ(cluster.exited(1), "finish") << "worker 2 is not waited for";
  EXPECT_EQ(cluster.exited(2), "");
}

// What workers leave.

TEST(Supervisor, AWorkerThatLeftProcessesIsReplacedWithoutWaitingForThem) {
  Cluster cluster = keeping(1);
  EXPECT_EQ(cluster.feed(event::Exited{1, true}), "");
  EXPECT_EQ(cluster.pass(100ms), "fork 0");
  cluster.fork(0);
  EXPECT_EQ(cluster.feed(event::Vanished{1}), "");
}

TEST(Supervisor, TheEndComesWhenWhatWorkersLeftIsGone) {
  Cluster cluster = in_phase(Phase::Draining);
  EXPECT_EQ(cluster.feed(event::Exited{1, true}), "");
  EXPECT_EQ(cluster.feed(event::Vanished{1}), "finish");
}

TEST(Supervisor, WhatWorkersLeftIsKilledWhenTheDrainIsOverOrASecondSignalComes) {
  Cluster late = in_phase(Phase::Draining);
  late.feed(event::Exited{1, true});
  EXPECT_EQ(late.until_wakeup(), 25s);
  EXPECT_EQ(late.pass(25s), "kill-all");
  EXPECT_EQ(late.feed(event::Vanished{1}), "finish");
  Cluster hurried = in_phase(Phase::Draining);
  hurried.feed(event::Exited{1, true});
  EXPECT_EQ(hurried.terminate(), "kill-all");
}

TEST(Supervisor, WhatWasLeftBeforeTheStopIsWaitedForToo) {
  Cluster cluster = keeping(1);
  cluster.feed(event::Exited{1, true});
  EXPECT_EQ(cluster.terminate(), "");
  EXPECT_EQ(cluster.feed(event::Vanished{1}), "finish");
}

}  // namespace
}  // namespace cohort::cluster
