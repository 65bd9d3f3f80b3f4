// `cohort map` as people use it, in place of GNU parallel and `xargs -P`.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

using Lines = std::vector<std::string>;

struct Outcome {
  int code = -1;
  std::string out, err;
  std::string text() const { return std::to_string(code) + '\n' + out + err; }
};

std::ostream& operator<<(std::ostream& stream, const Outcome& outcome) {
  return stream << outcome.text();
}

class Map : public testing::Test {
 protected:
  // A shell's line, in which `map` is `cohort map`, in a folder of the test's own. The program is
  // that one, if the line is nothing else.
  std::unique_ptr<Program> start(const std::string& line, ProgramOptions options = {}) const {
    options.cwd = folder_.path();
    options.env.emplace_back("TMPDIR", folder_.path());
    return std::make_unique<Program>(
        Lines{"sh", "-c", "map() { exec \"$0\" map \"$@\"; }\n" + line, command()}, options);
  }
  Outcome run(const std::string& line) const {
    const auto program = start(line);
    const auto ended = program->wait_exit();
    if (!ended) return {-1, program->output(), program->errors()};
    return {ended->code.value_or(-1), program->output(), program->errors()};
  }
  // What it prints, in any order.
  Lines sorted(const std::string& line) const {
    const auto program = start(line);
    EXPECT_TRUE(program->exits_with(0)) << program->transcript();
    Lines lines = program->lines();
    std::sort(lines.begin(), lines.end());
    return lines;
  }
  std::string file(const std::string& name) const {
    std::ifstream stream{folder_.path() + '/' + name};
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
  }
  bool is_there(const std::string& name) const {
    return std::filesystem::exists(folder_.path() + '/' + name);
  }
  // Lines of a log behind its header, each cut at tabs.
  std::vector<Lines> log(const std::string& name) const {
    std::vector<Lines> all;
    std::istringstream stream{file(name)};
    std::string line;
    std::getline(stream, line);
    while (std::getline(stream, line)) {
      std::istringstream fields{line};
      Lines& one = all.emplace_back();
      for (std::string field; std::getline(fields, field, '\t');) one.push_back(field);
    }
    return all;
  }

  const TempDir folder_;
};

// --- what it works through

TEST_F(Map, RunsACommandForEachLineOfStdin) {
  EXPECT_EQ(sorted("printf 'a b\\nc\\n' | map echo got"), (Lines{"got a b", "got c"}));
  EXPECT_EQ(sorted("printf 'a\\nlast' | map echo"), (Lines{"a", "last"})) << "without a line end";
  EXPECT_EQ(sorted("map echo </dev/null"), Lines{});
}

TEST_F(Map, LinesMayEndOtherwise) {
  EXPECT_EQ(sorted("printf 'a\\nb\\0c\\0' | map -0 echo '<{}>'"), (Lines{"<a", "<c>", "b>"}));
  EXPECT_EQ(sorted("printf 'a,b' | map -d , echo"), (Lines{"a", "b"}));
  EXPECT_EQ(sorted("printf 'a\\tb' | map -d '\\t' echo"), (Lines{"a", "b"}));
}

TEST_F(Map, TakesFilesAndListsAndCombinesThem) {
  folder_.write("one", "1\n2\n");
  EXPECT_EQ(sorted("map -a one echo"), (Lines{"1", "2"}));
  EXPECT_EQ(sorted("map echo ::: a b"), (Lines{"a", "b"}));
  EXPECT_EQ(sorted("map -a one echo {2}{1} ::: a b"), (Lines{"a1", "a2", "b1", "b2"}));
  EXPECT_EQ(sorted("map echo ::: a b ::: x y"), (Lines{"a x", "a y", "b x", "b y"}));
  EXPECT_EQ(sorted("seq 2 | map -a - echo {2}{1} ::: a"), (Lines{"a1", "a2"}));
}

TEST_F(Map, CutsLinesIntoColumns) {
  EXPECT_EQ(sorted("printf 'a, 1\\nb,2\\n' | map --colsep ', *' echo {2}={1}"),
            (Lines{"1=a", "2=b"}));
}

