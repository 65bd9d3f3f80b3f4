#include "cli/import_procfile.h"

#include <gtest/gtest.h>

#include "cli/config_file.h"
#include "cli/import_toml.h"

namespace cohort::cli {
namespace {

TEST(ImportProcfile, HasAnApplicationOnEachLine) {
  const Imported all =
      import_procfile("# the shop\n\nweb: node server.js\r\nworker:  python3 jobs.py --fast \n");
  ASSERT_EQ(all.applications.size(), 2U);
  EXPECT_TRUE(all.remarks.empty());
  EXPECT_EQ(all.applications[0].name, "web");
  EXPECT_EQ(all.applications[0].program, "server.js");
  EXPECT_EQ(all.applications[1].name, "worker");
  EXPECT_EQ(all.applications[1].program, "python3");
  EXPECT_EQ(all.applications[1].args, (std::vector<std::string>{"jobs.py", "--fast"}));
  EXPECT_TRUE(all.applications[1].remarks.empty());
}

TEST(ImportProcfile, HasOneWorkerOfEachAndSaysSoOfTheWeb) {
  const Imported all = import_procfile("web: ./server\nclock: ./clock\n");
  ASSERT_EQ(all.applications.size(), 2U);
  for (const ImportedApplication& each : all.applications) {
    ASSERT_EQ(each.settings.size(), 1U);
    EXPECT_EQ(each.settings[0].key, "workers");
    EXPECT_EQ(each.settings[0].value, "1");
  }
  const std::string said = remarks_text(all);
  EXPECT_NE(said.find("cohort: [web] workers: 1, as a Procfile"), said.npos) << said;
  EXPECT_NE(said.find("cohort: [web] PORT: nobody sets it here, if"), said.npos) << said;
  EXPECT_EQ(said.find("[clock]"), said.npos) << said;
}

TEST(ImportProcfile, NamesWhatItLeavesOut) {
  const Imported all = import_procfile(
      "release: ./migrate --all\nno process\nweb: node a.js -p $PORT\nnothing: A=1\nweb: ./b\n",
      true);
  const std::string said = remarks_text(all);
  for (const char* part :
       {"cohort: release: left out: cohort runs what stays.", "reload`: ./migrate --all\n",
        "cohort: line 2: left out: it is not `name: command`: no process\n",
        "cohort: nothing: left out: there is no program in `A=1`\n", "cohort: .env: not read",
        "cohort: [web] PORT: nobody sets it here: add env",
        "cohort: [web] web: run through `sh -c`",
        "cohort: [web-2] name: `web` is there already, so it is `web-2`\n"})
    EXPECT_NE(said.find(part), said.npos) << part << " in\n" << said;
  EXPECT_EQ(all.applications.size(), 2U);
}

TEST(ImportProcfile, BecomesATextThatCohortReads) {
  const Imported all = import_procfile(
      "web: PORT=3000 node server.js\njob.s: x\njobs: cd a && b \"c\\d\" > 'e\xff\t'\n");
  const auto config = parse_config(toml_text(all, "Procfile"), "/srv/cohort.toml");
  ASSERT_FALSE(std::holds_alternative<ConfigProblem>(config))
      << std::get<ConfigProblem>(config).text;
  const auto& read = std::get<std::vector<RunOptions>>(config);
  ASSERT_EQ(read.size(), 2U) << "`job.s` is no name of a Procfile";
  EXPECT_EQ(read[0].program, "server.js");
  EXPECT_EQ(read[0].workers, 1U);
  EXPECT_EQ(read[0].env.at("PORT"), "3000");
  EXPECT_EQ(read[1].args,
            (std::vector<std::string>{"-c", "cd a && b \"c\\d\" > 'e\xef\xbf\xbd\t'"}));
}

}  // namespace
}  // namespace cohort::cli
