#include "cli/plan.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

Plan plain() {
  Plan plan;
  plan.options.program = "server.js";
  plan.options.args = {"--port", "3000"};
  plan.name = "server";
  plan.command = {"/usr/bin/node", "/srv/server.js", "--port", "3000"};
  plan.directory = "/srv";
  plan.workers = 2;
  plan.why_workers = "one for each CPU";
  plan.socket = "/run/cohort/server.sock";
  return plan;
}

TEST(Plan, SaysWhatWouldRunAndWhy) {
  EXPECT_EQ(plan_text(plain()), R"(server
  from         the command line
  program      server.js --port 3000
  runs as      /usr/bin/node /srv/server.js --port 3000
  directory    /srv
  workers      2, one for each CPU
  policy       auto, the default: adaptive for TCP, round-robin for Unix sockets
  listen       where the program does
  grace        25 s
  stop signal  SIGTERM
  reload       listens within 60 s, proves itself for 5 s
  socket       /run/cohort/server.sock
)");
}

TEST(Plan, SaysAllThatWasAskedForButNoSecrets) {
  Plan plan = plain();
  plan.options.workers = 2;
  plan.why_workers = "as asked";
  plan.options.policy = plan.policy = Policy::Sticky;
  plan.options.config = "/srv/cohort.toml";
  plan.options.listen = {Address{"localhost", 8000}, Address::from_path("/run/a.sock")};
  plan.options.grace = std::chrono::milliseconds{7500};
  plan.options.lame_duck = std::chrono::seconds{2};
  plan.options.max_memory = 1 << 20;
  plan.options.max_age = std::chrono::hours{1};
  plan.options.max_requests = 10'000;
  plan.options.kill_hung = std::chrono::seconds{30};
  plan.options.js_stack = true;
  plan.options.admin = Address{"localhost", 8081};
  plan.options.env = {{"A", "secret"}, {"B", "2"}};
  plan.options.watch = true;
  plan.options.preload = false;
  plan.log = "/var/log/cohort/server.log";
  plan.taken_by = 77;
  const std::string text = plan_text(plan);
  for (const char* line :
       {"  from         /srv/cohort.toml\n", "  workers      2, as asked\n",
        "  policy       sticky, as asked\n", "  listen       localhost:8000\n",
        "  listen       /run/a.sock\n", "  grace        7.5 s, 2 s of it serving on\n",
        "  max memory   1048576 bytes\n", "  max age      3600 s\n", "  max requests 10000\n",
        "  hung         killed after 30 s, with its JavaScript stack\n",
        "  probes       localhost:8081, ready with 1\n", "  variables    A, B\n",
        "  watch        a file that changes is a reload\n", "  preload      nothing\n",
        "  log          /var/log/cohort/server.log\n",
        "  but          an application called server runs already (pid 77)\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << '\n' << text;
  EXPECT_EQ(text.find("secret"), std::string::npos);
  EXPECT_EQ(to_json(plan_value(plan)).find("secret"), std::string::npos);
}

TEST(Plan, IsAnObjectForPrograms) {
  Plan plan = plain();
  plan.policy = Policy::Shared;
  plan.policy_of_environment = true;
  const Value value = plan_value(plan);
  EXPECT_EQ(value["name"], "server");
  EXPECT_EQ(value["config"], Value(nullptr));
  EXPECT_EQ(to_json(value["command"]), R"(["/usr/bin/node","/srv/server.js","--port","3000"])");
  EXPECT_EQ(value["workers"], Value(2));
  EXPECT_EQ(value["workers_asked"], Value(false));
  EXPECT_EQ(value["policy"], "shared");
  EXPECT_EQ(value["why_policy"], "of NODE_CLUSTER_SCHED_POLICY");
  EXPECT_EQ(value["grace"], Value(25));
  EXPECT_EQ(to_json(value["listen"]), "[]");
  EXPECT_EQ(value["max_memory"], Value(nullptr));
  EXPECT_EQ(value["log"], Value(nullptr));
}

}  // namespace
}  // namespace cohort::cli