TEST_F(Map, PutsSeveralLinesIntoAJob) {
  EXPECT_EQ(run("seq 7 | map -k -n 3 echo").out, "1 2 3\n4 5 6\n7\n");
  EXPECT_EQ(run("seq 10 | map -k -w 2 -X echo x{}").out, "x1 x2 x3 x4 x5\nx6 x7 x8 x9 x10\n");
  const Outcome many = run("seq 100000 | map -w 2 -X echo | wc -w");
  EXPECT_EQ(std::stoi(many.out), 100'000) << many;
}

TEST_F(Map, CutsStdinIntoBlocksForTheStdinOfJobs) {
  const Outcome counted =
      run("seq 1000000 | map --pipe wc -l | awk '{n += $1; ++jobs} END {print n, jobs}'");
  EXPECT_EQ(counted.out, "1000000 7\n") << "6.9 MB in blocks of 1 MB; " << counted;
  EXPECT_EQ(run("seq 1000000 | map --pipe -k cat | cksum").out, run("seq 1000000 | cksum").out);
  EXPECT_EQ(
      run("seq 400000 >lines; map --pipe --block 2M -a lines 'wc -l; echo {#}' | sort -n | tail -1")
          .code,
      0);
  EXPECT_EQ(run("printf 'a\\nb' | map --pipe 'cat | tr a-z A-Z'").out, "A\nB");
  EXPECT_EQ(run("map --pipe cat </dev/null").out, "");
  EXPECT_EQ(run("printf abc | map --pipe --retries 2 'tee -a seen; test $(wc -c <seen) = 6'").out,
            "abc");
}

TEST_F(Map, AnInputThatIsNotReadHoldsUpNobody) {
  EXPECT_EQ(run("seq 1000000 | map --pipe true").code, 0);
}

TEST_F(Map, BeginsBeforeItsInputEnds) {
  const auto program = start("(echo first; read line <hold; echo second) | map echo");
  ASSERT_EQ(::mkfifo((folder_.path() + "/hold").c_str(), 0600), 0);
  EXPECT_TRUE(program->wait_for_line("first")) << program->transcript();
}

TEST_F(Map, AnInputThatNeverEndsIsNotReadIntoMemory) {
  const auto program = start("yes | map echo | head -n 300; :");
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  EXPECT_EQ(program->count("y"), 300);
  EXPECT_TRUE(program->leaves_no_process());
}

// --- an argument is one argument

TEST_F(Map, AnArgumentNeverBecomesACommand) {
  const std::string bad =
      "printf '%s\\0' 'a b' '; touch bad' '$(touch bad)' '`touch bad`' "
      "'\"; touch bad; \"' \"'; touch bad; '\" '-n' '*' '' 'new\nline' | ";
  const std::string expected =
      "<a b>\n<; touch bad>\n<$(touch bad)>\n<`touch bad`>\n"
      "<\"; touch bad; \">\n<'; touch bad; '>\n<-n>\n<*>\n<>\n<new\nline>\n";
  EXPECT_EQ(run(bad + "map -0k printf '<%s>\\n'").out, expected);
  for (const char* text :
       {"printf \"<%s>\\n\" {} | cat", "printf \"<%s>\\n\" \"{}\" | cat",
        "printf \"<%s>\\n\" '\\''{}'\\'' | cat", "printf \"<%s>\\n\" \"$(printf %s {})\" | cat"})
    EXPECT_EQ(run(bad + "map -0k '" + text + "'").out, expected) << text;
  EXPECT_FALSE(is_there("bad"));
}

TEST_F(Map, AShellIsThereOnlyWhereItIsNeeded) {
  EXPECT_EQ(run("map 'sh -c true' ::: ''").code, 0);
  EXPECT_EQ(run("map -k 'cat /proc/$PPID/comm; :' ::: x").out, "cohort\n");
  EXPECT_EQ(run("map 'cat /proc/self/status' ::: /dev/null | grep -c PPid").out, "1\n");
  EXPECT_EQ(run("map -k 'cd / && pwd; echo {}' ::: x").out, "/\nx\n");
}

// --- what is printed

TEST_F(Map, KeepsTheOrderIfItIsToldTo) {
  EXPECT_EQ(run("map -k -w 3 'sleep 0.{}; echo {}' ::: 4 1 2").out, "4\n1\n2\n");
  EXPECT_EQ(run("map -w 3 'sleep 0.{}; echo {}' ::: 9 1").out, "1\n9\n");
}

TEST_F(Map, OnATerminalItKeepsTheOrderAndShowsABar) {
  ProgramOptions terminal;
  terminal.terminal = true;
  const auto program = start("map -w 2 'sleep 0.{}; echo {}' ::: 4 1", terminal);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  const std::string out = program->output();
  EXPECT_NE(out.find("/2 ["), std::string::npos) << out;
  EXPECT_LT(out.rfind("4\r\n"), out.rfind("1\r\n")) << out;
}

TEST_F(Map, OutputsOfJobsAreNeverMixed) {
  const Outcome outcome = run("seq 8 | map -w 8 'for i in 1 2 3; do echo {}; sleep 0.01; done'");
  EXPECT_EQ(outcome.code, 0);
  std::istringstream lines{outcome.out};
  int count = 0;
  for (std::string first, second, third;
       std::getline(lines, first) && std::getline(lines, second) && std::getline(lines, third);
       ++count)
    EXPECT_TRUE(first == second && second == third) << outcome;
  EXPECT_EQ(count, 8);
}

TEST_F(Map, HalfALineOfOneThatDiesIsEnded) {
  EXPECT_EQ(run("map -k 'printf half{}; kill -9 $$' ::: 1 2").out, "half1\nhalf2\n");
  EXPECT_EQ(run("map -k printf %s ::: a b c").out, "abc") << "as it was written, if it went well";
}

TEST_F(Map, StderrGoesToStderrAndTagsNameTheJob) {
  const Outcome outcome = run("map -k --tag 'echo out; echo more; echo bad >&2' ::: 'a b' c");
  EXPECT_EQ(outcome.out, "a b\tout\na b\tmore\nc\tout\nc\tmore\n");
  EXPECT_EQ(outcome.err, "a b\tbad a b\nc\tbad c\n");
}

TEST_F(Map, AJobThatWritesVeryMuchIsPrintedAsAWhole) {
  const Outcome outcome =
      run("map -k 'head -c 300000000 /dev/zero' ::: /dev/null /dev/null | wc -c");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_GE(std::stoll(outcome.out), 600'000'000);
}

TEST_F(Map, WritesResultsIntoFilesBelowItsDirectory) {
  const Outcome outcome = run("map -k --results res/deep 'echo {} >&2; echo out' ::: a ../x . ''");
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_EQ(outcome.out, "out\nout\nout\nout\n");
  EXPECT_EQ(file("res/deep/1/a/stderr"), "a\n");
  EXPECT_EQ(file("res/deep/1/..\\_x/stderr"), "../x\n");
  EXPECT_EQ(file("res/deep/1/.\\/stderr"), ".\n");
  EXPECT_EQ(file("res/deep/1/\\0/stdout"), "out\n");
}

TEST_F(Map, ADiskThatIsFullIsSaidAndEndsIt) {
  const auto program =
      std::make_unique<Program>(Lines{"unshare", "-m", "sh", "-c",
                                      "mkdir r && mount -t tmpfs -o nr_inodes=3 none r && exec "
                                      "\"$0\" map --results r echo ::: a b",
                                      command()},
                                ProgramOptions{.cwd = folder_.path()});
  const auto ended = program->wait_exit();
  ASSERT_TRUE(ended);
  if (program->errors().find("unshare:") != std::string::npos ||
      program->errors().find("mount:") != std::string::npos)
    GTEST_SKIP() << "no mount namespaces here";
  EXPECT_EQ(ended->code, 255) << program->transcript();
  EXPECT_NE(program->errors().find("no space left on device"), std::string::npos)
      << program->transcript();
}

TEST_F(Map, OnlyPrintsTheCommands) {
  EXPECT_EQ(run("map --dry-run 'gzip -c {} >{.}.gz' ::: 'a b.txt' c.txt").out,
            "gzip -c 'a b.txt' >'a b'.gz\ngzip -c c.txt >c.gz\n");
  EXPECT_EQ(run("map --dry-run touch ::: x").out, "touch x\n");
  EXPECT_FALSE(is_there("x"));
}

// --- how it ends

TEST_F(Map, TheCodeIsHowManyFailed) {
  EXPECT_EQ(run("map 'exit {}' ::: 0 0").code, 0);
  EXPECT_EQ(run("map 'exit {}' ::: 1 0 7").code, 2);
  EXPECT_EQ(run("seq 150 | map false").code, 101);
  const Outcome nobody = run("map /no/such/program ::: 1");
  EXPECT_EQ(nobody.code, 1);
  EXPECT_NE(nobody.err.find("job 1: spawn /no/such/program: no such file"), std::string::npos)
      << nobody;
}

TEST_F(Map, WordsThatMakeNoSenseAreSaid) {
  for (const auto& [line, said] : std::map<std::string, std::string>{
           {"map ::: a", "no command"},
           {"map -w 0 echo", "--workers takes 1 to 1024"},
           {"map --nope echo", "`--nope` is not an option of cohort map"},
           {"map --halt later echo", "now,fail=1"},
           {"map --timeout x echo", "--timeout takes seconds"},
           {"map --memfree 3x echo", "--memfree takes a size"},
           {"map --resume echo", "--joblog FILE"},
           {"map -u -k echo", "--ungroup"},
           {"map --pipe cat ::: a", "no :::"},
           {"map --block 2M cat", "--pipe"},
           {"map --pipe --block 1 cat", "--block takes a size"},
           {"map -d ab echo", "--delimiter takes one byte"},
           {"map --colsep '(' echo ::: a", "regular expression"},
           {"map -a nobody echo", "read nobody: no such file"}}) {
    const Outcome outcome = run(line);
    EXPECT_EQ(outcome.code, 255) << line;
    EXPECT_NE(outcome.err.find(said), std::string::npos) << line << '\n' << outcome;
    EXPECT_EQ(outcome.out, "");
  }
}

TEST_F(Map, HaltsAtTheFirstThatFailsAndEndsTheOthers) {
  const auto program = start(
      "map -w 2 --halt now,fail=1 'echo {} >>started; test {} = 2 && exit 7; "
      "sleep 1000' ::: 1 2 3 4");
  EXPECT_TRUE(program->exits_with(7)) << program->transcript();
  EXPECT_TRUE(program->leaves_no_process());
  EXPECT_EQ(file("started").find('4'), std::string::npos);
  EXPECT_EQ(run("map -w 1 --halt soon,fail=1 'echo {}; exit {}' ::: 0 5 0").out, "0\n5\n");
  EXPECT_EQ(run("map -w 1 --halt soon,success=1 'echo {}; exit {}' ::: 3 0 4").code, 0);
}

TEST_F(Map, TriesAJobThatFailsAgain) {
  const Outcome outcome =
      run("map --retries 3 'echo try; echo {} >>tries; test $(grep -c {} tries) = 3' ::: a");
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_EQ(outcome.out, "try\n") << "only of the last";
  EXPECT_EQ(file("tries"), "a\na\na\n");
  EXPECT_EQ(run("map --retries 2 'echo {} >>more; false' ::: b").code, 1);
  EXPECT_EQ(file("more"), "b\nb\n");
}

TEST_F(Map, WhatIsBehindAJobThatIsNotTriedAgainIsPrintedAtTheEnd) {
  const Outcome outcome =
      run("map -k -w 2 --retries 9 --halt soon,success=1 "
          "'test {} = b && sleep 0.2 && echo b && exit; echo a; exit 1' ::: a b");
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_NE(outcome.out.find("b\n"), std::string::npos) << outcome;
}

TEST_F(Map, AJobThatTakesTooLongIsEndedWithAllThatItStarted) {
  const auto program =
      start("map --timeout 0.2 'trap \"\" TERM; sleep 1000 & wait; sleep 1000' ::: a");
  EXPECT_TRUE(program->exits_with(1)) << program->transcript();
  EXPECT_TRUE(program->leaves_no_process());
  EXPECT_EQ(run("map --timeout 100 true ::: a").code, 0);
}

TEST_F(Map, WhomAJobLeavesBehindLivesOnAndIsNotWaitedFor) {
  const auto program = start("map 'sleep 1000 & echo $!' ::: a");
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  const pid_t left = std::stoi(program->output());
  EXPECT_EQ(::kill(left, 0), 0);
  ::kill(left, SIGKILL);
}

TEST_F(Map, WaitsBetweenStartsAndForMemoryAndLoad) {
  EXPECT_EQ(sorted("map --delay 50ms --memfree 1M --load 100000 echo ::: a b"), (Lines{"a", "b"}));
  const auto program = start("map --memfree 1000T echo ::: a");
  EXPECT_FALSE(program->wait_for_line("a", 1, milliseconds{300}));
  program->signal(SIGINT);
  EXPECT_TRUE(program->exits_with(130)) << program->transcript();
}

TEST_F(Map, WithTooFewDescriptorsOrProcessesFewerRunAtOnceAndAllRun) {
  const Outcome outcome =
      run("ulimit -n 40; map -k -w 30 --retries 1 'sleep 0.02; echo {}' ::: $(seq 60)");
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_EQ(outcome.out, run("seq 60; :").out) << outcome;
}

// --- signals

TEST_F(Map, OneSignalLetsThoseThatRunFinish) {
  const auto program = start("map -w 2 'touch at{}; read x <hold{}; echo done' ::: $(seq 100)");
  for (const char* name : {"/hold1", "/hold2"})
    ASSERT_EQ(::mkfifo((folder_.path() + name).c_str(), 0600), 0);
  ASSERT_TRUE(eventually("two jobs", [&] { return is_there("at1") && is_there("at2"); }));
  program->signal(SIGINT);
  EXPECT_TRUE(program->wait_for_error("no more jobs are started, 2 finish"))
      << program->transcript();
  for (const char* name : {"/hold1", "/hold2"}) std::ofstream{folder_.path() + name} << "go\n";
  EXPECT_TRUE(program->exits_with(130)) << program->transcript();
  EXPECT_EQ(program->count("done"), 2);
  EXPECT_FALSE(is_there("at3"));
}

TEST_F(Map, TwoSignalsEndThem) {
  const auto program = start("map -w 2 'touch at{}; sleep 1000; echo done' ::: $(seq 100)");
  ASSERT_TRUE(eventually("two jobs", [&] { return is_there("at1") && is_there("at2"); }));
  program->signal(SIGTERM);
  EXPECT_TRUE(program->wait_for_error("once more ends them")) << program->transcript();
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(143)) << program->transcript();
  EXPECT_TRUE(program->leaves_no_process());
}

