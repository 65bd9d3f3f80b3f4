// What a leader leaves of its process group.
#include "process/group.h"

#include <gtest/gtest.h>

#include <csignal>

#include "base/sys.h"
#include "process/child_fixture_test.h"
#include "process/child_watch.h"

namespace cohort::process {
namespace {

using namespace std::chrono_literals;

TEST(StatLine, IsReadBehindWhateverTheNameIs) {
  const auto line = parse_stat("4711 (a) Z (b c) S 1 4700 4699 34816 4700 4194304 0");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->state, 'S');
  EXPECT_EQ(line->group, 4700);
  EXPECT_EQ(line->session, 4699);
  EXPECT_FALSE(parse_stat(""));
  EXPECT_FALSE(parse_stat("4711 (name) S 1"));
}

// A leader that a line on its stdin ends, and what it started. Their stdout tells when all is over.
class Group : public ChildTest {
 protected:
  void start(const std::string& script, bool outlives = false) {
    OwnFd out[2];
    OwnFd in[2];
    ASSERT_EQ(sys::pipe(out), 0);
    ASSERT_EQ(sys::pipe(in), 0);
    SpawnRequest request = program_request("sh", {"-c", script + "\nread line; exit 3"});
    request.fds = {in[0].get(), out[1].get(), 2};
    request.new_session = true;
    request.die_with_parent = true;
    request.group_outlives_child = outlives;
    auto child = spawn(request);
    ASSERT_TRUE(child) << child.error();
    output_ = std::move(out[0]);
    input_ = std::move(in[1]);
    watch_.emplace(
        loop_, std::move(*child), [this](const Exit& exit) { exit_ = exit; },
        outlives ? ChildWatch::Ends::Alone : ChildWatch::Ends::WithItsGroup);
    ASSERT_EQ(read_line(output_.get()), "ready");
  }
  /// The leader ends by itself.
  std::optional<LeftGroup> left() {
    input_.reset();
    io().run_for(30s);
    EXPECT_TRUE(exit_);
    return watch_->take_left();
  }
  void TearDown() override {
    watch_.reset();
    output_.reset();
    end_orphans();
  }

  Loop loop_{io(), io().get_executor()};
  OwnFd output_;
  OwnFd input_;
  std::optional<Exit> exit_;
  std::optional<ChildWatch> watch_;
};

constexpr const char* kStubborn =
    "sh -c \"trap '' TERM HUP; echo ready; while :; do sleep 1; done\" &";

TEST_F(Group, IsEmptyWhenNobodyIsLeft) {
  start("echo ready");
  EXPECT_FALSE(left());
  EXPECT_EQ(exit_->code(), 3);
}

TEST_F(Group, IsSentTermWhenItsLeaderHasEndedByItself) {
  start("sh -c \"trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.01; done\" &");
  const auto group = left();
  ASSERT_TRUE(group);
  EXPECT_EQ(read_line(output_.get()), "bye");
}

TEST_F(Group, ThatIgnoresTermIsKilledAfterTheGrace) {
  start(kStubborn);
  auto group = left();
  ASSERT_TRUE(group);
  EXPECT_TRUE(group_lives(group->id));
  const pid_t id = group->id;
  bool over = false;
  GroupEnd end{loop_, std::move(*group), 50ms, [&] { over = true; }};
  run();
  EXPECT_TRUE(over);
  EXPECT_FALSE(group_lives(id)) << "zombies, for us to reap";
  EXPECT_EQ(read_all(output_.get()), "");
}

TEST_F(Group, IsKilledSoonerOnRequest) {
  start(kStubborn);
  auto group = left();
  ASSERT_TRUE(group);
  bool over = false;
  GroupEnd end{loop_, std::move(*group), 1h, [&] { over = true; }};
  end.kill();
  run();
  EXPECT_TRUE(over);
  EXPECT_EQ(read_all(output_.get()), "");
}

TEST_F(Group, LivesOnWithoutItsLeaderIfItMay) {
  const std::string member = "sh -c \"echo ready; sleep 0.2; echo lives\" &";
  start(member, true);
  EXPECT_FALSE(left());
  EXPECT_EQ(read_line(output_.get()), "lives");
}

TEST_F(Group, IsKilledWhenNobodyWaitsForItsEndAnyMore) {
  start(kStubborn);
  auto group = left();
  ASSERT_TRUE(group);
  {
    const GroupEnd end{loop_, std::move(*group), 1h, [] { FAIL(); }};
  }
  EXPECT_EQ(read_all(output_.get()), "");
}

TEST_F(Group, IsStoppedNoMoreWhenItIsAskedToEnd) {
  start("sh -c 'echo ready; kill -STOP $$; sleep 600' &");
  watch_->signal_group(SIGTERM);
  io().run_for(30s);
  ASSERT_TRUE(exit_);
  EXPECT_EQ(exit_->signal(), SIGTERM);
  EXPECT_EQ(read_all(output_.get()), "");
}

TEST_F(Group, EndsWithItsLeaderThatIsAbandoned) {
  start(kStubborn);
  watch_->kill_and_reap();
  EXPECT_EQ(read_all(output_.get()), "");
}

TEST_F(Group, IsLeftAloneUnlessItIsToEndWithItsLeader) {
  OwnFd ends[2];
  ASSERT_EQ(sys::pipe(ends), 0);
  SpawnRequest request =
      program_request("sh", {"-c", "sh -c 'read line; echo $line' <&3 & exit 0"});
  OwnFd in[2];
  ASSERT_EQ(sys::pipe(in), 0);
  request.fds = {-1, ends[1].get(), 2, in[0].get()};
  request.new_session = true;
  auto child = spawn(request);
  ASSERT_TRUE(child) << child.error();
  ends[1].reset();
  watch_.emplace(loop_, std::move(*child), [this](const Exit& exit) { exit_ = exit; });
  EXPECT_FALSE(left());
  ASSERT_EQ(sys::write(in[1].get(), "alive\n", 6), 6);
  EXPECT_EQ(read_line(ends[0].get()), "alive");
}

}  // namespace
}  // namespace cohort::process
