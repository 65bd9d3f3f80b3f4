#include "cluster/worker_life.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace cohort::cluster {
namespace {

// What Node's documentation promises and its wire requires (the primary's side of `disconnect`,
// `exit` and `exitedAfterDisconnect`), written down cell by cell and not copied from the table.
//
// - "error" and "leave" alone for a process that never started: there is no exit event for it.
// - a worker that asked to end always gets its answer, else it hangs until the channel closes.
// - whoever is asked to end leaves `workers()` at once, and gets no connection any more.
// - "lose" on every way out of a connected state: what the worker held unanswered goes to others.
// - disconnect before exit, and exit even if the end of the channel was never seen.
constexpr const char* kExpectedStates = R"(
spawned       | said online       | online        | emit-online
spawned       | said listening    | listening     | emit-listening
spawned       | said exiting      | disconnecting | on-purpose release answer
spawned       | disconnect asked  | settling      | on-purpose release leave settle
spawned       | settled           | spawned       |
spawned       | channel closed    | disconnected  | lose emit-disconnect
spawned       | protocol violated | disconnected  | error kill lose close-channel emit-disconnect
spawned       | spawn failed      | dead          | error leave
spawned       | exited            | dead          | lose leave close-channel emit-disconnect emit-exit

online        | said online       | online        |
online        | said listening    | listening     | emit-listening
online        | said exiting      | disconnecting | on-purpose release answer
online        | disconnect asked  | settling      | on-purpose release leave settle
online        | settled           | online        |
online        | channel closed    | disconnected  | lose emit-disconnect
online        | protocol violated | disconnected  | error kill lose close-channel emit-disconnect
online        | spawn failed      | online        |
online        | exited            | dead          | lose leave close-channel emit-disconnect emit-exit

listening     | said online       | listening     |
listening     | said listening    | listening     | emit-listening
listening     | said exiting      | disconnecting | on-purpose release answer
listening     | disconnect asked  | settling      | on-purpose release leave settle
listening     | settled           | listening     |
listening     | channel closed    | disconnected  | lose emit-disconnect
listening     | protocol violated | disconnected  | error kill lose close-channel emit-disconnect
listening     | spawn failed      | listening     |
listening     | exited            | dead          | lose leave close-channel emit-disconnect emit-exit

settling      | said online       | settling      | emit-online
settling      | said listening    | settling      | emit-listening
settling      | said exiting      | disconnecting | answer
settling      | disconnect asked  | settling      | leave
settling      | settled           | disconnecting | send-disconnect
settling      | channel closed    | disconnected  | lose emit-disconnect
settling      | protocol violated | disconnected  | error kill lose close-channel emit-disconnect
settling      | spawn failed      | dead          | error leave
settling      | exited            | dead          | lose leave close-channel emit-disconnect emit-exit

disconnecting | said online       | disconnecting | emit-online
disconnecting | said listening    | disconnecting | emit-listening
disconnecting | said exiting      | disconnecting | answer
disconnecting | disconnect asked  | disconnecting | leave
disconnecting | settled           | disconnecting |
disconnecting | channel closed    | disconnected  | lose emit-disconnect
disconnecting | protocol violated | disconnected  | error kill lose close-channel emit-disconnect
disconnecting | spawn failed      | dead          | error leave
disconnecting | exited            | dead          | lose leave close-channel emit-disconnect emit-exit

disconnected  | said online       | disconnected  |
disconnected  | said listening    | disconnected  |
disconnected  | said exiting      | disconnected  |
disconnected  | disconnect asked  | disconnected  | on-purpose leave
disconnected  | settled           | disconnected  |
disconnected  | channel closed    | disconnected  |
disconnected  | protocol violated | disconnected  |
disconnected  | spawn failed      | disconnected  |
disconnected  | exited            | dead          | leave emit-exit

dead          | said online       | dead          |
dead          | said listening    | dead          |
dead          | said exiting      | dead          |
dead          | disconnect asked  | dead          |
dead          | settled           | dead          |
dead          | channel closed    | dead          |
dead          | protocol violated | dead          |
dead          | spawn failed      | dead          |
dead          | exited            | dead          |
)";

