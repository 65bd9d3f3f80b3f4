// The forms of the scripts. bash runs its own in tests/integration/command_test.cc; zsh and fish
// need not be there, so their scripts are only read here.
#include "cli/completion.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cohort::cli {
namespace {

std::vector<Completed> commands() {
  return {{"run", "Run it", parse_help(R"(Usage: cohort run [OPTION...] PROGRAM [ARG...]

Options:
  -w, --workers N|auto    How many workers.
      --cwd DIR           Where the workers' files are [all].
      --config FILE       Another one.
      --env NAME=VALUE    A variable: one. May be repeated.
      --watch             Watches.
)")},
          {"start", "Start it", parse_help(R"(Usage: cohort start [OPTION...] PROGRAM

Options:
      --log FILE          Where to.
      and those of `cohort run`
)")},
          {"stop", "Stop it: at once", parse_help(R"(Usage: cohort stop [NAME] [--json]

Options:
      --json              As JSON.
)")},
          {"verify", "Verify it", parse_help(R"(Usage: cohort verify [NAME]
       cohort verify -- PROGRAM

Options:
      --url URL           Which.
)")},
          {"completion", "Complete", parse_help("Usage: cohort completion bash|zsh|fish\n")},
          {"help", "Help", parse_help("Usage: cohort help [COMMAND]\n")}};
}

TEST(Completion, OfBashKnowsWhatEachCommandTakes) {
  const std::string script = bash_completion(commands());
  for (const char* line :
       {"    run) options='--workers --cwd --config --env --watch --' operands='program' ;;\n",
        "    start) options='--log --workers --cwd --config --env --watch --' operands='program' "
        ";;\n",
        "    stop) options='--json' operands='names' ;;\n",
        "    verify) options='--url --' operands='names-or-program' ;;\n",
        "    completion) options='' operands='bash zsh fish' ;;\n",
        "    help) options='' operands='run start stop verify completion help' ;;\n",
        "        -w | --workers | --cwd | --config | --env | --log | --url) ((i++)) ;;\n",
        "    -w | --workers) _cohort_reply 'auto' ;;\n", "    --config) compopt -o default ;;\n",
        "    --env) : ;;\n", "    --cwd) mapfile -t COMPREPLY < <(compgen -d -- \"$current\") ;;\n",
        "    _cohort_reply 'run start stop verify completion help --help --version'\n"})
    EXPECT_NE(script.find(line), std::string::npos) << line << '\n' << script;
}

TEST(Completion, OfZshKnowsWhatEachCommandTakes) {
  const std::string script = zsh_completion(commands());
  EXPECT_TRUE(script.starts_with("#compdef cohort\n"));
  for (const char* line :
       {"        'stop:Stop it\\: at once'\n",
        "        run)\n          _arguments -S -A '-*' : \\\n",
        "            '(-w --workers)'{-w+,--workers=}'[How many workers.]:N|auto:(auto)' \\\n",
        "            '--cwd=[Where the workers'\\'' files are \\[all\\].]:DIR:_files -/' \\\n",
        "            '--config=[Another one.]:FILE:_files' \\\n",
        "            '*--env=[A variable\\: one.]:NAME=VALUE: ' \\\n",
        "            '--watch[Watches.]' \\\n",
        "            '1:program:_files' '*::argument:_files' && ret=0\n",
        "            '1:application:_cohort_names' && ret=0\n",
        "            '1:word:(bash zsh fish)' && ret=0\n"})
    EXPECT_NE(script.find(line), std::string::npos) << line << '\n' << script;
}

TEST(Completion, OfFishKnowsWhatEachCommandTakes) {
  const std::string script = fish_completion(commands());
  const std::string begin = "complete -c cohort -n '";
  for (const std::string& line :
       {begin + "test (count (commandline -opc)) -eq 1' -a run -d 'Run it'\n",
        begin + "__cohort_options_of run' -s w -l workers -x -a 'auto' -d 'How many workers.'\n",
        begin + "__cohort_options_of start' -s w -l workers -x -a 'auto' -d 'How many workers.'\n",
        begin + "__cohort_options_of run' -l cwd -x -a '(__fish_complete_directories)' -d 'Where "
                "the workers\\' files are [all].'\n",
        begin + "__cohort_options_of start' -l log -r -F -d 'Where to.'\n",
        begin + "__cohort_options_of run' -l watch -d 'Watches.'\n",
        begin + "__cohort_is run' -F\n",
        begin + "__cohort_is stop' -a '(__cohort_names)' -d application\n",
        begin + "__cohort_is completion' -a 'bash zsh fish'\n",
        std::string{"            contains -- $argv[1] run start; and return 1\n"},
        std::string{"contains -- $word -w --workers --cwd --config --env --log --url\n"}})
    EXPECT_NE(script.find(line), std::string::npos) << line << '\n' << script;
}

TEST(Completion, NoMarkIsLeft) {
  for (const std::string& script :
       {bash_completion(commands()), zsh_completion(commands()), fish_completion(commands())})
    for (const char* mark : {"@names@", "@commands@", "@valued@", "@values@", "@programs@"})
      EXPECT_EQ(script.find(mark), std::string::npos) << mark;
}

}  // namespace
}  // namespace cohort::cli