TEST_F(Map, NothingOfAJobOutlivesOneThatIsKilled) {
  const auto program = start("map -w 4 'touch at{}; sleep 1000 | cat; echo done' ::: 1 2 3 4");
  ASSERT_TRUE(eventually("four jobs", [&] { return is_there("at4"); }));
  program->signal(SIGKILL);
  EXPECT_TRUE(program->leaves_no_process());
}

// --- the log

TEST_F(Map, LogsEachJobAsGnuParallelDoes) {
  EXPECT_EQ(run("map --joblog log 'printf 12345; exit {}' ::: 0 3").code, 1);
  EXPECT_TRUE(file("log").starts_with(
      "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"));
  std::set<std::string> codes;
  for (const Lines& job : log("log")) {
    ASSERT_EQ(job.size(), 9u);
    EXPECT_EQ(job[5], "5");
    codes.insert(job[0] + ' ' + job[6] + ' ' + job[8]);
  }
  EXPECT_EQ(codes, (std::set<std::string>{"1 0 printf 12345; exit 0", "2 3 printf 12345; exit 3"}));
}

TEST_F(Map, GoesOnWhereTheLogEnds) {
  EXPECT_EQ(run("map --joblog log 'test {} != b' ::: a b").code, 1);
  EXPECT_EQ(run("map -k --joblog log --resume echo ::: a b c d").out, "c\nd\n");
  EXPECT_EQ(run("map -k --joblog log --resume-failed echo ::: a b c d e").out, "b\ne\n");
  EXPECT_EQ(run("map -k --joblog log --resume-failed echo ::: a b c d e").out, "");
  EXPECT_EQ(run("map --joblog log echo ::: a").out, "a\n") << "without --resume it begins anew";
  EXPECT_EQ(log("log").size(), 1u);
}

