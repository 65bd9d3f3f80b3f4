#include "manager/service_messages.h"

#include <gtest/gtest.h>

#include <vector>

namespace cohort::manager {
namespace {

using namespace std::chrono_literals;
using State = WorkerStatus::State;
using TimePoint = ServiceMessages::TimePoint;

constexpr TimePoint kStart{100s};

ClusterStatus status_of(std::size_t places, const std::vector<State>& workers,
                        std::chrono::milliseconds age = 1s) {
  ClusterStatus status{.places = places};
  for (const State state : workers)
    status.workers.push_back({.kept = true, .state = state, .age = age});
  return status;
}
ClusterStatus all_serve(std::size_t places) {
  return status_of(places, std::vector<State>(places, State::Listening));
}
std::string text(const std::optional<ServiceMessage>& message) {
  return message ? (message->awaited ? "! " : "") + message->text : "";
}

// Of a primary with pid 7; each step is a second later.
class ServiceTold : public testing::Test {
 protected:
  std::string look(const ClusterStatus& status) { return text(messages_.look(status, now_ += 1s)); }
  void start() { EXPECT_EQ(look(all_serve(2)), "! READY=1\nMAINPID=7\nSTATUS=2 workers serve"); }

  ServiceMessages messages_{7};
  TimePoint now_ = kStart;
};

TEST(Serving, AreThoseThatListenOrHaveLivedLongEnough) {
  EXPECT_EQ(serving(status_of(4, {State::Listening, State::Spawned, State::Online, State::Ending})),
            1U);
  EXPECT_EQ(serving(status_of(2, {State::Spawned, State::Online}, 9999ms)), 0U);
  EXPECT_EQ(serving(status_of(2, {State::Spawned, State::Online, State::Disconnected}, 10s)), 2U);
  ClusterStatus beside = all_serve(2);
  beside.workers.front().kept = false;
  EXPECT_EQ(serving(beside), 1U) << "one that has left its place, or was forked by hand";
}

TEST_F(ServiceTold, IsReadyOnceWhenAllServeForTheFirstTime) {
  EXPECT_EQ(look(status_of(2, {State::Spawned, State::Spawned})), "STATUS=0 of 2 workers serve");
  EXPECT_TRUE(messages_.wants_look()) << "one that never listens serves after a while";
  EXPECT_EQ(look(status_of(2, {State::Listening, State::Online})), "STATUS=1 of 2 workers serve");
  start();
  EXPECT_FALSE(messages_.wants_look());
  EXPECT_EQ(look(all_serve(2)), "");
}

TEST_F(ServiceTold, IsNotReadyWithoutAnyPlace) {
  EXPECT_EQ(look(ClusterStatus{}).find("READY"), std::string::npos);
}

TEST_F(ServiceTold, IsReadyWithoutThePlacesThatAreClosed) {
  ClusterStatus status = status_of(2, {State::Listening});
  status.closed.push_back({.slot = 1, .worker = 2});
  EXPECT_EQ(look(status), "! READY=1\nMAINPID=7\nSTATUS=1 of 2 workers serve");
  EXPECT_FALSE(messages_.wants_look());
}

TEST_F(ServiceTold, OneWorkerServesInTheSingular) {
  EXPECT_EQ(look(all_serve(1)), "! READY=1\nMAINPID=7\nSTATUS=1 worker serves");
  EXPECT_EQ(look(status_of(1, {})), "STATUS=0 of 1 worker serves");
}

TEST_F(ServiceTold, ChangesAreToldAtMostOnceASecond) {
  start();
  const ClusterStatus fewer = status_of(2, {State::Listening});
  EXPECT_EQ(text(messages_.look(fewer, now_ + 999ms)), "");
  EXPECT_TRUE(messages_.wants_look());
  EXPECT_EQ(text(messages_.look(fewer, now_ + 1s)), "STATUS=1 of 2 workers serve");
  EXPECT_EQ(text(messages_.look(all_serve(2), now_ + 1500ms)), "");
  EXPECT_TRUE(messages_.wants_look());
  EXPECT_EQ(text(messages_.look(all_serve(2), now_ + 2s)), "STATUS=2 workers serve");
  EXPECT_FALSE(messages_.wants_look());
}

TEST_F(ServiceTold, AReloadIsOverWithItsVerdict) {
  start();
  EXPECT_EQ(text(messages_.reloading(kStart + 250us)),
            "! RELOADING=1\nMONOTONIC_USEC=100000250\nSTATUS=reloading");
  EXPECT_EQ(look(status_of(2, {State::Listening})), "") << "the verdict tells";
  EXPECT_EQ(text(messages_.reloaded("not reloaded: worker 3:\texited")),
            "! READY=1\nMAINPID=7\nSTATUS=not reloaded: worker 3:?exited");
  EXPECT_EQ(look(all_serve(2)), "") << "the verdict stays until a number changes";
  EXPECT_EQ(look(all_serve(3)), "STATUS=3 workers serve");
}

TEST_F(ServiceTold, OfReloadsThatOverlapTheLastIsTheEnd) {
  start();
  EXPECT_NE(text(messages_.reloading(now_)), "");
  EXPECT_NE(text(messages_.reloading(now_)), "");
  EXPECT_EQ(text(messages_.reloaded("superseded")), "");
  EXPECT_EQ(text(messages_.reloaded("reached")), "! READY=1\nMAINPID=7\nSTATUS=reached");
}

TEST_F(ServiceTold, AReloadBeforeAllServeIsPartOfTheStart) {
  EXPECT_EQ(text(messages_.reloading(now_)), "");
  start();
  EXPECT_EQ(text(messages_.reloaded("reached")), "");
  EXPECT_NE(text(messages_.reloading(now_)), "");
  EXPECT_EQ(text(messages_.reloaded("reached")), "! READY=1\nMAINPID=7\nSTATUS=reached");
}

TEST_F(ServiceTold, AStopHasTheTimeThatItMayTake) {
  start();
  EXPECT_EQ(text(messages_.stopping(now_ + 25s, now_)),
            "! STOPPING=1\nSTATUS=stopping: what is being served finishes\n"
            "EXTEND_TIMEOUT_USEC=30000000");
  EXPECT_EQ(look(all_serve(1)), "EXTEND_TIMEOUT_USEC=29000000");
  EXPECT_TRUE(messages_.wants_look());
  EXPECT_EQ(text(messages_.stopping(now_, now_)), "") << "the second wish";
  now_ += 1h;
  EXPECT_EQ(look(all_serve(1)), "EXTEND_TIMEOUT_USEC=5000000");
}

TEST_F(ServiceTold, NothingIsReadyAfterTheStop) {
  EXPECT_NE(text(messages_.stopping(now_, now_)), "");
  EXPECT_EQ(look(all_serve(2)).find("READY"), std::string::npos);
  EXPECT_EQ(text(messages_.reloading(now_)), "");
  EXPECT_EQ(text(messages_.reloaded("stopped")), "");
}

}  // namespace
}  // namespace cohort::manager
