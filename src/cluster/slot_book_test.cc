#include "cluster/slot_book.h"

#include <gtest/gtest.h>

#include <random>

namespace cohort::cluster {
namespace {

using std::chrono::milliseconds;
using Slots = std::vector<std::size_t>;
using Workers = std::vector<int>;
using Bools = std::vector<bool>;

constexpr SlotBook::Rules kAdaptive{.steer_around = true, .rescue_after = milliseconds{4}};
constexpr SlotBook::Rules kSticky{.steer_around = false, .by_client = true, .rescue_after = {}};
constexpr SlotBook::Rules kHash{
    .steer_around = true, .by_client = true, .rescue_after = milliseconds{4}};

// A book whose clock is moved by hand.
struct Watched {
  explicit Watched(int workers, SlotBook::Rules rules = kAdaptive, bool only_accept = false)
      : book{rules} {
    for (int worker = 1; worker <= workers; ++worker) {
      const auto slot = static_cast<std::size_t>(worker - 1);
      book.fill(slot, worker, {}, only_accept);
    }
  }
  SlotBook::Findings after(int ms, const std::vector<unsigned>& waiting) {
    std::vector<SlotBook::Length> lengths;
    for (const unsigned count : waiting) lengths.push_back({.waiting = count});
    return see(ms, lengths);
  }
  SlotBook::Findings see(int ms, const std::vector<SlotBook::Length>& lengths) {
    now += milliseconds{ms};
    return book.observe(now, lengths, [this](int worker) { return worker == full; });
  }

