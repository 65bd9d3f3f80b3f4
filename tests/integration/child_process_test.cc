// The examples of child processes, which are also C++ children that see their parent as
// `cluster.worker()`.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "harness/places.h"
#include "harness/program.h"

namespace harness {
namespace {

TEST(ChildResult, ComesBackInThreeWays) {
  Program program{{example("child_result")}};
  EXPECT_TRUE(program.exits_with(0));
  std::vector<std::string> lines = program.lines();
  std::sort(lines.begin(), lines.end());  // they run at the same time
  EXPECT_EQ(lines,
            (std::vector<std::string>{"exit code: 55", "message: { count: 500, answer: 41791750 }",
                                      "stdout: 42925"}))
      << program.transcript();
  EXPECT_EQ(program.errors(), "");
  EXPECT_TRUE(program.leaves_no_process());
}

TEST(StreamFile, OfAHundredMegabytesTakesConstantMemory) {
  const TempDir folder;
  const std::string in = folder.path() + "/in";
  const std::string out = folder.path() + "/out";
  constexpr std::size_t kSize = 100'000'000;
  {
    std::ofstream file{in, std::ios::binary};
    const std::string block(1'000'000, 'a');
    for (std::size_t i = 0; i < kSize / block.size(); ++i) file << block;
  }
  Program program{{example("stream_file"), in, out, "tr", "a", "b"}};
  EXPECT_TRUE(program.exits_with(0));
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  EXPECT_LT(usage.ru_maxrss, 90'000) << "KiB; the file has 97 656";
  EXPECT_EQ(program.lines(), std::vector<std::string>{"100000000 bytes in, 100000000 bytes out"})
      << program.transcript();
  std::ifstream file{out, std::ios::binary};
  std::string block(1'000'000, '\0');
  std::size_t size = 0;
  while (file.read(block.data(), static_cast<std::streamsize>(block.size()))) {
    ASSERT_EQ(block, std::string(block.size(), 'b'));
    size += block.size();
  }
  EXPECT_EQ(size, kSize);
}

TEST(StreamFile, SaysHowTheChildFailed) {
  const TempDir folder;
  const std::string in = folder.write("in", std::string(1'000'000, 'x'));
  Program program{{example("stream_file"), in, folder.path() + "/out", "sh", "-c", "exit 3"}};
  EXPECT_TRUE(program.exits_with(1));
  ASSERT_EQ(program.lines().size(), 2U) << program.transcript();
  EXPECT_TRUE(program.lines()[1].starts_with("sh exited with code 3")) << program.transcript();
}

TEST(PipelineTimeout, EndsAllOfThePipelineThatHangs) {
  Program program{{example("pipeline_timeout")}};
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(),
            (std::vector<std::string>{
                "271", "exec sleep 600 | cat: timed out (after 100 ms, killed with SIGTERM)"}))
      << program.transcript();
  EXPECT_TRUE(program.leaves_no_process());
}

TEST(KillTree, LeavesNone) {
  Program program{{example("kill_tree")}};
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(),
            (std::vector<std::string>{"killed 4 processes", "the shell was ended by SIGKILL",
                                      "none is left"}))
      << program.transcript();
  EXPECT_TRUE(program.leaves_no_process());
}

}  // namespace
}  // namespace harness
