#include "cluster/node_launch.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "cluster/preload_source.h"

namespace cohort::cluster {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

std::string text_of(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream{file, std::ios::binary}.rdbuf();
  return text.str();
}

TEST(PreloadFile, IsReadableByEverybodyAndWrittenAgainWhenItIsGoneOrChanged) {
  const auto file = preload_file();
  ASSERT_TRUE(file) << file.error();
  EXPECT_EQ(text_of(*file), kPreloadSource);
  struct ::stat info{};
  ASSERT_EQ(::stat(file->c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0444u);
  fs::remove(*file);
  ASSERT_TRUE(preload_file());
  EXPECT_EQ(text_of(*file), kPreloadSource);
  fs::remove(*file);
  std::ofstream{*file} << "something else";
  ASSERT_TRUE(preload_file());
  EXPECT_EQ(text_of(*file), kPreloadSource);
}

TEST(RuntimeOf, IsToldByTheNameOrTheFirstLine) {
  EXPECT_EQ(runtime_of("/usr/bin/node"), Runtime::Node);
  EXPECT_EQ(runtime_of("nodejs"), Runtime::Node);
  EXPECT_EQ(runtime_of("/opt/bun"), Runtime::Bun);
  for (const char* shell : {"/bin/sh", "/usr/bin/bash", "/usr/bin/env"})
    EXPECT_EQ(runtime_of(shell), Runtime::Shell) << shell;
  EXPECT_EQ(runtime_of("/nonexistent"), Runtime::Other);
  const std::string file = fs::temp_directory_path() / ("runtime." + std::to_string(::getpid()));
  const std::pair<const char*, Runtime> lines[] = {
      {"#!/usr/bin/env node", Runtime::Node},
      {"#! /usr/local/bin/node --flag", Runtime::Node},
      {"#!/usr/bin/env -S A=1 node -r x", Runtime::Node},
      {"#!/usr/bin/env bun", Runtime::Bun},
      {"#!/bin/sh -e", Runtime::Shell},
      {"#!/usr/bin/env python3", Runtime::Other},
      {"#!/opt/nodes/run", Runtime::Other},
      {"#!", Runtime::Other},
      {"node", Runtime::Other},
      {"", Runtime::Other}};
  for (const auto& [line, runtime] : lines) {
    std::ofstream{file} << line << "\nnode\n";
    EXPECT_EQ(runtime_of(file), runtime) << line;
  }
  fs::remove(file);
}

TEST(PrepareNode, OfAShellIsOnlyThePreload) {
  process::SpawnRequest request;
  request.file = "/bin/sh";
  request.argv = {"sh", "--inspect", "-c", "node server.js"};
  const auto before = request.argv;
  EXPECT_FALSE(prepare_node(request, 1, {}).debugger);
  EXPECT_EQ(request.argv, before);
  ASSERT_EQ(request.env.size(), 2U);
  EXPECT_EQ(request.env.front(), "COHORT_PARENT=" + std::to_string(::getpid()));
  EXPECT_TRUE(request.env.back().starts_with("NODE_OPTIONS=--require ")) << request.env.back();
}

TEST(PrepareNode, OfWhatEnvStartsSeesBunAndPermissions) {
  process::SpawnRequest request;
  request.file = "/usr/bin/env";
  request.env = {"NODE_UNIQUE_ID=7"};
  request.argv = {"env", "-u", "B", "A=1", "node", "--permission", "x.js"};
  prepare_node(request, 0, {});
  EXPECT_NE(request.env.back().find("--allow-fs-read="), std::string::npos) << request.env.back();
  request.env = {"NODE_UNIQUE_ID=7"};
  request.argv = {"env", "A=1", "/opt/bun", "x.ts"};
  prepare_node(request, 0, {});
  EXPECT_TRUE(request.env.empty());
}

TEST(PrepareNode, TellsBunNothingOfACluster) {
  process::SpawnRequest request;
  request.file = "/opt/bun";
  request.env = {"NODE_CHANNEL_FD=3", "NODE_UNIQUE_ID=7"};
  prepare_node(request, 0, {});
  EXPECT_EQ(request.env, std::vector<std::string>{"NODE_CHANNEL_FD=3"});
}

TEST(PrepareNode, GivesAQuietDebuggerBehindThePreload) {
  process::SpawnRequest request;
  request.file = "/usr/bin/node";
  request.argv = {"node", "a.js"};
  request.env = {"NODE_OPTIONS=--title=x"};
  EXPECT_FALSE(prepare_node(request, 3, {.quiet_debugger = true}).debugger);
  EXPECT_TRUE(request.env[0].ends_with("\" --inspect-port=127.0.0.1:0 --inspect-publish-uid=http"))
      << request.env[0];
  EXPECT_EQ(request.argv.size(), 2U);
}

TEST(QuietDebugger, LeavesTheUsersOwnAlone) {
  for (const Words& argv :
       {Words{"node", "--inspect", "a.js"}, Words{"node", "--inspect-port=7000"},
        Words{"node", "--inspect=0", "a.js"}}) {
    std::string options;
    give_quiet_debugger(argv, options);
    EXPECT_EQ(options, "") << argv[1];
  }
  std::string options = "--inspect-port=9300";
  give_quiet_debugger({"node", "a.js"}, options);
  EXPECT_EQ(options, "--inspect-port=9300");
  give_quiet_debugger({"node", "a.js", "--inspect"}, options = "");
  EXPECT_EQ(options, " --inspect-port=127.0.0.1:0 --inspect-publish-uid=http") << "the program's";
}

TEST(WithPreload, ComesBehindTheUsersOwn) {
  EXPECT_EQ(with_preload("", "/a/b", false), "--require \"/a/b\"");
  EXPECT_EQ(with_preload("--require \"/c d\"", "/a/b", false),
            "--require \"/c d\" --require \"/a/b\"");
}

TEST(WithPreload, HasLeaveToReadItWhereReadingIsRestricted) {
  EXPECT_EQ(with_preload("--permission", "/a/b", true),
            "--permission --require \"/a/b\" \"--allow-fs-read=/a/b\"");
}

TEST(RestrictsReading, IsAnOptionOfNodesAndNotOfTheProgram) {
  EXPECT_TRUE(restricts_reading({"node", "--experimental-permission", "a.js"}, ""));
  EXPECT_TRUE(restricts_reading({"node", "--permission", "a.js"}, ""));
  EXPECT_TRUE(restricts_reading({"node", "-r", "x", "--experimental-permission", "a.js"}, ""));
  EXPECT_TRUE(restricts_reading({"node", "a.js"}, "--title=x --experimental-permission"));
  EXPECT_FALSE(restricts_reading({"node", "a.js", "--experimental-permission"}, ""));
}

struct Asked {
  Words argv;
  std::string node_options;
  std::optional<std::string> where;
};

Asked ask(Words argv, std::string node_options, std::size_t slot) {
  Asked asked{std::move(argv), std::move(node_options), {}};
  asked.where = give_debugger_port(asked.argv, asked.node_options, slot);
  return asked;
}

TEST(DebuggerPort, IsTheSlotsOwnBehindTheUsersOption) {
  const Asked plain = ask({"node", "--inspect", "a.js", "--inspect"}, "", 2);
  EXPECT_EQ(plain.where, "127.0.0.1:9231");
  EXPECT_EQ(plain.argv,
            (Words{"node", "--inspect", "--inspect-port=127.0.0.1:9231", "a.js", "--inspect"}));
  const Asked host = ask({"node", "--inspect-brk=0.0.0.0:9300", "a.js"}, "", 1);
  EXPECT_EQ(host.where, "0.0.0.0:9301");
  const Asked two = ask({"node", "--inspect", "--inspect-port=7000", "a.js"}, "", 1);
  EXPECT_EQ(two.where, "127.0.0.1:7001");
  EXPECT_EQ(two.argv[3], "--inspect-port=127.0.0.1:7001");
}

TEST(DebuggerPort, IsAddedToNodeOptionsIfTheOptionIsThere) {
  const Asked asked = ask({"node", "a.js"}, "--inspect=9400 --title=\"a b\"", 0);
  EXPECT_EQ(asked.where, "127.0.0.1:9400");
  EXPECT_EQ(asked.node_options, "--inspect=9400 --title=\"a b\" --inspect-port=127.0.0.1:9400");
  EXPECT_EQ(asked.argv, (Words{"node", "a.js"}));
}

TEST(DebuggerPort, IsLeftAloneWhereNoneIsAskedForOrTheSystemChooses) {
  for (const Words& argv :
       {Words{"node", "a.js", "--inspect"}, Words{"node", "--inspect=0", "a.js"},
        Words{"node", "--inspect-port=9300", "a.js"}, Words{"node"}}) {
    const Asked asked = ask(argv, "", 3);
    EXPECT_EQ(asked.where, std::nullopt);
    EXPECT_EQ(asked.argv, argv);
    EXPECT_EQ(asked.node_options, "");
  }
}

}  // namespace
}  // namespace cohort::cluster
