#include "cli/stack_dump.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cohort::cli {
namespace {

TEST(StackDump, KeepsTheLinesOfFunctions) {
  const std::vector<std::string> functions{"#0  0x00007f in epoll_pwait () from /lib/libc.so.6",
                                           "#1  0x00005d in uv__io_poll ()"};
  EXPECT_EQ(stack_lines("[New LWP 4712]\nwarning: no symbols\n\n" + functions[0] + '\n' +
                        functions[1] + "\n[Inferior 1 (process 4711) detached]\n"),
            functions);
  EXPECT_EQ(stack_lines("/usr/bin/eu-stack\nPID 4711 - process\nTID 4711:\n" + functions[0] + '\n' +
                        functions[1]),
            functions);
  EXPECT_TRUE(stack_lines("").empty());
  EXPECT_TRUE(stack_lines("sh: 1: gdb: not found").empty());
}

TEST(StackDump, KeepsThirtyLinesThatFitAScreen) {
  std::string deep;
  for (int i = 0; i < 1000; ++i)
    deep += "#" + std::to_string(i) + "  f (" + std::string(500, 'x') + ")\n";
  const auto lines = stack_lines(deep);
  ASSERT_EQ(lines.size(), 30U);
  EXPECT_EQ(lines.back().size(), 160U);
}

}  // namespace
}  // namespace cohort::cli
