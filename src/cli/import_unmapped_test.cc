#include "cli/import_unmapped.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cohort::cli {
namespace {

TEST(ImportUnmapped, FieldsHaveTheNamesOfTheSchema) {
  const std::pair<const char*, const char*> cases[] = {
      {"exec", "script"},
      {"cron", "cron_restart"},
      {"maxRestarts", "max_restarts"},
      {"interpreterArgs", "node_args"},
      {"user", "uid"},
      {"windowsHide", "windowsHide"},
      {"v8", "v8"},
      {"env_stagingEU", "env_stagingEU"},
      {"whatever", "whatever"},
      {"outFile", "out_file"},
  };
  for (const auto& [given, name] : cases) EXPECT_EQ(ecosystem_field(given), name);
}

TEST(ImportUnmapped, HasEachFieldThatCohortHasNoKeyFor) {
  for (const char* name : {"name_prefix",
                           "filter_env",
                           "namespace",
                           "install_url",
                           "out_file",
                           "error_file",
                           "log_file",
                           "disable_logs",
                           "log_date_format",
                           "time",
                           "pid_file",
                           "restart_delay",
                           "exp_backoff_restart_delay",
                           "disable_source_map_support",
                           "shutdown_with_message",
                           "cron_restart",
                           "merge_logs",
                           "vizion",
                           "autostart",
                           "autorestart",
                           "stop_exit_codes",
                           "watch_delay",
                           "ignore_watch",
                           "watch_options",
                           "min_uptime",
                           "max_restarts",
                           "force",
                           "post_update",
                           "trace",
                           "disable_trace",
                           "v8",
                           "event_loop_inspector",
                           "deep_monitoring",
                           "increment_var",
                           "instance_var",
                           "pmx",
                           "automation",
                           "treekill",
                           "windowsHide",
                           "kill_retry_time",
                           "write",
                           "io"}) {
    const UnmappedField* field = unmapped_field(name);
    ASSERT_NE(field, nullptr) << name;
    EXPECT_EQ(ecosystem_field(name), name);
    EXPECT_GT(std::string{field->why}.size(), 10U) << name;
  }
  EXPECT_EQ(unmapped_field("whatever"), nullptr);
  EXPECT_EQ(unmapped_field("script"), nullptr);
}

TEST(ImportUnmapped, WhatCohortDoesAnywayIsNoLoss) {
  EXPECT_TRUE(asks_for_what_is_here(*unmapped_field("autorestart"), true));
  EXPECT_FALSE(asks_for_what_is_here(*unmapped_field("autorestart"), false));
  EXPECT_TRUE(asks_for_what_is_here(*unmapped_field("namespace"), "default"));
  EXPECT_FALSE(asks_for_what_is_here(*unmapped_field("namespace"), "blue"));
  EXPECT_TRUE(asks_for_what_is_here(*unmapped_field("cron_restart"), 0));
  EXPECT_TRUE(asks_for_what_is_here(*unmapped_field("cron_restart"), ""));
  EXPECT_FALSE(asks_for_what_is_here(*unmapped_field("io"), Value::object()));
}

TEST(ImportUnmapped, TheReasonHasTheNameAndTheValue) {
  const std::string why = why_unmapped(*unmapped_field("cron_restart"), "0 4 * * *", "shop");
  EXPECT_NE(why.find("0 4 * * * cohort reload shop;"), why.npos) << why;
  EXPECT_EQ(why.find('{'), why.npos) << why;
}

TEST(ImportUnmapped, WhatIsOnlyInJavaScriptIsTold) {
  EXPECT_EQ(only_in_javascript(Value::object({{kOnlyInJavaScript, "function"}})), "function");
  EXPECT_EQ(only_in_javascript("function"), "");
  EXPECT_EQ(only_in_javascript(Value::object()), "");
  EXPECT_EQ(only_in_javascript(Value::object({{kOnlyInJavaScript, "x"}, {"a", 1}})), "");
}

}  // namespace
}  // namespace cohort::cli
