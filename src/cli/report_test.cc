#include "cli/report.h"

#include <gtest/gtest.h>

#include <csignal>

namespace cohort::cli {
namespace {

using namespace std::chrono_literals;

const Address kAddress{"::", 3000};

std::vector<std::string> texts(const Narrator::Reports& reports) {
  std::vector<std::string> result;
  for (const Report& report : reports) result.push_back(report.text);
  return result;
}

using Texts = std::vector<std::string>;

/// Workers 1 to `count`, with pids 101 and so on, all listening.
Narrator running(unsigned count) {
  Narrator narrator{"server.js", count};
  for (int id = 1; id <= static_cast<int>(count); ++id) narrator.forked(id, 100 + id);
  for (int id = 1; id <= static_cast<int>(count); ++id) narrator.listening(id, kAddress);
  return narrator;
}

TEST(Url, AnyAddressAndLoopbackAreLocalhost) {
  EXPECT_EQ(url({"", 3000}), "http://localhost:3000");
  EXPECT_EQ(url({"::", 3000}), "http://localhost:3000");
  EXPECT_EQ(url({"0.0.0.0", 3000}), "http://localhost:3000");
  EXPECT_EQ(url({"127.0.0.1", 3000}), "http://localhost:3000");
  EXPECT_EQ(url({"::1", 3000}), "http://localhost:3000");
}

TEST(Url, OtherAddressesStayAndBracketsSurroundIpv6) {
  EXPECT_EQ(url({"192.168.1.2", 8080}), "http://192.168.1.2:8080");
  EXPECT_EQ(url({"fe80::1", 8080}), "http://[fe80::1]:8080");
}

TEST(Url, TheUsualPortIsNotNamed) {
  EXPECT_EQ(url({"", 80}), "http://localhost");
  EXPECT_EQ(url({"10.0.0.1", 80}), "http://10.0.0.1");
}

TEST(Url, AUnixSocketIsItsPath) {
  EXPECT_EQ(url(Address::from_path("/run/app.sock")), "/run/app.sock");
  EXPECT_EQ(url(Address::from_path(std::string{"\0app", 4})), "@app");
}

TEST(Narrator, TheFirstLineSaysWhatRunsAndHow) {
  const Report report = Narrator{"server.js", 4}.started(Policy::RoundRobin, 4711);
  EXPECT_EQ(report.text, "4 workers of server.js, round-robin (pid 4711)");
  EXPECT_EQ(report.event, "start");
  EXPECT_EQ(
      report.fields,
      (Value{{"program", "server.js"}, {"workers", 4}, {"policy", "round-robin"}, {"pid", 4711}}));
  EXPECT_EQ((Narrator{"x", 1}.started(Policy::Shared, 1).text), "1 worker of x, shared (pid 1)");
}

TEST(Narrator, AnAddressIsAnnouncedOnceAndThenThatAllAreUp) {
  Narrator narrator{"server.js", 2};
  EXPECT_TRUE(narrator.forked(1, 101).empty());
  EXPECT_TRUE(narrator.forked(2, 102).empty());
  EXPECT_FALSE(narrator.ever_listened());
  const auto first = narrator.listening(1, kAddress);
  EXPECT_EQ(texts(first), Texts{"listening on http://localhost:3000 (1 of 2 workers)"});
  EXPECT_EQ(first[0].fields["url"], "http://localhost:3000");
  EXPECT_EQ(first[0].fields["port"], Value(3000));
  EXPECT_TRUE(narrator.ever_listened());
  EXPECT_EQ(texts(narrator.listening(2, kAddress)), Texts{"all 2 workers listen"});
  EXPECT_TRUE(narrator.listening(2, kAddress).empty());
}

TEST(Narrator, OneWorkerNeedsNoCount) {
  Narrator narrator{"server.js", 1};
  narrator.forked(1, 101);
  EXPECT_EQ(texts(narrator.listening(1, kAddress)), Texts{"listening on http://localhost:3000"});
}

TEST(Narrator, EachAddressOfAProgramIsAnnounced) {
  Narrator narrator = running(2);
  EXPECT_EQ(texts(narrator.listening(1, {"::", 3001})),
            Texts{"listening on http://localhost:3001"});
  EXPECT_TRUE(narrator.listening(2, {"::", 3001}).empty());
}

TEST(Narrator, ADeathSaysWhyAndTheSuccessorSaysWhomItReplaces) {
  Narrator narrator = running(4);
  const auto died = narrator.exited(3, Exit::killed(SIGSEGV, true), false);
  EXPECT_EQ(texts(died), Texts{"worker 3 (pid 103) died: killed by SIGSEGV (core dumped)"});
  EXPECT_EQ(died[0].event, "died");
  EXPECT_EQ(died[0].tone, Tone::Bad);
  EXPECT_EQ(died[0].fields, (Value{{"worker", 3},
                                   {"pid", 103},
                                   {"code", nullptr},
                                   {"signal", "SIGSEGV"},
                                   {"core_dumped", true},
                                   {"listened", true}}));
  EXPECT_TRUE(narrator.forked(5, 105).empty());
  const auto replaced = narrator.listening(5, kAddress);
  EXPECT_EQ(texts(replaced), Texts{"worker 5 (pid 105) listens in place of worker 3"});
  EXPECT_EQ(replaced[0].event, "replaced");
  EXPECT_EQ(replaced[0].fields, (Value{{"worker", 5}, {"pid", 105}, {"replaces", 3}}));
}

TEST(Narrator, WhatTheDeadHadInFlightIsToldIfItIsKnown) {
  Narrator narrator = running(3);
  const auto two = narrator.exited(1, Exit::killed(SIGSEGV), false,
                                   WorkerLoad{.connections = 5, .in_flight = 2});
  EXPECT_EQ(texts(two), Texts{"worker 1 (pid 101) died: killed by SIGSEGV, with 2 connections in "
                              "flight"});
  EXPECT_EQ(two[0].fields["in_flight"], 2);
  const auto one =
      narrator.exited(2, Exit::exited(1), false, WorkerLoad{.connections = 5, .in_flight = 1});
  EXPECT_EQ(texts(one), Texts{"worker 2 (pid 102) died: exited with code 1, with 1 connection in "
                              "flight"});
  const auto none =
      narrator.exited(3, Exit::exited(1), false, WorkerLoad{.connections = 7, .in_flight = 0});
  EXPECT_EQ(texts(none), Texts{"worker 3 (pid 103) died: exited with code 1"});
  EXPECT_EQ(none[0].fields["in_flight"], 0);
}

TEST(Narrator, TheUsageOfTheDeadIsNotPartOfTheLine) {
  Narrator narrator = running(1);
  const Exit exit = Exit::exited(3).with_usage(1s, 1s, 1 << 20);
  EXPECT_EQ(texts(narrator.exited(1, exit, false)),
            Texts{"worker 1 (pid 101) died: exited with code 3"});
}

TEST(Narrator, TheKernelKillsForLackOfMemory) {
  Narrator narrator = running(1);
  const Exit exit = Exit::killed(SIGKILL).with_cause(ExitCause::OutOfMemory);
  EXPECT_EQ(texts(narrator.exited(1, exit, false)),
            Texts{"worker 1 (pid 101) died: killed by SIGKILL by the kernel, out of memory (the "
                  "limit of the cgroup, or the machine's)"});
}

TEST(Narrator, TheKernelKillsOneThatReachedItsOwnLimit) {
  Narrator narrator = running(1);
  narrator.limits_memory(1024 << 20);
  const Exit exit = Exit::killed(SIGKILL).with_cause(ExitCause::OutOfMemory);
  EXPECT_EQ(texts(narrator.exited(1, exit, false)),
            Texts{"worker 1 (pid 101) died: killed by SIGKILL by the kernel, out of memory (it may "
                  "have 1024 MB: --max-memory)"});
}

TEST(Narrator, WhyNoCgroupLimitsMemoryIsOneLine) {
  EXPECT_EQ(running(1).memory_not_limited("another process is in its cgroup").text,
            "no cgroup limits a worker's memory: another process is in its cgroup; --max-memory "
            "looks at it every 2 s (what to do: cohort doctor)");
}

TEST(Narrator, AWorkerThatNeverListenedIsSaidSo) {
  Narrator narrator = running(2);
  narrator.exited(1, Exit::exited(1), false);
  narrator.forked(3, 103);
  EXPECT_EQ(texts(narrator.exited(3, Exit::exited(1), false)),
            Texts{"worker 3 (pid 103) died before it listened: exited with code 1"});
  narrator.forked(4, 104);
  EXPECT_EQ(texts(narrator.listening(4, kAddress)),
            Texts{"worker 4 (pid 104) listens in place of worker 3"});
}

TEST(Narrator, WhenTwoAreDeadASuccessorClaimsNoPlace) {
  Narrator narrator = running(3);
  narrator.exited(1, Exit::exited(1), false);
  narrator.exited(2, Exit::exited(1), false);
  narrator.forked(4, 104);
  narrator.forked(5, 105);
  EXPECT_EQ(texts(narrator.listening(4, kAddress)), Texts{"worker 4 (pid 104) listens"});
  EXPECT_EQ(texts(narrator.listening(5, kAddress)), Texts{"worker 5 (pid 105) listens"});
}

TEST(Narrator, AProgramThatNeverListensIsReplacedAtTheFork) {
  Narrator narrator{"job", 1};
  narrator.forked(1, 101);
  EXPECT_EQ(texts(narrator.exited(1, Exit::exited(0), false)),
            Texts{"worker 1 (pid 101) ended: exited with code 0"});
  EXPECT_EQ(texts(narrator.forked(2, 102)),
            Texts{"worker 2 (pid 102) started in place of worker 1"});
}

TEST(Narrator, ASuccessorBesideItsWorkerIsKnownToReplaceIt) {
  Narrator narrator = running(2);
  narrator.forked(3, 103, 1);
  EXPECT_EQ(texts(narrator.listening(3, kAddress)),
            Texts{"worker 3 (pid 103) listens in place of worker 1"});
  narrator.exited(1, Exit::exited(0), true);
  narrator.exited(2, Exit::exited(1), false);
  narrator.forked(4, 104);
  EXPECT_EQ(texts(narrator.listening(4, kAddress)),
            Texts{"worker 4 (pid 104) listens in place of worker 2"})
      << "1 has a successor";
}

TEST(Narrator, ASuccessorThatDiesBesideItsWorkerLeavesNoEmptyPlace) {
  Narrator narrator = running(1);
  narrator.forked(2, 102, 1);
  narrator.exited(2, Exit::exited(1), false);
  narrator.reloaded({.outcome = RolloutResult::Outcome::RolledBack, .generation = 2});
  narrator.exited(1, Exit::exited(1), false);
  narrator.forked(3, 103);
  EXPECT_EQ(texts(narrator.listening(3, kAddress)),
            Texts{"worker 3 (pid 103) listens in place of worker 1"});
}

TEST(Narrator, AReloadSaysWhatIsDifferentAndHowItEnded) {
  using enum RolloutResult::Outcome;
  Narrator narrator = running(2);
  EXPECT_EQ(narrator.reloading(2, {}).text, "reloading: generation 2 of server.js");
  const Report report = narrator.reloading(3, {"directory /a -> /b"});
  EXPECT_EQ(report.text, "reloading: generation 3 of server.js; directory /a -> /b");
  EXPECT_EQ(report.fields, (Value{{"generation", 3},
                                  {"workers", 2},
                                  {"changed", Value::array({"directory /a -> /b"})}}));
  EXPECT_EQ(narrator.reloaded({.outcome = Reached, .generation = 3}).text,
            "reloaded: generation 3 serves; the workers before it end");
  const Report undone = narrator.reloaded({.outcome = RolledBack,
                                           .generation = 4,
                                           .worker = 9,
                                           .text = "worker 9: exited with code 1\nSyntaxError"});
  EXPECT_EQ(undone.event, "not_reloaded");
  EXPECT_EQ(undone.text,
            "not reloaded: worker 9: exited with code 1; the workers before it serve on");
  EXPECT_EQ(undone.lines, std::vector<std::string>{"SyntaxError"});
  EXPECT_EQ(undone.fields, (Value{{"generation", 4},
                                  {"outcome", "rolled-back"},
                                  {"worker", 9},
                                  {"why", "worker 9: exited with code 1"}}));
  EXPECT_EQ(narrator.reloaded({.outcome = Superseded, .generation = 5, .text = "another"}).text,
            "generation 5 is given up: another");
}

TEST(Narrator, SaysOfWhomTheRequestsAreNotKnown) {
  const Report report = running(2).hides_requests(2);
  EXPECT_EQ(report.text,
            "worker 2 does not tell how many requests it has answered, so --max-requests replaces "
            "none (docs/cohort-run.md#requests)");
  EXPECT_EQ(report.fields, (Value{{"code", "requests_not_told"}, {"worker", 2}}));
}

TEST(Narrator, SaysWhereAWorkerHangsAndWhyThatIsNoJavaScript) {
  const Narrator narrator = running(2);
  const manager::HangRule::Verdict verdict{.worker = 1, .time = std::chrono::seconds{30}};
  const Report shown = narrator.hangs(verdict, {"#0  spin (/srv/a.js:3:3)"});
  EXPECT_TRUE(shown.text.ends_with("; it is killed. It is here:")) << shown.text;
  EXPECT_EQ(shown.lines, std::vector<std::string>{"#0  spin (/srv/a.js:3:3)"});
  const Report native = narrator.hangs(verdict, {"#0  0x1 read"}, "it is no program of Node");
  EXPECT_EQ(native.lines, (std::vector<std::string>{"(no JavaScript: it is no program of Node)",
                                                    "#0  0x1 read"}));
  const Report neither = narrator.hangs(verdict, {}, "it is no program of Node");
  EXPECT_TRUE(neither.text.ends_with("; it is killed")) << neither.text;
  EXPECT_EQ(neither.lines.size(), 1U);
  EXPECT_EQ(narrator.is_debugged(1).fields, (Value{{"code", "debugged"}, {"worker", 1}}));
}

TEST(Narrator, ScalingChangesHowManyThereAre) {
  Narrator narrator = running(2);
  EXPECT_EQ(narrator.scaled(3).text, "from now on 3 workers");
  EXPECT_EQ(narrator.scaled(1).text, "from now on 1 worker");
}

TEST(Narrator, AWorkerThatLeavesOnPurposeDidNotDie) {
  Narrator narrator = running(2);
  const auto left = narrator.exited(2, Exit::exited(0), true);
  EXPECT_EQ(texts(left), Texts{"worker 2 (pid 102) left: exited with code 0"});
  EXPECT_EQ(left[0].event, "left");
  EXPECT_EQ(left[0].tone, Tone::Plain);
}

TEST(Narrator, ADrainIsOneLineAndItsExitsAreSilent) {
  Narrator narrator = running(3);
  EXPECT_EQ(narrator.stopping().text,
            "stopping: 3 workers finish what they serve (Ctrl-C again to stop at once)");
  EXPECT_TRUE(narrator.exited(1, Exit::exited(0), true).empty());
  EXPECT_TRUE(narrator.exited(2, Exit::killed(SIGTERM), true).empty());
  EXPECT_TRUE(narrator.exited(3, Exit::exited(143), true).empty());
  EXPECT_EQ(narrator.stopped().text, "stopped");
}

TEST(Narrator, ALameDuckSaysThatItServes) {
  Narrator narrator = running(3);
  const Report report = narrator.stopping_in(std::chrono::milliseconds{2500}, true);
  EXPECT_EQ(report.text,
            "stopping in 2.5 s: readiness fails, requests are still served (Ctrl-C again to stop "
            "at once)");
  EXPECT_EQ(report.event, "stopping_in");
  EXPECT_EQ(report.fields, (Value{{"seconds", 2.5}, {"workers", 3}}));
  EXPECT_EQ(narrator.stopping_in(std::chrono::seconds{10}, false).text,
            "stopping in 10 s: requests are still served (Ctrl-C again to stop at once)");
  EXPECT_EQ(texts(narrator.exited(1, Exit::killed(SIGTERM), false)),
            Texts{"worker 1 (pid 101) died: killed by SIGTERM"})
      << "nobody has told it to end";
}

TEST(Narrator, ADeathDuringTheDrainIsTold) {
  Narrator narrator = running(2);
  narrator.stopping();
  EXPECT_EQ(texts(narrator.exited(1, Exit::killed(SIGKILL), true)),
            Texts{"worker 1 (pid 101) was killed before it had finished"});
  EXPECT_EQ(texts(narrator.exited(2, Exit::killed(SIGSEGV), true)),
            Texts{"worker 2 (pid 102) died: killed by SIGSEGV"});
}

TEST(Narrator, ADeathBeforeAllAreUpDelaysThatLine) {
  Narrator narrator{"server.js", 2};
  narrator.forked(1, 101);
  narrator.forked(2, 102);
  narrator.listening(1, kAddress);
  narrator.exited(1, Exit::exited(1), false);
  EXPECT_TRUE(narrator.listening(2, kAddress).empty());
  narrator.forked(3, 103);
  EXPECT_EQ(texts(narrator.listening(3, kAddress)),
            (Texts{"worker 3 (pid 103) listens in place of worker 1", "all 2 workers listen"}));
}

TEST(Narrator, AWrapperIsNamedWithTheCommandToUseInstead) {
  const Narrator narrator{"npm start", 4};
  const PortHolder holder{
      .pid = 321, .port = 3000, .words = {"/usr/bin/node", "server.js"}, .directory = "/app"};
  const Report report = narrator.refused(holder, "/app");
  EXPECT_EQ(report.text,
            "npm start listens through a process of its own (pid 321: node server.js, port 3000), "
            "so its workers cannot share the port; run that program itself: cohort run server.js");
  EXPECT_EQ(report.event, "refused");
  EXPECT_EQ(report.fields, (Value{{"pid", 321},
                                  {"port", 3000},
                                  {"command", "node server.js"},
                                  {"suggestion", "cohort run server.js"}}));
}

TEST(Narrator, AWrapperOfSomethingThatCannotBeNamedIsExplainedAllTheSame) {
  const PortHolder holder{.pid = 1, .port = 2, .words = {"node"}};
  const Report report = Narrator{"npx serve", 1}.refused(holder, "/");
  EXPECT_NE(report.text.find("run that program itself"), std::string::npos);
  EXPECT_EQ(report.text.find("cohort run"), std::string::npos);
  EXPECT_FALSE(report.fields.contains("suggestion"));
}

TEST(Narrator, AProgramThatBindsByItselfIsToldWhoSharesPorts) {
  const Narrator narrator{"python3 -m http.server", 2};
  const PortHolder holder{.pid = 7, .port = 8000, .is_worker = true};
  EXPECT_EQ(narrator.refused(holder, "/").text,
            "python3 -m http.server binds port 8000 by itself (pid 7), so its workers cannot share "
            "it; ports are shared by Node programs, by programs that use cohort, and, with "
            "--listen, by those that take LISTEN_FDS. To run it alone: cohort run -w 1 python3 -m "
            "http.server");
  EXPECT_EQ(narrator.binds_by_itself(holder).text,
            "python3 -m http.server binds port 8000 by itself (pid 7): its workers are replaced "
            "when they die, but the port is not shared; ports are shared by Node programs, by "
            "programs that use cohort, and, with --listen, by those that take LISTEN_FDS");
}

TEST(Narrator, TellsOnceForEachAddressHowConnectionsComeToTheWorkers) {
  Narrator narrator{"x", 2};
  const auto reports = narrator.policy({"::", 80}, Policy::Adaptive, "to the shortest queue");
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].text, "http://localhost: adaptive, to the shortest queue");
  EXPECT_EQ(reports[0].fields["policy"], "adaptive");
  EXPECT_EQ(reports[0].fields["why"], "to the shortest queue");
  EXPECT_EQ(reports[0].fields["port"], 80);
  EXPECT_TRUE(narrator.policy({"::", 80}, Policy::Adaptive, "to the shortest queue").empty());
  EXPECT_EQ(narrator.policy(Address::from_path("/a"), Policy::RoundRobin, "why").size(), 1u);
}