std::string words(std::uint16_t actions) {
  // In the order in which the primary carries them out.
  static const std::vector<std::pair<std::uint16_t, std::string>> words = {
      {kReportError, "error"},
      {kKill, "kill"},
      {kMarkOnPurpose, "on-purpose"},
      {kReleasePorts, "release"},
      {kLosePorts, "lose"},
      {kAnswerExiting, "answer"},
      {kLeaveWorkers, "leave"},
      {kSettle, "settle"},
      {kEmitOnline, "emit-online"},
      {kEmitListening, "emit-listening"},
      {kCloseChannel, "close-channel"},
      {kEmitDisconnect, "emit-disconnect"},
      {kEmitExit, "emit-exit"},
      {kSendDisconnect, "send-disconnect"}};
  std::string text;
  for (const auto& [bit, word] : words)
    if ((actions & bit) != 0) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

using Cell = std::pair<std::string, std::string>;

std::map<Cell, Cell> expected_table() {
  std::map<Cell, Cell> table;
  std::istringstream lines{kExpectedStates};
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    std::array<std::string, 4> fields;
    std::istringstream columns{line};
    for (auto& field : fields) {
      std::getline(columns, field, '|');
      field = trimmed(field);
    }
    EXPECT_TRUE(table.emplace(Cell{fields[0], fields[1]}, Cell{fields[2], fields[3]}).second)
        << line;
  }
  return table;
}

template <class Visit>
void for_each_cell(Visit visit) {
  for (int state = 0; state < kWorkerStates; ++state)
    for (int event = 0; event < kWorkerEvents; ++event)
      visit(static_cast<WorkerState>(state), static_cast<WorkerEvent>(event));
}

TEST(WorkerLife, EveryCellIsAsTheContractSays) {
  const auto expected = expected_table();
  ASSERT_EQ(expected.size(), std::size_t{kWorkerStates * kWorkerEvents});
  for_each_cell([&](WorkerState state, WorkerEvent event) {
    const auto found = expected.find({to_string(state), to_string(event)});
    ASSERT_NE(found, expected.end()) << to_string(state) << " / " << to_string(event);
    const WorkerStep got = step(state, event);
    EXPECT_EQ((Cell{to_string(got.next), words(got.actions)}), found->second)
        << to_string(state) << " / " << to_string(event);
  });
}

TEST(WorkerLife, ActionsAreNumberedInTheOrderInWhichTheyAreCarriedOut) {
  // A `disconnect` handler sees the worker gone from `workers()`; `exit` comes last of all.
  EXPECT_LT(kReportError, kKill);
  EXPECT_LT(kMarkOnPurpose, kLeaveWorkers);
  EXPECT_LT(kLeaveWorkers, kEmitDisconnect);
  EXPECT_LT(kEmitOnline, kEmitDisconnect);
  EXPECT_LT(kEmitListening, kEmitDisconnect);
  EXPECT_LT(kCloseChannel, kEmitDisconnect);
  EXPECT_LT(kEmitDisconnect, kEmitExit);
}

// Everything that can be known about a worker's past by looking at its events and actions.
struct Past {
  WorkerState state = WorkerState::Spawned;
  bool channel_ended = false;  // by either side
  bool disconnect_emitted = false;
  bool exit_emitted = false;
  bool failed_to_start = false;
  bool on_purpose = false;
  bool told = false;
  bool in_workers = true;

  friend bool operator<(const Past& a, const Past& b) { return a.key() < b.key(); }

 private:
  int key() const {
    int bits = static_cast<int>(state);
    for (const bool bit : {channel_ended, disconnect_emitted, exit_emitted, failed_to_start,
                           on_purpose, told, in_workers})
      bits = bits * 2 + (bit ? 1 : 0);
    return bits;
  }
};

bool can_happen(const Past& past, WorkerEvent event) {
  const bool started = past.state != WorkerState::Spawned && past.state != WorkerState::Settling &&
                       past.state != WorkerState::Disconnecting;
  if (past.state == WorkerState::Dead) return event == WorkerEvent::DisconnectAsked;
  if (event == WorkerEvent::Settled) return past.state == WorkerState::Settling;
  if (event == WorkerEvent::SpawnFailed) return !started;
  if (event == WorkerEvent::DisconnectAsked || event == WorkerEvent::Exited) return true;
  return !past.channel_ended;
}

