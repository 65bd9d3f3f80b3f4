// `cohort map --serve`: programs that live on and answer line by line.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

// Answers `got LINE`; does what a line says.
constexpr const char* kServer = R"(
import os, sys, time
for line in sys.stdin:
    line = line.rstrip('\n')
    if line == 'die': os.kill(os.getpid(), 9)
    if line == 'die once' and not os.path.exists('died'):
        open('died', 'w').close()
        os.kill(os.getpid(), 9)
    if line == 'leave': sys.exit(0)
    if line == 'half': sys.stdout.write('half'); sys.stdout.flush(); os.kill(os.getpid(), 9)
    if line == 'hang': time.sleep(1000)
    if line == 'twice': print('more')
    print('got ' + line, flush=True)
)";

class MapServe : public testing::Test {
 protected:
  void SetUp() override { folder_.write("server.py", kServer); }
  std::unique_ptr<Program> start(const std::string& line) const {
    return std::make_unique<Program>(
        std::vector<std::string>{"sh", "-c", "map() { exec \"$0\" map --serve \"$@\"; }\n" + line,
                                 command()},
        ProgramOptions{.cwd = folder_.path()});
  }
  // What it prints, after the end with that code.
  std::string out(const std::string& line, int code = 0) const {
    const auto program = start(line);
    EXPECT_TRUE(program->exits_with(code)) << program->transcript();
    EXPECT_TRUE(program->leaves_no_process());
    return program->output();
  }

  const TempDir folder_;
};

TEST_F(MapServe, EachLineIsAnsweredByOneOfThem) {
  EXPECT_EQ(out("printf 'a\\nb\\nc' | map -k -w 2 python3 server.py"), "got a\ngot b\ngot c\n");
  EXPECT_EQ(out("seq 20000 | map -k -w 2 --window 7 python3 server.py | cksum"),
            out("seq 20000 | sed 's/^/got /' | cksum; :"));
  EXPECT_EQ(out("map python3 server.py </dev/null"), "");
  EXPECT_EQ(out("printf 'a\\n' | map --tag python3 server.py"), "a\tgot a\n");
}

TEST_F(MapServe, ALineIsAnsweredBeforeTheNextOneComes) {
  const auto program = start("(echo a; sleep 1000) | map python3 server.py");
  EXPECT_TRUE(program->wait_for_line("got a")) << program->transcript();
}

TEST_F(MapServe, OneThatWritesOnlyAtItsEndIsServedToo) {
  EXPECT_EQ(out("seq 5 | map -k -w 1 tr 1-5 a-e"), "a\nb\nc\nd\ne\n");
}

TEST_F(MapServe, OfOneThatDiesItsLineFailsAndNoOther) {
  const auto program =
      start("printf '1\\n2\\ndie\\n3\\n4\\nhalf\\n5\\n' | map -k -w 1 python3 server.py");
  EXPECT_TRUE(program->exits_with(2)) << program->transcript();
  EXPECT_EQ(program->output(), "got 1\ngot 2\ngot 3\ngot 4\ngot 5\n");
  const std::string errors = program->errors();
  EXPECT_NE(errors.find("line 3 (die): its worker died: killed by SIGKILL"), std::string::npos)
      << errors;
  EXPECT_NE(errors.find("line 6 (half): its worker died"), std::string::npos) << errors;
}

TEST_F(MapServe, AnyNumberOfLinesMayKillOnceOneWasAnswered) {
  const auto program =
      start("(echo 1; yes die | head -n 30; echo 2) | map -k -w 1 --window 1 python3 server.py");
  EXPECT_TRUE(program->exits_with(30)) << program->transcript();
  EXPECT_EQ(program->output(), "got 1\ngot 2\n");
}

TEST_F(MapServe, ALineIsTriedAgainIfThatIsAllowed) {
  EXPECT_EQ(out("printf '1\\ndie once\\n2\\n' | map -k --retries 2 python3 server.py"),
            "got 1\ngot die once\ngot 2\n");
}