TEST(Narrator, SaysWhyAPolicyIsTakenOnceForAllItsAddresses) {
  Narrator narrator{"server.js", 2};
  const auto text = [&](std::uint16_t port, Policy policy, std::string_view why) {
    const auto reports = narrator.policy({"", port}, policy, why);
    EXPECT_EQ(reports.front().fields["why"], why) << "each object is whole";
    return reports.front().text;
  };
  EXPECT_EQ(text(80, Policy::Adaptive, "by eBPF"), "http://localhost: adaptive, by eBPF");
  EXPECT_EQ(text(81, Policy::Adaptive, "by eBPF"), "http://localhost:81: adaptive");
  EXPECT_EQ(text(82, Policy::Shared, "by eBPF"), "http://localhost:82: shared, by eBPF");
  EXPECT_EQ(text(83, Policy::Adaptive, "at random"), "http://localhost:83: adaptive, at random");
}

TEST(Narrator, AStoppedWorkerIsNamedWithWhatLetsItGoOn) {
  const Narrator narrator = running(2);
  const auto stopped = narrator.stopped(102, SIGSTOP);
  EXPECT_EQ(texts(stopped), Texts{"worker 2 (pid 102) was stopped by SIGSTOP, and serves nothing "
                                  "until somebody continues it: kill -CONT 102"});
  EXPECT_EQ(stopped.front().fields, (Value{{"worker", 2}, {"pid", 102}, {"signal", "SIGSTOP"}}));
  EXPECT_EQ(texts(narrator.stopped(102, 0)), Texts{"worker 2 (pid 102) goes on"});
  EXPECT_EQ(texts(narrator.stopped(4711, SIGSTOP)), Texts{}) << "an orphan that it adopted";
}