void check_and_apply(Past& past, WorkerEvent event) {
  SCOPED_TRACE(std::string(to_string(past.state)) + " / " + to_string(event));
  const WorkerStep taken = step(past.state, event);
  const auto has = [&](std::uint16_t bits) { return (taken.actions & bits) != 0; };

  if (past.state == WorkerState::Dead) {
    EXPECT_EQ(taken.actions, 0);
    EXPECT_EQ(taken.next, WorkerState::Dead);
  }
  if (has(kEmitOnline | kEmitListening | kAnswerExiting | kSettle | kSendDisconnect)) {
    EXPECT_FALSE(past.channel_ended) << "nothing is heard from, or said to, a closed channel";
  }
  EXPECT_EQ(event == WorkerEvent::SaidExiting && !past.channel_ended, has(kAnswerExiting))
      << "it waits for the answer";
  if (has(kSettle)) {
    EXPECT_FALSE(past.on_purpose) << "it knows already";
  }
  EXPECT_FALSE(has(kSendDisconnect) && past.told) << "once";
  past.told = past.told || has(kSendDisconnect);
  EXPECT_FALSE(has(kEmitDisconnect) && past.disconnect_emitted) << "once";

  past.on_purpose = past.on_purpose || has(kMarkOnPurpose);
  past.in_workers = past.in_workers && !has(kLeaveWorkers);
  past.disconnect_emitted = past.disconnect_emitted || has(kEmitDisconnect);
  past.failed_to_start = past.failed_to_start || event == WorkerEvent::SpawnFailed;
  if (event == WorkerEvent::ChannelClosed || event == WorkerEvent::ProtocolViolated ||
      event == WorkerEvent::Exited) {
    EXPECT_EQ(has(kLosePorts), !past.channel_ended) << "whatever it held goes to others, once";
    EXPECT_TRUE(past.disconnect_emitted);
    past.channel_ended = true;
  }
  EXPECT_EQ(has(kEmitExit), event == WorkerEvent::Exited);
  EXPECT_EQ(has(kReportError),
            event == WorkerEvent::SpawnFailed || event == WorkerEvent::ProtocolViolated);
  if (event == WorkerEvent::DisconnectAsked && past.state != WorkerState::Dead) {
    EXPECT_TRUE(past.on_purpose);
    EXPECT_FALSE(past.in_workers);
  }
  if (taken.next == WorkerState::Dead) {
    EXPECT_FALSE(past.in_workers);
  }
  past.state = taken.next;
}

TEST(WorkerLife, EveryPossiblePastHasALegalOrderOfEventsAndEnds) {
  std::set<Past> seen;
  std::vector<Past> open{Past{}};
  std::set<WorkerState> reached;
  while (!open.empty()) {
    const Past past = open.back();
    open.pop_back();
    if (!seen.insert(past).second) continue;
    reached.insert(past.state);
    for (int i = 0; i < kWorkerEvents; ++i) {
      const auto event = static_cast<WorkerEvent>(i);
      if (!can_happen(past, event)) continue;
      Past after = past;
      check_and_apply(after, event);
      const bool ends = event == WorkerEvent::Exited || event == WorkerEvent::SpawnFailed;
      EXPECT_EQ(ends || past.state == WorkerState::Dead, after.state == WorkerState::Dead)
          << to_string(past.state) << " / " << to_string(event);
      open.push_back(after);
    }
  }
  EXPECT_EQ(reached.size(), std::size_t{kWorkerStates});
}

TEST(WorkerLife, AWorkerThatIsAskedToEndBeforeItFailedToStartIsStillReportedAndDead) {
  const auto asked = step(WorkerState::Spawned, WorkerEvent::DisconnectAsked);
  const auto failed = step(asked.next, WorkerEvent::SpawnFailed);
  EXPECT_EQ(failed.next, WorkerState::Dead);
  EXPECT_TRUE(failed.actions & kReportError);
  EXPECT_FALSE(failed.actions & kEmitExit);
}

TEST(WorkerLife, WhatADisconnectingWorkerHeldUnansweredIsLostToOthersWhenItClosesItsChannel) {
  const auto closed = step(WorkerState::Disconnecting, WorkerEvent::ChannelClosed);
  EXPECT_TRUE(closed.actions & kLosePorts);
}

TEST(WorkerLife, EveryStateAndEventHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int state = 0; state < kWorkerStates; ++state)
    names.insert(to_string(static_cast<WorkerState>(state)));
  EXPECT_EQ(names.size(), std::size_t{kWorkerStates});
  names.clear();
  for (int event = 0; event < kWorkerEvents; ++event)
    names.insert(to_string(static_cast<WorkerEvent>(event)));
  EXPECT_EQ(names.size(), std::size_t{kWorkerEvents});
}

}  // namespace
}  // namespace cohort::cluster
