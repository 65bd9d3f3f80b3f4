#include "cli/options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "cli/help_page.h"
#include "cli/run_options.h"

namespace cohort::cli {
namespace {

using Arguments = std::vector<std::string>;

RunOptions run_options(const Arguments& arguments) {
  auto parsed = parse_command_line(arguments);
  if (const Answer* answer = std::get_if<Answer>(&parsed)) ADD_FAILURE() << answer->text;
  return std::get<RunOptions>(parsed);
}

Answer answer(const Arguments& arguments) {
  auto parsed = parse_command_line(arguments);
  if (std::holds_alternative<RunOptions>(parsed)) {
    ADD_FAILURE() << "was understood";
    return {};
  }
  return std::get<Answer>(parsed);
}

/// One clear line, and one that says what to do.
void expect_usage_error(const Arguments& arguments, const std::string& what) {
  const Answer said = answer(arguments);
  EXPECT_EQ(said.code, kExitPermanent) << said.text;
  EXPECT_EQ(said.text.rfind("cohort: " + what, 0), 0U) << said.text;
  EXPECT_LE(std::count(said.text.begin(), said.text.end(), '\n'), 2) << said.text;
  EXPECT_NE(said.text.find("cohort "), std::string::npos) << said.text;
}

TEST(CommandLine, AProgramAloneRunsOncePerCpu) {
  const RunOptions options = run_options({"run", "server.js"});
  EXPECT_EQ(options.program, "server.js");
  EXPECT_TRUE(options.args.empty());
  EXPECT_FALSE(options.workers);
  EXPECT_FALSE(options.policy);
  EXPECT_FALSE(options.json);
}

TEST(CommandLine, OptionsBeforeTheProgramAreOurs) {
  const RunOptions options = run_options({"run", "-w", "2", "-b", "shared", "--json", "server.js"});
  EXPECT_EQ(options.workers, 2U);
  EXPECT_EQ(options.policy, Policy::Shared);
  EXPECT_TRUE(options.json);
  EXPECT_EQ(options.program, "server.js");
}

TEST(CommandLine, OptionsAfterTheProgramAreItsOwn) {
  const RunOptions options = run_options(
      {"run", "-w", "2", "server.js", "--port", "3000", "-w", "9", "--json", "--help", "x"});
  EXPECT_EQ(options.workers, 2U);
  EXPECT_FALSE(options.json);
  EXPECT_EQ(options.program, "server.js");
  EXPECT_EQ(options.args, (Arguments{"--port", "3000", "-w", "9", "--json", "--help", "x"}));
}

TEST(CommandLine, ADoubleDashEndsOurOptions) {
  const RunOptions options = run_options({"run", "-w", "2", "--", "-odd-name", "-w", "9"});
  EXPECT_EQ(options.program, "-odd-name");
  EXPECT_EQ(options.args, (Arguments{"-w", "9"}));
}

TEST(CommandLine, ADoubleDashAfterTheProgramIsTheProgramsOwn) {
  const RunOptions options = run_options({"run", "npm", "run", "serve", "--", "--port", "1"});
  EXPECT_EQ(options.program, "npm");
  EXPECT_EQ(options.args, (Arguments{"run", "serve", "--", "--port", "1"}));
}

TEST(CommandLine, ADoubleDashAfterTheDoubleDashIsTheProgramsOwn) {
  const RunOptions options = run_options({"run", "--", "prog", "--", "x"});
  EXPECT_EQ(options.program, "prog");
  EXPECT_EQ(options.args, (Arguments{"--", "x"}));
}

TEST(CommandLine, AnEmptyArgumentOfTheProgramStays) {
  EXPECT_EQ(run_options({"run", "prog", "", "x"}).args, (Arguments{"", "x"}));
}

TEST(CommandLine, TheProgramMayHaveTheNameOfACommand) {
  EXPECT_EQ(run_options({"run", "run", "run"}).program, "run");
}

TEST(CommandLine, ArgumentsThatLookLikeListsOrQuotesStayAsTheyAre) {
  const Arguments odd{"[a,b]", "\"q\"", "a=b", "{}", "%%", "-", "--x=[1]"};
  EXPECT_EQ(run_options({"run", "prog", "[a,b]", "\"q\"", "a=b", "{}", "%%", "-", "--x=[1]"}).args,
            odd);
}

TEST(CommandLine, AutoMeansOnePerCpu) {
  EXPECT_FALSE(run_options({"run", "-w", "auto", "p"}).workers);
  EXPECT_FALSE(run_options({"run", "--workers=auto", "p"}).workers);
}

TEST(CommandLine, ANumberMayBeJoinedToItsOption) {
  EXPECT_EQ(run_options({"run", "-w4", "p"}).workers, 4U);
  EXPECT_EQ(run_options({"run", "--workers=4", "p"}).workers, 4U);
}

TEST(CommandLine, PoliciesHaveNodesNamesToo) {
  EXPECT_EQ(run_options({"run", "-b", "round-robin", "p"}).policy, Policy::RoundRobin);
  EXPECT_EQ(run_options({"run", "-b", "rr", "p"}).policy, Policy::RoundRobin);
  EXPECT_EQ(run_options({"run", "--balance", "none", "p"}).policy, Policy::Shared);
}

TEST(CommandLine, TakesEveryPolicyByItsName) {
  for (const Policy policy : {Policy::Auto, Policy::Adaptive, Policy::Hash, Policy::Sticky,
                              Policy::RoundRobin, Policy::Shared})
    EXPECT_EQ(run_options({"run", "-b", to_string(policy), "p"}).policy, policy);
}

TEST(CommandLine, AddressesToListenOnAreRepeatedAndOfSeveralForms) {
  const RunOptions options =
      run_options({"run", "--listen", "8000", "--listen", "localhost:1", "--listen=[::1]:2",
                   "--listen", ":3", "--listen", "*:4", "--listen", "./a.sock", "p", "8001"});
  EXPECT_EQ(options.listen, (std::vector<Address>{{"", 8000},
                                                  {"localhost", 1},
                                                  {"::1", 2},
                                                  {"", 3},
                                                  {"", 4},
                                                  Address::from_path("./a.sock")}));
  EXPECT_EQ(options.program, "p");
  EXPECT_EQ(options.args, Arguments{"8001"});
  EXPECT_TRUE(run_options({"run", "p"}).listen.empty());
}

TEST(CommandLine, MistakesAreOneClearLineAndAHint) {
  for (const char* address : {"", "here", "here:", "1:2:3", "65536", "-1", "[::1", "::1:2"})
    expect_usage_error({"run", "--listen", address, "p"}, "--listen takes");
  expect_usage_error({"run", "--listen", "8000", "-b", "rr", "p"}, "--listen is for programs");
  expect_usage_error({"run", "--listen"}, "--listen needs a value");
  expect_usage_error({}, "no command");
  expect_usage_error({"rnu", "server.js"}, "`rnu` is not a command");
  expect_usage_error({"--colour"}, "`--colour` is not an option");
  expect_usage_error({"run", "-w", "2"}, "no program");
  expect_usage_error({"run", "-w", "2", "--"}, "no program");
  expect_usage_error({"run", ""}, "no program");
  expect_usage_error({"run", "--colour", "p"}, "`--colour` is not an option");
  expect_usage_error({"run", "-x", "p"}, "`-x` is not an option");
  expect_usage_error({"run", "-w"}, "-w needs a value");
  expect_usage_error({"run", "-w", "0", "p"}, "-w takes");
  expect_usage_error({"run", "-w", "1025", "p"}, "-w takes");
  expect_usage_error({"run", "-w", "-1", "p"}, "-w takes");
  expect_usage_error({"run", "-w", "many", "p"}, "-w takes");
  expect_usage_error({"run", "-w", "4x", "p"}, "-w takes");
  expect_usage_error({"run", "-w", "99999999999999999999", "p"}, "-w takes");
  expect_usage_error({"run", "-w", "", "p"}, "-w takes");
  expect_usage_error({"run", "-b", "fair", "p"}, "-b takes auto, adaptive,");
  expect_usage_error({"run", "-w", "1", "-w", "2", "p"}, "-w is given twice");
  expect_usage_error({"run", "--json=maybe", "p"}, "--json");
}

TEST(CommandLine, RunWithoutAProgramIsForThoseOfTheConfiguration) {
  EXPECT_EQ(run_options({"run"}).program, "");
  const RunOptions options = run_options({"run", "--config", "a.toml", "--only", "shop"});
  EXPECT_EQ(options.config, "a.toml");
  EXPECT_EQ(options.only, "shop");
  expect_usage_error({"run", "--only", "shop", "server.js"}, "--config and --only are for");
  expect_usage_error({"run", "--only", "../x"}, "--only takes the name of an application");
}

TEST(CommandLine, WorkersHaveLimitsOfMemoryAndAge) {
  for (const auto& [text, size] :
       {std::pair{"512M", 512ULL << 20}, std::pair{"2G", 2ULL << 30},
        std::pair{"2048K", 2ULL << 20}, std::pair{"1048576", 1ULL << 20}})
    EXPECT_EQ(run_options({"run", "--max-memory", text, "p"}).max_memory, size) << text;
  for (const char* wrong :
       {"", "M", "0M", "1K", "12X", "1MB", "-1M", "99999999T", "99999999999999999999"})
    expect_usage_error({"run", "--max-memory", wrong, "p"}, "--max-memory takes a size");
  EXPECT_EQ(run_options({"run", "--max-age", "3600", "p"}).max_age, std::chrono::hours{1});
  for (const char* wrong : {"", "0", "-1", "1h"})
    expect_usage_error({"run", "--max-age", wrong, "p"}, "--max-age takes seconds");
}

TEST(CommandLine, TheStackOfAWorkerThatHangsIsNativeOrOfJavaScript) {
  EXPECT_FALSE(run_options({"run", "--kill-hung", "30", "p"}).js_stack);
  EXPECT_TRUE(run_options({"run", "--kill-hung", "30", "--hung-stack", "js", "p"}).js_stack);
  EXPECT_FALSE(run_options({"run", "--hung-stack", "native", "p"}).js_stack);
  for (const char* wrong : {"", "JS", "both"})
    expect_usage_error({"run", "--kill-hung", "30", "--hung-stack", wrong, "p"},
                       "--hung-stack takes native or js");
  expect_usage_error({"run", "--hung-stack", "js", "p"},
                     "--hung-stack is of a worker that --kill-hung kills");
}

TEST(CommandLine, WorkersHaveALimitOfRequests) {
  EXPECT_EQ(run_options({"run", "--max-requests", "10000", "p"}).max_requests, 10'000U);
  EXPECT_EQ(run_options({"run", "p"}).max_requests, std::nullopt);
  for (const char* wrong : {"", "0", "-1", "1k", "1.5", "1000000000001"})
    expect_usage_error({"run", "--max-requests", wrong, "p"}, "--max-requests takes a number");
}

TEST(CommandLine, ASecondSizeOfMaxMemoryIsTheOneToBeKilledWith) {
  const RunOptions both = run_options({"run", "--max-memory", "512M,1G", "p"});
  EXPECT_EQ(both.max_memory, std::uint64_t{512} << 20);
  EXPECT_EQ(both.kill_memory, std::uint64_t{1} << 30);
  EXPECT_EQ(run_options({"run", "--max-memory", "512M", "p"}).kill_memory, std::nullopt);
  for (const char* wrong : {"512M,", "512M,512M", "512M,1K", "512M,1G,2G"})
    expect_usage_error({"run", "--max-memory", wrong, "p"},
                       "--max-memory takes a second size that is larger than the first");
}

TEST(CommandLine, APortThatNobodyServesHoldsConnectionsForAWhileOrRefusesThem) {
  EXPECT_FALSE(run_options({"run", "p"}).when_empty);
  EXPECT_FALSE(run_options({"run", "--when-empty", "hold", "p"}).when_empty);
  EXPECT_EQ(run_options({"run", "--when-empty", "hold=5", "p"}).when_empty,
            std::chrono::seconds{5});
  EXPECT_EQ(run_options({"run", "--when-empty", "hold=0.5s", "p"}).when_empty,
            std::chrono::milliseconds{500});
  EXPECT_EQ(run_options({"run", "--when-empty", "refuse", "p"}).when_empty,
            std::chrono::seconds{0});
  for (const char* wrong : {"", "5", "hold=", "hold=0", "hold=x", "hold=5m", "refuse=1"})
    expect_usage_error({"run", "--when-empty", wrong, "p"}, "--when-empty takes hold");
}

TEST(CommandLine, AnInterpreterOfOnesChoiceHasArguments) {
  const RunOptions options = run_options(
      {"run", "--interpreter", "python3.11", "--interpreter-args", "-u  -X dev", "app", "-u"});
  EXPECT_EQ(options.interpreter, "python3.11");
  EXPECT_EQ(options.interpreter_args, (std::vector<std::string>{"-u", "-X", "dev"}));
  EXPECT_EQ(options.args, (std::vector<std::string>{"-u"}));
  expect_usage_error({"run", "--interpreter", "", "p"}, "--interpreter takes a program");
  expect_usage_error({"run", "--interpreter-args", "-u", "p"},
                     "--interpreter-args is of no use without");
}

TEST(CommandLine, WorkersHaveADirectoryAndVariables) {
  const RunOptions options =
      run_options({"run", "--cwd", "/srv", "--env", "A=1", "--env", "B=x=y", "--env", "C=", "p"});
  EXPECT_EQ(options.cwd, "/srv");
  EXPECT_EQ(options.env, (std::map<std::string, std::string>{{"A", "1"}, {"B", "x=y"}, {"C", ""}}));
  for (const char* wrong : {"A", "=1", ""})
    expect_usage_error({"run", "--env", wrong, "p"}, "--env takes NAME=VALUE");
}

TEST(CommandLine, WorkersHaveAUserAndItsPrivileges) {
  const RunOptions options =
      run_options({"run", "--user", "shop", "--group=33", "--no-new-privs", "p", "--user", "root"});
  EXPECT_EQ(options.user, "shop");
  EXPECT_EQ(options.group, "33");
  EXPECT_TRUE(options.no_new_privs);
  EXPECT_EQ(options.args, (Arguments{"--user", "root"}));
  const RunOptions plain = run_options({"run", "p"});
  EXPECT_EQ(plain.user + plain.group, "");
  EXPECT_FALSE(plain.no_new_privs);
  EXPECT_FALSE(plain.env_only);
  for (const char* option : {"--user", "--group"})
    for (const char* wrong : {"", "a:b"})
      expect_usage_error({"run", option, wrong, "p"}, std::string{option} + " takes a name or a");
  expect_usage_error({"run", "--no-new-privs=maybe", "p"},
                     "--json, --watch, --no-preload, --no-new");
}

TEST(CommandLine, WorkersInheritTheseVariablesAlone) {
  const auto names = [](Arguments words) {
    words.insert(words.begin(), "run");
    words.emplace_back("p");
    return run_options(words).env_only;
  };
  EXPECT_EQ(names({"--env-only", "PATH,LANG", "--env-only", "TZ"}),
            (Arguments{"PATH", "LANG", "TZ"}));
  EXPECT_EQ(names({"--env-only", ""}), Arguments{}) << "none at all";
  for (const char* wrong : {",", "A,", ",A", "A,,B", "A=1", "A B"})
    expect_usage_error({"run", "--env-only", wrong, "p"}, "--env-only takes names of variables");
}

TEST(CommandLine, ProbesAreAnsweredWhereItSays) {
  const RunOptions options = run_options({"run", "--admin", "8081", "--min-ready=2", "--grace",
                                          "30", "--lame-duck", "27.5", "p", "--admin", "1"});
  EXPECT_EQ(options.admin, (Address{"", 8081}));
  EXPECT_EQ(options.min_ready, 2U);
  EXPECT_EQ(options.lame_duck, std::chrono::milliseconds{27500});
  EXPECT_EQ(options.args, (Arguments{"--admin", "1"}));
  EXPECT_EQ(run_options({"run", "--admin", "127.0.0.1:81", "p"}).admin, (Address{"127.0.0.1", 81}));
  EXPECT_EQ(run_options({"run", "--admin=[::1]:81", "p"}).admin, (Address{"::1", 81}));
  EXPECT_EQ(run_options({"run", "--admin", "/a.sock", "p"}).admin, Address::from_path("/a.sock"));
  EXPECT_EQ(run_options({"run", "--lame-duck", "0", "p"}).lame_duck.count(), 0);
  const RunOptions plain = run_options({"run", "p"});
  EXPECT_FALSE(plain.admin);
  EXPECT_FALSE(plain.min_ready);
  EXPECT_EQ(plain.lame_duck.count(), 0);
}

TEST(CommandLine, MistakesAboutProbesAreOneClearLineAndAHint) {
  for (const char* address : {"here", "0", "1:2:3", "65536", "::1:2"})
    expect_usage_error({"run", "--admin", address, "p"}, "--admin takes");
  for (const char* count : {"0", "-1", "1025", "all"})
    expect_usage_error({"run", "--admin", "1", "--min-ready", count, "p"}, "--min-ready takes");
  expect_usage_error({"run", "--min-ready", "1", "p"}, "--min-ready is for /readyz");
  for (const char* time : {"x", "-1", "0.01", "nan"})
    expect_usage_error({"run", "--lame-duck", time, "p"}, "--lame-duck takes seconds");
  expect_usage_error({"run", "--lame-duck", "25", "p"}, "--lame-duck is a part of");
  expect_usage_error({"run", "--lame-duck", "9", "--grace", "9", "p"}, "--lame-duck is a part of");
}

TEST(CommandLine, ANameThatLooksLikeAProgramIsToldAboutRun) {
  EXPECT_NE(answer({"server.js"}).text.find("cohort run server.js"), std::string::npos);
}

TEST(CommandLine, HelpIsAnAnswerOnStdout) {
  for (const Arguments& arguments :
       {Arguments{"--help"}, Arguments{"-h"}, Arguments{"help"}, Arguments{"run", "--help"},
        Arguments{"run", "-h"}, Arguments{"run", "-w", "2", "--help"}}) {
    const Answer said = answer(arguments);
    EXPECT_EQ(said.code, 0);
    EXPECT_EQ(said.text.rfind("Usage: cohort", 0), 0U);
    EXPECT_EQ(said.text.back(), '\n');
  }
}

TEST(CommandLine, TheHelpOfRunNamesEveryOptionAndFitsATerminal) {
  const std::string help = answer({"run", "--help"}).text;
  for (const char* word : {"-w, --workers", "-b, --balance", "--json", "-h, --help", "round-robin",
                           "shared", "auto", "Examples:", "PROGRAM", "cohort help run",
                           "--user NAME", "--group NAME", "--no-new-privs", "--env-only A,B"}) {
    EXPECT_NE(help.find(word), std::string::npos) << word;
  }
  for (std::size_t from = 0; from < help.size();) {
    const std::size_t end = help.find('\n', from);
    EXPECT_LE(end - from, 80U) << help.substr(from, end - from);
    from = end + 1;
  }
}

// Each command that `cohort --help` lists.
std::vector<std::string> all_commands() {
  std::vector<std::string> names;
  for (const HelpCommand& each : commands_of(parse_help(answer({"--help"}).text)))
    names.push_back(each.name);
  return names;
}

TEST(CommandLine, TheHelpOfEveryCommandFitsAScreen) {
  EXPECT_GT(all_commands().size(), 15U);
  for (const std::string& command : all_commands()) {
    const std::string help = answer({command, "--help"}).text;
    EXPECT_TRUE(help.starts_with("Usage: cohort " + command)) << help;
    // These have too many options for the 24 lines of old.
    const int lines = command == "run" || command == "map" ? 50 : 24;
    EXPECT_LE(std::count(help.begin(), help.end(), '\n'), lines) << help;
    const std::string all = answer({"help", command}).text;
    for (const std::string& text : {help, all}) {
      std::istringstream in{text};
      for (std::string line; std::getline(in, line);) EXPECT_LE(line.size(), 80U) << line;
    }
  }
}

TEST(CommandLine, EveryOptionInAHelpIsTaken) {
  for (const std::string& command : all_commands()) {
    if (command == "help" || command == "completion") continue;
    for (const HelpOption& option : parse_help(answer({"help", command}).text).options) {
      std::vector<std::string> words{command, option.name};
      if (!option.value.empty()) words.emplace_back("1");
      words.emplace_back("--help");
      EXPECT_EQ(answer(words).code, 0) << command << ' ' << option.name;
      if (option.letter.empty()) continue;
      words[1] = option.letter;
      EXPECT_EQ(answer(words).code, 0) << command << ' ' << option.letter;
    }
  }
}

TEST(CommandLine, TheHelpOfRunHasTheOptionsOfTheTableAndNoOthers) {
  const HelpPage page = parse_help(answer({"help", "run"}).text);
  for (const RunOption& option : run_option_table()) {
    const HelpOption* help = page.option(std::string{"--"} + option.name);
    ASSERT_NE(help, nullptr) << option.name;
    EXPECT_EQ(help->letter, option.letter);
    EXPECT_EQ(help->value.empty(), option.kind == RunOption::Kind::Flag) << option.name;
    EXPECT_EQ(help->prose().find("May be repeated") != std::string::npos,
              option.kind == RunOption::Kind::List)
        << option.name;
  }
  EXPECT_EQ(page.options.size(), run_option_table().size() + 2) << "--help and --version";
}

TEST(CommandLine, TheManPagesAndTheCompletionsAreAnswers) {
  EXPECT_EQ(answer({"help"}).text, answer({"--help"}).text);
  EXPECT_TRUE(answer({"help", "--man"}).text.starts_with(".TH COHORT 1 "));
  EXPECT_TRUE(answer({"help", "run", "--man"}).text.starts_with(".TH COHORT\\-RUN 1 "));
  const std::string config = answer({"help", "cohort.toml", "--man"}).text;
  EXPECT_TRUE(config.starts_with(".TH COHORT.TOML 5 ")) << config;
  EXPECT_NE(config.find("\\-\\-grace"), std::string::npos);
  EXPECT_EQ(config.find("\\-\\-only"), std::string::npos) << "it is no key";
  for (const char* shell : {"bash", "zsh", "fish"})
    EXPECT_EQ(answer({"completion", shell}).code, 0) << shell;
  expect_usage_error({"completion"}, "for which shell?");
  expect_usage_error({"completion", "tcsh"}, "for which shell?");
  expect_usage_error({"help", "rnu"}, "`rnu` is not a command");
  expect_usage_error({"help", "run", "stop"}, "one command at a time");
}

TEST(CommandLine, ADryRunNeedsNoProgramAndPrintsJson) {
  EXPECT_TRUE(run_options({"run", "--dry-run", "server.js"}).dry_run);
  EXPECT_TRUE(run_options({"run", "--dry-run"}).dry_run);
  EXPECT_TRUE(run_options({"run", "--dry-run", "--json"}).json);
  expect_usage_error({"run", "--json"}, "no program");
  expect_usage_error({"systemd", "--dry-run", "server.js"}, "--dry-run is for");
  expect_usage_error({"verify-reload", "--", "--dry-run", "server.js"}, "--dry-run behind --");
  const auto started = parse_command_line({"start", "--dry-run", "--json"});
  EXPECT_FALSE(std::get<StartOptions>(started).of_run) << "cohort.toml has the options";
  EXPECT_TRUE(std::get<StartOptions>(started).run.json);
}

TEST(CommandLine, TheVersionIsOneLine) {
  const Answer said = answer({"--version"});
  EXPECT_EQ(said.code, 0);
  EXPECT_EQ(said.text, "cohort " COHORT_VERSION "\n");
  for (const Arguments& arguments :
       {Arguments{"-V"}, Arguments{"run", "--version"}, Arguments{"run", "-w", "2", "-V"}}) {
    EXPECT_EQ(answer(arguments).text, said.text);
    EXPECT_EQ(answer(arguments).code, 0);
  }
  EXPECT_EQ(run_options({"run", "server.js", "--version"}).args, Arguments{"--version"});
}

}  // namespace
}  // namespace cohort::cli
