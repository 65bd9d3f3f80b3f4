#include <gtest/gtest.h>

#include <algorithm>

#include "cli/import.h"

namespace cohort::cli {
namespace {

ImportOptions import_of(std::vector<std::string> words) {
  words.insert(words.begin(), "import");
  auto parsed = parse_command_line(words);
  if (const Answer* said = std::get_if<Answer>(&parsed)) ADD_FAILURE() << said->text;
  return std::holds_alternative<ImportOptions>(parsed) ? std::get<ImportOptions>(parsed)
                                                       : ImportOptions{};
}
std::string import_answer(const std::vector<std::string>& words) {
  const auto parsed = parse_import(words);
  const auto* said = std::get_if<Answer>(&parsed);
  return said == nullptr ? "taken" : std::to_string(said->code) + ' ' + said->text;
}

TEST(ImportLine, NamesAFileOrNone) {
  EXPECT_EQ(import_of({}).file, "");
  EXPECT_EQ(import_of({}).output, "");
  const ImportOptions options =
      import_of({"--env", "production", "-o", "cohort.toml", "--force", "ecosystem.config.js"});
  EXPECT_EQ(options.file, "ecosystem.config.js");
  EXPECT_EQ(options.env, "production");
  EXPECT_EQ(options.output, "cohort.toml");
  EXPECT_TRUE(options.force);
}

TEST(ImportLine, ThatIsWrongIsAUsageError) {
  const std::vector<std::string> wrong[] = {{"a", "b"}, {"--no"}, {"-o"}, {"--force"}};
  for (const auto& words : wrong) {
    const std::string said = import_answer(words);
    EXPECT_TRUE(said.starts_with("100 cohort: ")) << said;
    EXPECT_TRUE(said.ends_with("\nTry: cohort import --help\n")) << said;
  }
}

TEST(ImportLine, ItsHelpFitsAScreen) {
  const std::string help = import_answer({"--help"});
  EXPECT_TRUE(help.starts_with("0 Usage: cohort import")) << help;
  EXPECT_LT(std::count(help.begin(), help.end(), '\n'), 24);
  for (const char* option : {"-o, --output", "--force", "--env", "-h, --help"})
    EXPECT_NE(help.find(option), help.npos) << option;
}

}  // namespace
}  // namespace cohort::cli
