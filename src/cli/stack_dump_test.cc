#include "cli/stack_dump.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cohort::cli {
namespace {

TEST(StackDump, KeepsTheLinesOfThreadsAndFunctions) {
  const std::vector<std::string> gdb{
      "Thread 1 (Thread 0x7f1 (LWP 4711) \"node\"):",
      "#0  0x00007f in epoll_pwait () from /lib/libc.so.6",
      "#1  0x00005d in uv__io_poll ()",
  };
  EXPECT_EQ(stack_lines("[New LWP 4712]\nwarning: no symbols\n\n" + gdb[0] + '\n' + gdb[1] + '\n' +
                        gdb[2] + "\n[Inferior 1 (process 4711) detached]\n"),
            gdb);
  const std::vector<std::string> elfutils{"TID 4711:", "#0  0x00007f wait4"};
  EXPECT_EQ(
      stack_lines("/usr/bin/eu-stack\nPID 4711 - process\n" + elfutils[0] + '\n' + elfutils[1]),
      elfutils);
  EXPECT_TRUE(stack_lines("").empty());
  EXPECT_TRUE(stack_lines("sh: 1: gdb: not found").empty());
}

TEST(StackDump, KeepsFortyLines) {
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "#" + std::to_string(i) + "  f ()\n";
  EXPECT_EQ(stack_lines(deep).size(), 40U);
}

}  // namespace
}  // namespace cohort::cli