TEST(Narrator, WhatWorkersLeftBehindIsListed) {
  const Report report = running(1).left_behind({"pid 7 (sleep 600)", "pid 8"});
  EXPECT_EQ(report.text, "ending what the workers left behind: pid 7 (sleep 600), pid 8");
  EXPECT_EQ(report.fields, (Value{{"processes", Value::array({"pid 7 (sleep 600)", "pid 8"})}}));
}

TEST(Narrator, APortThatAReloadHasLeftIsNamed) {
  const Report report = Narrator{"server.js", 2}.port_left(kAddress, 3);
  EXPECT_EQ(report.text,
            "nobody serves http://localhost:3000 any more: generation 3 does not listen there");
  EXPECT_EQ(report.fields, (Value{{"url", "http://localhost:3000"},
                                  {"host", "::"},
                                  {"port", 3000},
                                  {"code", "port_left"},
                                  {"generation", 3}}));
}

TEST(Narrator, SilenceIsExplained) {
  const Narrator narrator{"x", 1};
  EXPECT_EQ(narrator.silent(true).text,
            "x runs, but does not listen yet: its port opens when it calls listen()");
  EXPECT_NE(narrator.silent(false).text.find("has said nothing on Node's cluster channel"),
            std::string::npos);
}

TEST(Narrator, ANoticeIsAnAlarmUnlessAllGoesAsItShould) {
  Narrator narrator = running(1);
  EXPECT_EQ(narrator.notice({"accept_failed", "x", Value::object()}).tone, Tone::Bad);
  EXPECT_EQ(narrator.notice({"leaves", "x", {{"worker", 1}}}).tone, Tone::Plain);
  EXPECT_EQ(narrator.notice({"debuggers", "x", Value::object()}).tone, Tone::Plain);
}

