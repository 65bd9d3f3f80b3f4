#include "cli/sim.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace cohort::cli {
namespace {

SimOptions sim_options(const std::vector<std::string>& words) {
  auto parsed = parse_sim(words);
  const auto* answer = std::get_if<Answer>(&parsed);
  EXPECT_EQ(answer, nullptr) << answer->text;
  return answer != nullptr ? SimOptions{} : std::get<SimOptions>(parsed);
}

std::string sim(const std::vector<std::string>& words) { return timeline(sim_options(words)); }

std::ptrdiff_t lines_with(const std::string& text, const std::string& part) {
  std::ptrdiff_t count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++count;
  return count;
}

TEST(SimCommand, ReplacesWhoCrashesLaterAndLater) {
  EXPECT_EQ(sim({"-w", "1", "--crash-every", "7s", "--for", "22"}),
            "    0.000 s  worker 1 starts in slot 0\n"
            "    0.500 s  worker 1 listens\n"
            "    7.000 s  worker 1 exits with 1\n"
            "    7.100 s  worker 2 starts in slot 0\n"
            "    7.600 s  worker 2 listens\n"
            "   14.100 s  worker 2 exits with 1\n"
            "   14.300 s  worker 3 starts in slot 0\n"
            "   14.800 s  worker 3 listens\n"
            "   21.300 s  worker 3 exits with 1\n"
            "   21.700 s  worker 4 starts in slot 0\n"
            "in 22 s: 4 starts, 3 crashes; all served for 88.6 % of the time, one at least for "
            "88.6 %\n");
}

TEST(SimCommand, GivesUpWhereNobodyIsEverReady) {
  const std::string text = sim({"--ready-after", "9", "--crash-every", "0.2"});
  EXPECT_NE(text.find("gives up: no worker was ever ready (exit code 111)\n"), std::string::npos);
  EXPECT_NE(text.find("all served for 0.0 %"), std::string::npos) << text;
}

TEST(SimCommand, ClosesSlotsOfWorkersThatExitWith100) {
  const std::string text = sim({"--crash-every", "1", "--exit-code", "100"});
  EXPECT_EQ(lines_with(text, "starts in slot"), 2) << text;
  EXPECT_NE(text.find("every slot is closed: the service ends (exit code 100)\n"),
            std::string::npos);
}

TEST(SimCommand, UndoesAReloadWhoseWorkersCrash) {
  const std::string text = sim({"-w", "3", "--reload-at", "5", "--next-crash-every", "2"});
  EXPECT_NE(text.find("generation 2 is undone: one of its workers died\n"), std::string::npos);
  EXPECT_EQ(lines_with(text, " serves again"), 3) << text;
  EXPECT_EQ(lines_with(text, "worker 1 has ended"), 0) << text;
}

TEST(SimCommand, UndoesAReloadThatIsNotReadyInTime) {
  const std::string text =
      sim({"--reload-at", "2", "--next-ready-after", "90", "--ready-within", "10"});
  EXPECT_NE(text.find("   12.000 s  generation 2 is undone: one of its workers was not ready in "
                      "time\n"),
            std::string::npos)
      << text;
}

TEST(SimCommand, ParksWhomAReloadReplaced) {
  const std::string text = sim({"--reload-at", "5", "--prove", "1", "--park", "3"});
  EXPECT_NE(text.find("generation 2 is reached: every place has it\n"), std::string::npos);
  EXPECT_EQ(lines_with(text, " is parked"), 2) << text;
  EXPECT_EQ(lines_with(text, " is asked to end"), 2) << text;
}

TEST(SimCommand, TriesAnotherBackOff) {
  const std::string text = sim({"-w", "1", "--crash-every", "2", "--policy", "backoff=1s..3s"});
  for (const char* start : {"    3.000 s  worker 2 starts", "    7.000 s  worker 3 starts",
                            "   12.000 s  worker 4 starts", "   17.000 s  worker 5 starts"})
    EXPECT_NE(text.find(start), std::string::npos) << start << " in:\n" << text;
}

TEST(SimCommand, TriesAnotherTimeOfHealth) {
  const auto last_start = [](const char* policy) {
    const std::string text =
        sim({"-w", "1", "--crash-every", "5", "--for", "20", "--policy", policy});
    return text.substr(text.find("worker 4 starts") - 13, 9);
  };
  EXPECT_EQ(last_start(""), "   15.700");
  EXPECT_EQ(last_start("healthy=4"), "   15.300") << "100 ms each time";
}

TEST(SimCommand, GivesUpAfterAsManyTriesAsItIsTold) {
  const auto starts = [](const char* policy) {
    return lines_with(
        sim({"-w", "1", "--ready-after", "9", "--crash-every", "1", "--policy", policy}),
        "starts in slot");
  };
  EXPECT_EQ(starts(""), 5);
  EXPECT_EQ(starts("tries=2"), 2);
}

TEST(SimCommand, ReplacesSoManyAtATimeAsItIsTold) {
  const auto of_first_batch = [](const char* policy) {
    return lines_with(sim({"-w", "4", "--reload-at", "5", "--policy", policy}),
                      "    5.000 s  worker ");
  };
  EXPECT_EQ(of_first_batch(""), 1);
  EXPECT_EQ(of_first_batch("canary=50%"), 2);
  EXPECT_EQ(lines_with(sim({"-w", "4", "--reload-at", "5", "--policy", "batch=3"}),
                       "    5.500 s  worker "),
            5)
      << "one listens, one is held, and three start";
  const std::string text = sim({"-w", "4", "--reload-at", "5", "--policy", "max-surge=1 batch=4"});
  EXPECT_EQ(lines_with(text, "is asked to end"), 4) << text;
  EXPECT_LT(text.find("is asked to end"), text.find("worker 6 starts")) << "makes room:\n" << text;
}

TEST(SimCommand, KillsWhoTakesLongerThanTheGraceTimeToEnd) {
  const std::string text =
      sim({"-w", "1", "--reload-at", "1", "--ends-after", "60", "--policy", "grace=3 prove=1"});
  EXPECT_NE(text.find("worker 1 has not ended in time, and is killed\n"), std::string::npos)
      << text;
}

TEST(SimCommand, AnOptionCountsBeforeThePolicy) {
  EXPECT_EQ(sim_options({"--prove", "9", "--policy", "prove=1 park=2"}).reload.prove.count(), 9000);
  EXPECT_EQ(sim_options({"--prove", "9", "--policy", "prove=1 park=2"}).reload.park.count(), 2000);
}

TEST(SimCommand, AsJsonIsALineForEach) {
  EXPECT_EQ(sim({"-w", "1", "--json", "--for", "1"}),
            R"({"at":0,"event":"starts","text":"worker 1 starts in slot 0","worker":1})"
            "\n"
            R"({"at":0.5,"event":"listens","text":"worker 1 listens","worker":1})"
            "\n");
}

TEST(SimCommand, SaysWhatIsWrong) {
  const std::pair<std::vector<std::string>, const char*> wrongs[] = {
      {{"--crash-every", "x"}, "cohort: --crash-every takes seconds, from 0 to 86400; not `x`\n"},
      {{"--for", "-1"}, "cohort: --for takes seconds"},
      {{"--for", "nan"}, "cohort: --for takes seconds"},
      {{"-w", "0"}, "cohort: --workers takes 1 to 100\n"},
      {{"--exit-code", "256"}, "cohort: --exit-code takes 0 to 255\n"},
      {{"--policy", "restart=3/60s"},
       "cohort: --policy has no `restart`; the nearest that there is"},
      {{"server.js"}, "cohort: "}};
  for (const auto& [words, text] : wrongs) {
    const auto parsed = parse_sim(words);
    const auto* answer = std::get_if<Answer>(&parsed);
    ASSERT_NE(answer, nullptr) << words.front();
    EXPECT_EQ(answer->code, kExitPermanent);
    EXPECT_TRUE(answer->text.starts_with(text)) << answer->text;
  }
}

}  // namespace
}  // namespace cohort::cli
