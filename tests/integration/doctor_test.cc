// `cohort doctor`, as real processes that lack something.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/places.h"
#include "harness/program.h"

namespace harness {
namespace {

using Words = std::vector<std::string>;

class Doctor : public testing::Test {
 protected:
  // `cohort doctor --json`, after the words of `before` (`prlimit ...`).
  void examine(Words before, std::vector<std::pair<std::string, std::string>> env = {}) {
    before.insert(before.end(), {command(), "doctor", "--json"});
    program_ = std::make_unique<Program>(before, ProgramOptions{.env = std::move(env)});
    const auto ended = program_->wait_exit();
    ASSERT_TRUE(ended && ended->code) << program_->transcript();
    code_ = *ended->code;
    boost::system::error_code error;
    report_ = boost::json::parse(program_->output(), error);
    ASSERT_FALSE(error) << program_->transcript();
    for (const auto& finding : report_.at("findings").as_array())
      levels_[text(finding.at("check"))] = text(finding.at("level"));
  }
  static std::string text(const boost::json::value& value) {
    return std::string{value.as_string()};
  }
  // Whether there is such a sandbox here.
  static bool allows(Words words) {
    words.push_back("true");
    Program program{words};
    const auto ended = program.wait_exit();
    return ended && ended->code == 0;
  }
  std::string transcript() const { return program_->transcript(); }

  std::unique_ptr<Program> program_;
  int code_ = -1;
  boost::json::value report_;
  std::map<std::string, std::string> levels_;
};

TEST_F(Doctor, FindsNoProblemWhereTestsRun) {
  examine({});
  EXPECT_EQ(code_, 0) << transcript();
  EXPECT_EQ(report_.at("problems"), 0) << transcript();
  EXPECT_EQ(levels_.size(), 16U) << transcript();
  for (const char* check : {"kernel", "child", "proc", "init"})
    EXPECT_EQ(levels_[check], "ok") << transcript();
}

TEST_F(Doctor, HasALineForEachCheckAndOneThatSumsUp) {
  Program program{{command(), "doctor"}};
  EXPECT_TRUE(program.exits_with(0)) << program.transcript();
  const auto lines = program.lines();
  EXPECT_TRUE(lines.front().starts_with("ok       kernel       Linux ")) << program.transcript();
  EXPECT_TRUE(lines.back().starts_with("16 checks: ")) << program.transcript();
  EXPECT_TRUE(lines.back().ends_with(". cohort can run here.")) << program.transcript();
  EXPECT_EQ(program.output().find('\x1b'), std::string::npos) << "no colours in a pipe";
  EXPECT_EQ(program.errors(), "");
}

TEST_F(Doctor, IsColouredOnATerminalUnlessNoColor) {
  ProgramOptions options{.env = {{"TERM", "xterm"}, {"NO_COLOR", ""}}, .terminal = true};
  Program coloured{{command(), "doctor"}, options};
  EXPECT_TRUE(coloured.exits_with(0));
  EXPECT_NE(coloured.output().find("\x1b[32mok"), std::string::npos) << coloured.transcript();
  options.env = {{"TERM", "xterm"}, {"NO_COLOR", "1"}};
  Program plain{{command(), "doctor"}, options};
  EXPECT_TRUE(plain.exits_with(0));
  EXPECT_EQ(plain.output().find('\x1b'), std::string::npos) << plain.transcript();
}

TEST_F(Doctor, FewDescriptorsAreAProblem) {
  examine({"prlimit", "--nofile=10", "--"});
  EXPECT_EQ(code_, 111) << transcript();
  EXPECT_EQ(levels_["descriptors"], "problem") << transcript();
  examine({"prlimit", "--nofile=900", "--"});
  EXPECT_EQ(code_, 0) << transcript();
  EXPECT_EQ(levels_["descriptors"], "warning") << transcript();
}

TEST_F(Doctor, TellsNobodyWhatItMayNot) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root, to be nobody";
  examine({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"},
          {{"COHORT_RUNTIME_DIR", "/root/cohort-of-nobody"}});
  EXPECT_EQ(code_, 0) << transcript();
  EXPECT_EQ(levels_["steering"], "note") << transcript();
  EXPECT_EQ(levels_["directory"], "warning") << transcript();
}

TEST_F(Doctor, SaysWhatTheEnvironmentTurnsOff) {
  examine({}, {{"COHORT_EBPF", "0"}, {"PATH", "/nowhere"}, {"NOTIFY_SOCKET", "/run/notify"}});
  EXPECT_EQ(code_, 0) << transcript();
  EXPECT_EQ(levels_["steering"], "note") << transcript();
  EXPECT_EQ(levels_["node"], "note") << transcript();
  EXPECT_EQ(levels_["systemd"], "ok") << transcript();
}

TEST_F(Doctor, TheCapabilitiesOfAUserNamespaceDoNotCount) {
  if (!allows({"unshare", "-r"})) GTEST_SKIP() << "no user namespaces here";
  examine({"unshare", "-r"});
  EXPECT_EQ(code_, 0) << transcript();
  EXPECT_EQ(levels_["steering"], "note") << transcript();
}

TEST_F(Doctor, KnowsThatItIsPid1) {
  if (!allows({"unshare", "-pf", "--mount-proc"})) GTEST_SKIP() << "no PID namespaces here";
  examine({"unshare", "-pf", "--mount-proc"});
  EXPECT_EQ(code_, 0) << transcript();
  EXPECT_NE(transcript().find("this is PID 1:"), std::string::npos) << transcript();
}

TEST_F(Doctor, NeedsNeitherProcNorSys) {
  if (std::getenv("COHORT_SANITIZED") != nullptr) GTEST_SKIP() << "a sanitizer needs /proc";
  if (!allows({"unshare", "-m"})) GTEST_SKIP() << "no mount namespaces here";
  examine({"unshare", "-m", "sh", "-c",
           "mount -t tmpfs none /proc && mount -t tmpfs none /sys && exec \"$@\"", "sh"});
  EXPECT_EQ(code_, 0) << transcript();
  EXPECT_EQ(levels_["proc"], "warning") << transcript();
  for (const char* check : {"cpus", "memory", "processes", "backlog", "watch"})
    EXPECT_EQ(levels_[check], "note") << transcript();
}

TEST_F(Doctor, NoticesThatProcHidesOthers) {
  if (::getuid() != 0 || !allows({"unshare", "-m"})) GTEST_SKIP() << "no mount namespaces here";
  examine({"unshare", "-m", "sh", "-c",
           "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=65534 --regid=65534 "
           "--clear-groups \"$@\"",
           "sh"});
  EXPECT_EQ(code_, 0) << transcript();
  EXPECT_EQ(levels_["proc"], "note") << transcript();
}

TEST_F(Doctor, MakesNoDirectory) {
  const TempDir folder;
  const std::string directory = folder.path() + "/not/there";
  examine({}, {{"COHORT_RUNTIME_DIR", directory}});
  EXPECT_EQ(levels_["directory"], "ok") << transcript();
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/not"));
  ASSERT_TRUE(std::filesystem::create_directories(directory));
  ASSERT_EQ(::chmod(directory.c_str(), 0777), 0);
  examine({}, {{"COHORT_RUNTIME_DIR", directory}});
  EXPECT_EQ(levels_["directory"], "warning") << "others may write there: " << transcript();
}

}  // namespace
}  // namespace harness