  SlotBook book;
  SlotBook::TimePoint now{};
  int full = 0;
};

TEST(SlotBook, AStickySlotIsEmptyOnceNoSuccessorIsExpectedAnyMore) {
  Watched watched{2, kSticky};
  watched.book.vacate(1, true);
  EXPECT_EQ(watched.book.eligible(), (Bools{true, true})) << "its clients wait";
  watched.book.expect_no_successor(1);
  EXPECT_EQ(watched.book.eligible(), (Bools{false, true}));
}

TEST(SlotBook, TheEmptyQueueOfOneThatCanBeHandedNothingHelpsNobody) {
  Watched watched{2};
  watched.book.fill(2, 3, {}, true);
  watched.after(4, {2, 1, 0});
  EXPECT_EQ(watched.after(4, {2, 1, 0}).probe, (Workers{1, 2})) << "no queue is empty that helps";
  watched.book.turns(2);
  watched.after(4, {2, 1, 0});
  const auto found = watched.after(2, {2, 1, 0});
  EXPECT_EQ(found.rescue, Slots{0});
  EXPECT_EQ(found.targets, Workers{2});
}

TEST(SlotBook, AWorkerThatSaysWhatItTakesIsNotStuckWhileItDoes) {
  Watched watched{2};
  // As many come as are taken: its queue never shrinks, and is never seen empty.
  for (std::uint64_t taken = 1; taken < 20; ++taken) {
    const auto found = watched.see(4, {{1, taken}, {0, 5}});
    EXPECT_TRUE(found.rescue.empty()) << taken;
    EXPECT_TRUE(found.any_moves);
  }
  EXPECT_EQ(watched.see(4, {{1, 19}, {0, 5}}).rescue, Slots{0});
  EXPECT_EQ(watched.book.eligible(), (Bools{false, true}));
}

TEST(SlotBook, WhatOthersTakeIsNoSignOfAWorkerThatSaysWhatItTakes) {
  Watched watched{2};
  watched.see(4, {{3, 7}, {0, 5}});
  EXPECT_EQ(watched.see(4, {{3, 7}, {0, 5}}).rescue, Slots{0});
  EXPECT_EQ(watched.see(4, {{1, 7}, {0, 6}}).rescue, Slots{0});
  EXPECT_EQ(watched.book.eligible(), (Bools{false, true}));
  watched.see(4, {{1, 8}, {0, 6}});
  EXPECT_EQ(watched.book.eligible(), (Bools{true, true})) << "it took one itself";
}

TEST(SlotBook, WhereSomeCanBeHandedConnectionsAQueueThatShrinksIsNoSignOfItsWorker) {
  Watched watched{1, kAdaptive, true};
  watched.book.fill(1, 2);
  watched.after(4, {3, 0});
  EXPECT_EQ(watched.after(4, {3, 0}).rescue, Slots{0});
  EXPECT_TRUE(watched.book.may_be_moved(0));
  EXPECT_FALSE(watched.book.may_be_moved(1));
  watched.after(4, {1, 0});
  EXPECT_EQ(watched.book.eligible(), (Bools{false, true})) << "the other may have been handed them";
}

TEST(SlotBook, ASuccessorsNumbersAreItsOwn) {
  Watched watched{2};
  watched.see(4, {{1, 7}, {0, 5}});
  watched.book.vacate(1, true);
  watched.book.fill(0, 3);
  watched.see(4, {{1, 7}, {0, 5}});
  EXPECT_TRUE(watched.see(3, {{1, 7}, {0, 5}}).rescue.empty());
  EXPECT_EQ(watched.see(1, {{1, 7}, {0, 5}}).rescue, Slots{0});
}

TEST(SlotBook, AWorkerIsWhereOneOfItsSlotWasElseInTheFirstEmptyPlace) {
  Watched watched{3};
  EXPECT_EQ(watched.book.size(), 3u);
  watched.book.vacate(2, true);
  watched.book.vacate(3, true);
  EXPECT_EQ(watched.book.fill(2, 4), 2u) << "of slot 2";
  EXPECT_EQ(watched.book.fill(7, 5), 1u);
  EXPECT_EQ(watched.book.fill(1, 6), 3u) << "slots that do not use the port have none there";
  EXPECT_EQ(watched.book.queue_of(4), 2u);
  EXPECT_EQ(watched.book.queue_of(2), std::nullopt);
}

TEST(SlotBook, WeightsAreOfTheWorkersSlots) {
  SlotBook book{kAdaptive};
  book.set_weights({.of_slots = {1, 1, 4}});
  book.fill(2, 1);
  book.fill(0, 2);
  EXPECT_EQ(book.shares({}), (net::Shares{255, 64}));
}

TEST(SlotBook, ASlotWithoutAWorkerGetsNothingWhileOthersCan) {
  Watched watched{3};
  watched.book.vacate(2, true);
  EXPECT_EQ(watched.book.eligible(), (Bools{true, false, true}));
  watched.book.vacate(1, true);
  watched.book.vacate(3, true);
  EXPECT_EQ(watched.book.eligible(), (Bools{true, true, true})) << "they wait for successors";
}

TEST(SlotBook, AWorkerWhoseConnectionsMovedIsTriedAgainSoonAndIsNotSeenToTakeThem) {
  Watched watched{2, kAdaptive, true};
  watched.after(4, {2, 0});
  EXPECT_EQ(watched.after(4, {2, 0}).rescue, Slots{0});
  watched.book.moved(0, watched.now);
  watched.after(4, {0, 1});
  EXPECT_EQ(watched.book.eligible(), (Bools{false, true})) << "its worker took nothing";
  watched.after(16, {0, 0});
  EXPECT_EQ(watched.book.eligible(), (Bools{true, true})) << "tried again";
  watched.after(4, {1, 0});
  EXPECT_EQ(watched.after(4, {1, 0}).rescue, Slots{0}) << "it is still blocked";
  EXPECT_TRUE(watched.book.may_be_moved(0));
  watched.book.moved(0, watched.now);
  watched.after(36, {0, 0});
  EXPECT_TRUE(watched.book.unsettled(watched.now)) << "after twice the time";
  watched.after(4, {0, 0});
  EXPECT_EQ(watched.book.eligible(), (Bools{true, true}));
  EXPECT_FALSE(watched.book.unsettled(watched.now));
}

TEST(SlotBook, WhatWaitsForAWorkerThatEndsAndStillAcceptsIsNotMovedUnasked) {
  Watched watched{2, kAdaptive, true};
  watched.book.retire(1, true);
  watched.after(4, {1, 0});
  EXPECT_FALSE(watched.book.may_be_moved(0));
  watched.book.vacate(1, true);
  EXPECT_TRUE(watched.book.may_be_moved(0));
}

TEST(SlotBook, SlotsOfLessWeightHaveLessOfAShare) {
  Watched watched{4};
  watched.book.set_weights({.of_slots = {4, 1, 0}});
  EXPECT_EQ(watched.book.shares(watched.now), (net::Shares{255, 64, 0, 64}));
  watched.book.vacate(1, true);
  EXPECT_EQ(watched.book.shares(watched.now), (net::Shares{0, 255, 0, 255})) << "beside the others";
  watched.book.vacate(2, true);
  watched.book.vacate(4, true);
  EXPECT_EQ(watched.book.shares(watched.now), (net::Shares{0, 0, 255, 0})) << "there is no other";
}

TEST(SlotBook, OneOfTheSharesIsWhole) {
  SlotBook book{kAdaptive};
  SlotBook::TimePoint now{};
  book.set_weights({.of_slots = {4, 1}});
  book.fill(0, 1, now);
  book.fill(1, 2, now);
  now += milliseconds{5000};
  book.vacate(1, true);
  book.fill(0, 3, now);
  EXPECT_EQ(book.shares(now), (net::Shares{64, 255})) << "4/16 and 1";
}

TEST(SlotBook, AWorkerThatComesWhileOthersServeStartsSlowly) {
  SlotBook book{kAdaptive};
  SlotBook::TimePoint now{};
  book.fill(0, 1, now);
  now += milliseconds{100};
  book.fill(1, 2, now);
  EXPECT_EQ(book.shares(now), (net::Shares{255, 255})) << "both are new";
  now += milliseconds{2000};
  book.fill(2, 3, now);
  EXPECT_EQ(book.shares(now), (net::Shares{255, 255, 16}));
  EXPECT_TRUE(book.unsettled(now));
  EXPECT_EQ(book.shares(now + milliseconds{500})[2], 128);
  EXPECT_EQ(book.shares(now + milliseconds{1000})[2], 255);
  book.set_weights({.of_slots = {}, .slow_start = milliseconds{0}});
  EXPECT_EQ(book.shares(now)[2], 255);
}

TEST(SlotBook, ConnectionsMoveFromASlotWhoseWorkerTakesNoneToOnesThatHaveNone) {
  Watched watched{3};
  EXPECT_EQ(watched.after(4, {0, 2, 0}).rescue, Slots{}) << "seen for the first time";
  const auto findings = watched.after(4, {0, 2, 1});
  EXPECT_EQ(findings.rescue, Slots{1});
  EXPECT_EQ(findings.probe, Workers{2});
  EXPECT_EQ(findings.targets, Workers{1});
  EXPECT_EQ(watched.book.eligible(), (Bools{true, false, true}));
}

TEST(SlotBook, AStuckSlotIsEmptiedUntilItsWorkerTurns) {
  Watched watched{2};
  watched.after(4, {0, 1});
  EXPECT_EQ(watched.after(4, {0, 1}).probe, Workers{2});
  const auto next = watched.after(4, {0, 3});
  EXPECT_EQ(next.rescue, Slots{1}) << "at once: what came before it was steered around";
  EXPECT_EQ(next.probe, Workers{}) << "asked once";
  watched.after(50, {0, 0});
  EXPECT_EQ(watched.book.eligible(), (Bools{true, false})) << "an empty queue is no sign of life";
  watched.book.turns(2);
  EXPECT_EQ(watched.book.eligible(), (Bools{true, true}));
  EXPECT_EQ(watched.after(4, {0, 1}).rescue, Slots{}) << "its time starts anew";
}

TEST(SlotBook, AWorkerThatCannotSayThatItTurnsIsTriedAgainAfterASecond) {
  Watched watched{2};
  for (int round = 0; round < 3; ++round) {
    watched.after(4, {0, 1});
    EXPECT_EQ(watched.after(4, {0, 1}).probe, Workers{2});
    watched.after(999, {0, 0});
    EXPECT_EQ(watched.book.eligible(), (Bools{true, false}));
    watched.after(1, {0, 0});
    EXPECT_EQ(watched.book.eligible(), (Bools{true, true}));
  }
}

TEST(SlotBook, AWorkerThatTakesSomeIsNotStuck) {
  Watched watched{2};
  for (unsigned length = 100; length > 0; --length)
    EXPECT_EQ(watched.after(4, {0, length}).rescue, Slots{});
}

TEST(SlotBook, NothingMovesWhileEveryWorkerIsBusy) {
  Watched watched{3};
  Workers asked;
  for (int i = 0; i < 10; ++i) {
    const auto findings = watched.after(10, {1, 5, 2});
    EXPECT_EQ(findings.rescue, Slots{});
    asked.insert(asked.end(), findings.probe.begin(), findings.probe.end());
  }
  EXPECT_EQ(asked, (Workers{1, 2, 3})) << "once";
  EXPECT_EQ(watched.book.eligible(), (Bools{true, true, true}));
}

TEST(SlotBook, WhileNoQueueIsEmptyOnlyAWorkerThatWasAskedIsStuck) {
  Watched watched{2};
  watched.after(4, {5, 5});
  EXPECT_EQ(watched.after(3, {4, 5}).probe, Workers{});
  const auto doubting = watched.after(1, {3, 5});
  EXPECT_EQ(doubting.probe, Workers{2});
  EXPECT_EQ(doubting.rescue, Slots{});
  const auto findings = watched.after(4, {2, 5});
  EXPECT_EQ(findings.rescue, Slots{1});
  EXPECT_EQ(findings.targets, Workers{1});
  EXPECT_EQ(findings.probe, Workers{}) << "it was asked";
  EXPECT_EQ(watched.book.eligible(), (Bools{true, false}));
}

TEST(SlotBook, AWorkerThatAnswersIsNotStuckHoweverLongItsQueue) {
  Watched watched{2};
  for (int i = 0; i < 20; ++i) {
    const auto findings = watched.after(4, {3, 5});
    EXPECT_EQ(findings.rescue, Slots{});
    for (const int worker : findings.probe) watched.book.turns(worker);
  }
}

TEST(SlotBook, NothingMovesToAWorkerThatRefuses) {
  Watched watched{2};
  watched.full = 1;
  watched.after(4, {0, 5});
  EXPECT_EQ(watched.after(10, {0, 5}).rescue, Slots{});
  watched.full = 0;
  EXPECT_EQ(watched.after(4, {0, 5}).rescue, Slots{1});
}

TEST(SlotBook, AShrinkingQueueIsASignOfLifeIfOnlyItsWorkerTakesFromIt) {
  for (const bool only : {false, true}) {
    Watched watched{2, kAdaptive, only};
    watched.after(4, {0, 5});
    watched.after(4, {0, 5});
    ASSERT_EQ(watched.book.eligible(), (Bools{true, false}));
    watched.after(1, {0, 4});
    EXPECT_EQ(watched.book.eligible(), (Bools{true, only}));
  }
}

TEST(SlotBook, TheQueueOfADeadWorkerMovesAtOnce) {
  Watched watched{2};
  watched.book.vacate(2, true);
  const auto findings = watched.after(4, {0, 7});
  EXPECT_EQ(findings.rescue, Slots{1});
  EXPECT_EQ(findings.probe, Workers{});
  EXPECT_EQ(findings.targets, Workers{1});
}

// One that was told to end may still accept what waits: nobody gets its slot meanwhile.
TEST(SlotBook, TheSlotOfARetiredWorkerIsFreeOnceItAcceptsNoMore) {
  Watched watched{2};
  watched.book.retire(2, true);
  EXPECT_EQ(watched.book.eligible(), (Bools{true, false}));
  EXPECT_EQ(watched.book.queue_of(2), 1u);
  EXPECT_EQ(watched.after(4, {0, 7}).rescue, Slots{1});
  watched.book.fill(2, 3);
  watched.book.vacate(2, true);
  EXPECT_EQ(watched.book.queue_of(2), std::nullopt);
  watched.book.fill(1, 4);
  EXPECT_EQ(watched.book.eligible(), (Bools{true, true, true}));
}

TEST(SlotBook, TheQueueOfTheOnlyWorkerWaitsForItsSuccessor) {
  Watched watched{1};
  watched.book.vacate(1, true);
  EXPECT_EQ(watched.after(4, {7}).rescue, Slots{});
  watched.book.fill(0, 2);
  EXPECT_EQ(watched.after(4, {7}).rescue, Slots{});
}

TEST(SlotBook, StickyConnectionsWaitForTheSuccessorThatIsExpected) {
  Watched watched{3, kSticky};
  watched.after(4, {0, 5, 0});
  EXPECT_EQ(watched.after(400, {0, 5, 0}).rescue, Slots{});
  watched.book.vacate(2, true);
  EXPECT_EQ(watched.book.eligible(), (Bools{true, true, true}));
  watched.book.vacate(3, false);
  EXPECT_EQ(watched.book.eligible(), (Bools{true, true, false})) << "nobody will come";
}

TEST(SlotBook, StickyConnectionsMoveAfterTheirTimeIfThereIsOne) {
  Watched watched{2, {.steer_around = false, .rescue_after = milliseconds{1000}}};
  watched.book.vacate(2, true);
  watched.after(1000, {0, 5});
  EXPECT_EQ(watched.after(999, {0, 6}).rescue, Slots{});
  EXPECT_EQ(watched.after(1, {0, 6}).rescue, Slots{1});
  EXPECT_EQ(watched.book.eligible(), (Bools{true, true})) << "its clients stay with it";
}

TEST(SlotBook, AFullWorkerIsAskedAtAFallingRate) {
  Watched watched{2};
  int asked = 0;
  for (int i = 0; i < 250; ++i) {
    const auto findings = watched.after(4, {3, 3});
    EXPECT_FALSE(findings.any_moves);
    for (const int worker : findings.probe) {
      ++asked;
      watched.book.turns(worker);
    }
  }
  EXPECT_LT(asked, 2 * 250 / 4) << "not at every other look";
  EXPECT_TRUE(watched.after(4, {3, 2}).any_moves);
  EXPECT_EQ(watched.after(8, {3, 2}).probe, (Workers{2})) << "it took one: its time starts anew";
}

// Workers 1 and 2, and 3, which is to replace 1.
struct Replacing : Watched {
  explicit Replacing(SlotBook::Rules rules = kAdaptive) : Watched{2, rules} { book.fill(0, 3); }
};

TEST(SlotBook, OfAWorkerAndItsSuccessorTheSlotHasTwoQueuesThatTakeTurns) {
  for (const auto& rules : {kAdaptive, kHash, kSticky}) {
    Replacing replacing{rules};
    SlotBook& book = replacing.book;
    EXPECT_EQ(book.queue_of(3), 2u);
    EXPECT_EQ(book.slots(), 2u);
    EXPECT_EQ(book.slot_of(2), book.slot_of(0));
    EXPECT_EQ(book.eligible(), (Bools{true, true, false})) << "the old one serves";
    book.retire(1, true);
    EXPECT_EQ(book.eligible(), (Bools{false, true, true}));
    book.vacate(1, true);
    EXPECT_EQ(book.eligible(), (Bools{false, true, true}));
    EXPECT_EQ(book.fill(0, 4), 0u) << "the first is free again";
    EXPECT_EQ(book.eligible(), (Bools{false, true, true}));
    book.retire(3, true);
    EXPECT_EQ(book.eligible(), (Bools{true, true, false}));
    EXPECT_EQ(book.size(), 3u);
  }
}

TEST(SlotBook, WhoIsHeldGetsNothingUntilItIsResumed) {
  for (const auto& rules : {kAdaptive, kHash, kSticky}) {
    Replacing replacing{rules};
    SlotBook& book = replacing.book;
    book.hold(1, true);
    EXPECT_EQ(book.eligible(), (Bools{false, true, true}));
    EXPECT_EQ(book.queue_of(1), 0u) << "its queue is its own";
    book.hold(1, false);
    EXPECT_EQ(book.eligible(), (Bools{true, true, false}));
    book.hold(1, true);
    book.vacate(3, true);
    book.hold(1, false);
    EXPECT_EQ(book.eligible(), (Bools{true, true, false})) << "its successor died";
    book.hold(1, true);
    book.retire(1, false);
    book.vacate(1, false);
    EXPECT_TRUE(book.eligible()[1]);
    EXPECT_EQ(book.fill(0, 4), 2u);
    EXPECT_EQ(book.fill(0, 5), 0u) << "who comes there is not held";
    book.vacate(4, true);
    EXPECT_EQ(book.eligible(), (Bools{true, true, false}));
  }
}

TEST(SlotBook, ASuccessorThatDiesGotNothing) {
  Replacing replacing{kSticky};
  replacing.book.vacate(3, true);
  EXPECT_EQ(replacing.book.eligible(), (Bools{true, true, false}));
  EXPECT_EQ(replacing.book.fill(0, 4), 2u);
  replacing.book.vacate(1, true);
  EXPECT_EQ(replacing.book.eligible(), (Bools{false, true, true})) << "the old one died";
}

TEST(SlotBook, WhatWaitsForTheLastOneOfASlotIsItsSuccessors) {
  Replacing replacing{kSticky};
  replacing.book.vacate(1, true);
  replacing.book.vacate(3, true);
  EXPECT_EQ(replacing.book.eligible(), (Bools{false, true, true})) << "it is awaited";
  EXPECT_EQ(replacing.book.fill(0, 4), 2u);
}

TEST(SlotBook, AnOldOneWhoseSuccessorIsNotThereYetKeepsItsClients) {
  Watched watched{2, kSticky};
  watched.book.retire(1, true);
  EXPECT_EQ(watched.book.eligible(), (Bools{true, true}));
  watched.book.fill(0, 3);
  EXPECT_EQ(watched.book.eligible(), (Bools{false, true, true}));
}

TEST(SlotBook, BothOfASlotHaveItsWeight) {
  Replacing replacing;
  replacing.book.set_weights({.of_slots = {1, 4}});
  EXPECT_EQ(replacing.book.shares({}), (net::Shares{64, 255, 0}));
  replacing.book.retire(1, true);
  EXPECT_EQ(replacing.book.shares({}), (net::Shares{0, 255, 64}));
}

TEST(SlotBook, NothingMovesToASuccessorBeforeItServes) {
  Replacing replacing;
  EXPECT_EQ(replacing.after(4, {0, 3, 0}).targets, (Workers{1}));
  replacing.book.retire(1, true);
  EXPECT_EQ(replacing.after(4, {0, 3, 0}).targets, (Workers{3}));
}

TEST(SlotBook, WhereClientsHaveSlotsWhatWaitsForAWorkerThatIsReplacedIsItsOwnOrItsHeirs) {
  Replacing replacing{kHash};
  replacing.book.retire(1, true);
  EXPECT_EQ(replacing.after(40, {3, 0, 0}).rescue, Slots{});
  EXPECT_EQ(replacing.book.heir(0), std::nullopt) << "it still takes them";
  replacing.book.vacate(1, true);
  EXPECT_EQ(replacing.after(40, {3, 0, 0}).rescue, Slots{});
  EXPECT_EQ(replacing.book.heir(0), 3);
  replacing.book.vacate(3, true);
  EXPECT_EQ(replacing.book.heir(0), std::nullopt);
  EXPECT_EQ(replacing.after(4, {3, 0, 0}).rescue, Slots{0}) << "as of any that died";
}

TEST(SlotBook, WhereNothingMovesWhatARetiredWorkerLeftHasAnHeirToo) {
  Replacing replacing{{.steer_around = true, .by_client = false, .rescue_after = {}}};
  replacing.book.vacate(1, true);
  EXPECT_EQ(replacing.book.heir(0), 3);
  Replacing moving;
  moving.book.vacate(1, true);
  EXPECT_EQ(moving.book.heir(0), std::nullopt) << "it moves to anybody";
  EXPECT_EQ(moving.after(4, {3, 0, 0}).rescue, Slots{0});
  EXPECT_FALSE(moving.book.may_be_moved(0)) << "what is half open there would be lost";
  moving.book.vacate(3, true);
  EXPECT_TRUE(moving.book.may_be_moved(0));
}

// Whatever happens: somebody is eligible, and connections move only from where they wait to where
// none do.
TEST(SlotBook, HoldsItsPromisesInAnyOrderOfEvents) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random{seed};
    const auto below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
    Watched watched{1, seed % 3 == 0 ? kSticky : kAdaptive};
    int last_worker = 1;
    for (int step = 0; step < 300; ++step) {
      const int worker = static_cast<int>(below(static_cast<unsigned>(last_worker))) + 1;
      switch (below(8)) {
        case 7:
          watched.book.hold(worker, below(2) == 0);
          break;
        case 0:
          watched.book.vacate(worker, below(2) == 0);
          break;
        case 1:
          watched.book.turns(worker);
          break;
        case 2:
          watched.book.retire(worker, below(2) == 0);
          break;
        case 3:
          if (watched.book.size() < 8) watched.book.fill(below(4), ++last_worker);
          break;
        default: {
          std::vector<unsigned> waiting(watched.book.size());
          for (auto& length : waiting) length = below(3);
          const auto findings = watched.after(static_cast<int>(below(10)), waiting);
          for (const auto slot : findings.rescue) EXPECT_GT(waiting[slot], 0u);
          const auto has_none = [&](int target) {
            return waiting[watched.book.queue_of(target).value()] == 0;
          };
          EXPECT_TRUE(std::all_of(findings.targets.begin(), findings.targets.end(), has_none) ||
                      std::none_of(findings.targets.begin(), findings.targets.end(), has_none));
          for (const int target : findings.targets)
            EXPECT_EQ(std::count(findings.rescue.begin(), findings.rescue.end(),
                                 watched.book.queue_of(target).value()),
                      0);
          EXPECT_TRUE(!findings.targets.empty() || findings.rescue.empty());
        }
      }
      const auto eligible = watched.book.eligible();
      std::vector<int> of_slot(watched.book.slots());
      for (std::size_t queue = 0; queue < eligible.size(); ++queue)
        if (eligible[queue]) ++of_slot[watched.book.slot_of(queue)];
      ASSERT_TRUE(std::all_of(of_slot.begin(), of_slot.end(), [](int n) { return n <= 1; }))
          << "seed " << seed << ", step " << step;
      ASSERT_NE(std::find(eligible.begin(), eligible.end(), true), eligible.end())
          << "seed " << seed << ", step " << step;
    }
  }
}

}  // namespace
}  // namespace cohort::cluster
