// What Node workers of `cohort run` are started with to end well is invisible to the program, and
// to all that it starts.
#include <string>
#include <vector>

#include "interop/endings.h"

namespace harness {
namespace {

class Preload : public testing::TestWithParam<const char*> {
 protected:
  // What environment.js says of itself, alone and as a worker: the same.
  void expect_the_same(const Variables& more) {
    const Words words{ending_worker("environment.js"), "--an-argument"};
    Service alone{GetParam()};
    alone.start_alone(words, more);
    service.start_workers(words, {.workers = 1, .env = more});
    // The last line; it may be read after that of stderr that says that it listens.
    for (Service* one : {&alone, &service})
      EXPECT_TRUE(one->program().wait_for_match("of a thread: .*"));
    EXPECT_EQ(service.said(), alone.said());
    EXPECT_EQ(service.program().errors().find("Warning"), std::string::npos)
        << service.program().transcript();
    service.program().signal(SIGTERM);
    EXPECT_TRUE(stopped_well(service.program()));
  }
  // A file with an unusual name that tells that it was loaded.
  std::string witness() const {
    return folder.write("a \"witness\" of ours.cjs",
                        "setImmediate(() => require('fs').writeSync(1, 'loaded with ' + "
                        "process.env.NODE_OPTIONS + '\\n'))");
  }

  const TempDir folder;
  Service service{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Of, Preload, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(Preload, LeavesNodeOptionsUnsetWhereTheyAre) {
  Variables none;  // whatever the test itself has
  expect_the_same(none);
}

TEST_P(Preload, LeavesTheUsersNodeOptionsToTheProgramItsChildrenAndItsThreads) {
  expect_the_same({{"NODE_OPTIONS", "--no-warnings --max-old-space-size=300"}});
}

TEST_P(Preload, LoadsWhatTheUserLoadsToo) {
  std::string quoted;
  for (const char c : witness()) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  const Variables options{{"NODE_OPTIONS", "--require \"" + quoted + "\" --trace-warnings"}};
  service.start_workers({ending_worker("handling.js"), "close_exit"},
                        {.workers = 1, .env = options});
  EXPECT_TRUE(service.program().wait_for_line("loaded with " + options.front().second));
  service.program().signal(SIGTERM);
  EXPECT_TRUE(stopped_well(service.program()));
  EXPECT_EQ(service.said("^loaded"), (Words{"SIGTERM", "exit 0"}));
}

TEST_P(Preload, IsNotWantedWithNoPreload) {
  const Variables options{{"NODE_OPTIONS", "--no-warnings"}};
  service.start_workers({ending_worker("environment.js")},
                        {.workers = 1, .options = {"--no-preload"}, .env = options});
  EXPECT_TRUE(service.program().wait_for_line("options: --no-warnings 0"));
  service.program().signal(SIGTERM);
  EXPECT_TRUE(stopped_well(service.program()));
}

// Node 20 lets a program under its permission model read no file that was not named to it, and so
// do later ones up to 24.0.
TEST_P(Preload, DoesNotDisturbThePermissionModel) {
  const bool is_20 = GetParam() == std::string{"node20"};
  Words words{"node", is_20 ? "--experimental-permission" : "--permission",
              "--allow-fs-read=" + ending_worker("")};
  if (!is_20) words.push_back("--allow-net");
  words.push_back(ending_worker("handling.js"));
  words.push_back("late");
  service.start_workers(words, {.workers = 1});
  SlowRequest request{service};
  service.program().signal(SIGTERM);
  EXPECT_EQ(request.answer(), "hello world\n");
  EXPECT_TRUE(service.program().exits_with(0));
  EXPECT_EQ(service.program().count("SIGTERM"), 1) << service.program().transcript();
  EXPECT_TRUE(service.program().leaves_no_process());
}

TEST_P(Preload, RunsWhereTheTemporaryFolderCannotBeWritten) {
  service.start_workers(
      {ending_worker("handling.js"), "close_exit"},
      {.workers = 1, .env = {{"TMPDIR", "/nonexistent"}, {"XDG_RUNTIME_DIR", "/nonexistent"}}});
  service.program().signal(SIGTERM);
  EXPECT_TRUE(stopped_well(service.program()));
}

}  // namespace
}  // namespace harness