TEST_F(MapServe, OneThatLeavesIsReplaced) {
  EXPECT_EQ(out("printf '1\\nleave\\n2\\n' | map -k -w 1 --window 1 python3 server.py", 1),
            "got 1\ngot 2\n");
}

TEST_F(MapServe, OneThatDoesNotAnswerInTimeIsEndedAndItsLineFails) {
  const auto program =
      start("printf '1\\nhang\\n2\\n' | map -k -w 1 --timeout 0.5 python3 server.py");
  EXPECT_TRUE(program->exits_with(1)) << program->transcript();
  EXPECT_EQ(program->output(), "got 1\ngot 2\n");
  EXPECT_NE(program->errors().find("line 2 (hang): no answer in time"), std::string::npos)
      << program->transcript();
}

TEST_F(MapServe, OneThatDoesNotFlushIsNamed) {
  const auto program = start("(echo 1; sleep 1000) | map -w 1 tr 1 a");
  EXPECT_TRUE(program->wait_for_error(
      "worker 1 \\(pid [0-9]+\\) has not answered for 10 s: it has to write a line for each"))
      << program->transcript();
}

TEST_F(MapServe, OneThatSaysMoreThanItWasAskedEndsItAll) {
  const auto program = start("seq 3 | map -w 1 yes");
  EXPECT_TRUE(program->exits_with(255)) << program->transcript();
  EXPECT_NE(program->errors().find("it has to write one line for each"), std::string::npos)
      << program->transcript();
  EXPECT_TRUE(program->leaves_no_process());
}

TEST_F(MapServe, AProgramThatNeverServesIsTheError) {
  const auto program = start("seq 100 | map false");
  EXPECT_TRUE(program->exits_with(255)) << program->transcript();
  EXPECT_NE(program->errors().find("ends again and again before it answers"), std::string::npos);
  const auto missing = start("seq 100 | map /no/such/program");
  EXPECT_TRUE(missing->exits_with(255)) << missing->transcript();
  EXPECT_NE(missing->errors().find("no such file"), std::string::npos);
}

TEST_F(MapServe, WhenNobodyReadsItsAnswersItEnds) {
  EXPECT_EQ(out("yes | map -w 2 python3 server.py | head -n 2"), "got y\ngot y\n");
}

TEST_F(MapServe, ASignalLetsItAnswerWhatItHasAndASecondEndsIt) {
  {
    const std::string fifo = folder_.path() + "/fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    std::fstream lines{fifo, std::ios::in | std::ios::out};
    const auto program = start("map -a fifo -w 1 python3 server.py");
    lines << "1\n" << std::flush;
    ASSERT_TRUE(program->wait_for_line("got 1")) << program->transcript();
    program->signal(SIGINT);
    EXPECT_TRUE(program->exits_with(130)) << program->transcript();
    EXPECT_TRUE(program->leaves_no_process());
  }
  folder_.write("lines", "1\nhang\n");
  const auto program = start("map -a lines -w 1 python3 server.py");
  ASSERT_TRUE(program->wait_for_line("got 1")) << program->transcript();
  program->signal(SIGTERM);
  EXPECT_TRUE(program->wait_for_error("no more lines are taken, 1 are answered"))
      << program->transcript();
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(143)) << program->transcript();
  EXPECT_TRUE(program->leaves_no_process());
}

TEST_F(MapServe, OptionsOfJobsDoNotGoWithIt) {
  for (const char* options :
       {"--pipe", "-n 2", "--joblog x", "--results x", "-u", "--halt now,fail=1"}) {
    const auto program = start(std::string{"map "} + options + " cat </dev/null");
    EXPECT_TRUE(program->exits_with(255)) << options;
    EXPECT_NE(program->errors().find("with --serve"), std::string::npos) << program->transcript();
  }
}

}  // namespace
}  // namespace harness