TEST(Narrator, WhosePlaceIsClosedIsNotReplacedByTheNextOneThatIsStarted) {
  Narrator narrator = running(2);
  narrator.exited(1, Exit::exited(100), false);
  const Report closed =
      narrator.notice({"closed", "worker 1 is not started again", {{"worker", 1}}});
  EXPECT_EQ(closed.text, "worker 1 is not started again; `cohort reload` starts it again");
  EXPECT_EQ(closed.tone, Tone::Bad);
  narrator.exited(2, Exit::exited(1), false);
  narrator.forked(3, 103);
  EXPECT_EQ(texts(narrator.listening(3, kAddress)),
            Texts{"worker 3 (pid 103) listens in place of worker 2"});
}

TEST(Line, HasTheNameOfTheCommandInFront) {
  EXPECT_EQ(to_line({.event = "stop", .text = "stopped"}, false), "cohort: stopped\n");
}

TEST(Line, ColoursTheTextByItsTone) {
  EXPECT_EQ(to_line({.event = "", .text = "x", .tone = Tone::Bad}, true),
            "\x1b[2mcohort:\x1b[0m \x1b[31mx\x1b[0m\n");
  EXPECT_EQ(to_line({.event = "", .text = "x", .tone = Tone::Good}, true),
            "\x1b[2mcohort:\x1b[0m \x1b[32mx\x1b[0m\n");
  EXPECT_EQ(to_line({.event = "", .text = "x"}, true), "\x1b[2mcohort:\x1b[0m x\n");
}

TEST(Line, ControlCharactersOfAProgramsNameDoNotReachTheTerminal) {
  EXPECT_EQ(to_line({.event = "", .text = "a\x1b[31m\nb\x7f"}, false), "cohort: a?[31m?b?\n");
  EXPECT_EQ(to_line({.event = "", .text = "한글"}, false), "cohort: 한글\n");
}

TEST(JsonLine, HasTimeEventFieldsAndTheMessage) {
  const Report report{.event = "died", .text = "worker \"1\"", .fields = Value{{"worker", 1}}};
  EXPECT_EQ(to_json_line(report, "2026-01-02T03:04:05.678Z"),
            R"({"time":"2026-01-02T03:04:05.678Z","event":"died","worker":1,)"
            R"("message":"worker \"1\""})"
            "\n");
}

}  // namespace
}  // namespace cohort::cli