// Killed again and again at any moment: what the log has never runs again, and in the end each job
// has run.
TEST_F(Map, AfterKillsNothingThatIsLoggedRunsAgainAndNothingIsForgotten) {
  constexpr int kJobs = 60;
  std::mt19937 random{20261201};
  const std::string line =
      "map -w 4 --joblog log --resume 'echo {} >>started; sleep 0.01' ::: "
      "$(seq " +
      std::to_string(kJobs) + ')';
  const auto starts = [&] {
    std::map<std::string, int> count;
    std::istringstream stream{file("started")};
    for (std::string number; std::getline(stream, number);) ++count[number];
    return count;
  };
  int kills = 0;
  for (bool finished = false; !finished && kills < 200; ++kills) {
    std::set<std::string> logged;
    for (const Lines& job : log("log"))
      if (job.size() == 9) logged.insert(job[0]);
    auto before = starts();
    const auto program = start(line);
    // Longer and longer, so that a slow machine comes to an end, too.
    const milliseconds time{std::uniform_int_distribution{1, 40 + 10 * kills}(random)};
    finished = program->wait_exit(time).has_value();
    program->signal(SIGKILL);
    ASSERT_TRUE(program->leaves_no_process());
    auto after = starts();
    for (const std::string& number : logged)
      ASSERT_EQ(before[number], after[number]) << "job " << number << " ran again";
  }
  EXPECT_GT(kills, 1);
  EXPECT_EQ(run(line).code, 0);
  EXPECT_EQ(starts().size(), static_cast<std::size_t>(kJobs));
  EXPECT_EQ(log("log").size(), static_cast<std::size_t>(kJobs)) << file("log");
}

}  // namespace
}  // namespace harness
