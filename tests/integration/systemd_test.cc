// `cohort run` as a service of systemd: what it tells by sd_notify(3), and the unit file that
// `cohort systemd` prints. systemd is a socket here; the workers are real.
#include <gtest/gtest.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/client.h"
#include "harness/notify_socket.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

using namespace std::chrono_literals;
using Words = std::vector<std::string>;

class Service : public testing::Test {
 protected:
  // A program that becomes `command`; the next reload finds what was written last.
  void write(const std::string& command) {
    folder_.write("server", "#!/bin/sh\n" + command + '\n');
  }
  // It waits while there is a file `slow`.
  void write_server() {
    write("while [ -e slow ]; do sleep 0.05; done; exec " + example("hello_cluster") + " --port " +
          std::to_string(port_));
  }
  Program& start(const std::string& socket, Words options = {}) {
    Words words{command(), "run", "-w", "2", "--prove", "0.2"};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back("./server");
    env_.emplace_back("NOTIFY_SOCKET", socket);
    env_.emplace_back("COHORT_RUNTIME_DIR", folder_.path() + "/run");
    return program_.emplace(words, ProgramOptions{.env = env_, .cwd = folder_.path()});
  }
  std::string path() const { return folder_.path() + "/notify"; }

  const TempDir folder_;
  const std::uint16_t port_ = free_port();
  std::vector<std::pair<std::string, std::string>> env_;
  std::optional<Program> program_;
};

// --- start, reload, stop

class ServiceOn : public Service, public testing::WithParamInterface<const char*> {
 protected:
  std::string name() const {
    const std::string abstract = "@cohort-systemd-test-" + std::to_string(::getpid());
    return GetParam() == std::string_view{"a_path"} ? path() : abstract;
  }
};
INSTANTIATE_TEST_SUITE_P(Kinds, ServiceOn, testing::Values("a_path", "an_abstract_name"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(ServiceOn, TellsOfTheStartTheReloadAndTheStopInThisOrder) {
  NotifySocket systemd{name()};
  write_server();
  Program& program = start(systemd.name());
  ASSERT_TRUE(systemd.wait_for("^READY=1\nMAINPID=" + std::to_string(program.pid()) +
                               "\nSTATUS=2 workers serve$"))
      << program.transcript();
  EXPECT_EQ(http_get(port_).status, 200);
  program.signal(SIGHUP);
  ASSERT_TRUE(systemd.wait_for("^READY=1\n.*\nSTATUS=reloaded: generation 2 serves"))
      << program.transcript();
  program.signal(SIGTERM);
  EXPECT_TRUE(program.exits_with(0)) << program.transcript();
  EXPECT_EQ(systemd.states(), (Words{"READY", "RELOADING", "READY", "STOPPING"}))
      << systemd.transcript();
  EXPECT_TRUE(systemd.wait_for("^STOPPING=1\nSTATUS=.*\nEXTEND_TIMEOUT_USEC=(29|30)[0-9]{6}$"));
}

TEST_F(Service, TheReloadBeganAfterItsSignal) {
  NotifySocket systemd{path()};
  write_server();
  Program& program = start(systemd.name());
  ASSERT_TRUE(systemd.wait_for("^READY=1"));
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto before = now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
  program.signal(SIGHUP);
  constexpr std::string_view kWhen = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_TRUE(systemd.wait_for(std::string{kWhen}));
  for (const std::string& message : systemd.messages()) {
    const auto at = message.find(kWhen);
    if (at == std::string::npos) continue;
    EXPECT_GE(std::stoll(message.substr(at + kWhen.size())), before);
  }
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(Service, ABadVersionIsToldAsTheVerdictOfTheReload) {
  NotifySocket systemd{path()};
  write_server();
  Program& program = start(systemd.name());
  ASSERT_TRUE(systemd.wait_for("^READY=1"));
  write("exit 3");
  program.signal(SIGHUP);
  EXPECT_TRUE(systemd.wait_for("^READY=1\n.*\nSTATUS=not reloaded: .*exited with code 3"));
  EXPECT_EQ(http_get(port_).status, 200);
  std::filesystem::remove(folder_.path() + "/server");
  program.signal(SIGHUP);
  EXPECT_TRUE(systemd.wait_for("^READY=1\n.*\nSTATUS=not reloaded, and nothing is changed: "));
  EXPECT_EQ(systemd.states(), (Words{"READY", "RELOADING", "READY", "RELOADING", "READY"}))
      << systemd.transcript();
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(Service, AProgramThatNeverListensIsReadyWhenItHasLivedForAWhile) {
  NotifySocket systemd{path()};
  write("exec sleep 1000");
  Program& program = start(systemd.name());
  ASSERT_TRUE(systemd.wait_for("^READY=1\n.*\nSTATUS=2 workers serve")) << program.transcript();
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(Service, AProgramThatNeverGetsReadyIsNeverToldAsReady) {
  NotifySocket systemd{path()};
  write("exit 1");
  EXPECT_TRUE(start(systemd.name()).exits_with(111));
  EXPECT_EQ(systemd.states(), Words{}) << systemd.transcript();
}

TEST_F(Service, AWorkerThatDiesIsToldAndSoIsItsSuccessor) {
  NotifySocket systemd{path()};
  write_server();
  Program& program = start(systemd.name());
  ASSERT_TRUE(systemd.wait_for("^READY=1"));
  folder_.write("slow", "");
  for (const pid_t pid : children_of(program.pid())) ::kill(pid, SIGKILL);
  ASSERT_TRUE(systemd.wait_for("^STATUS=0 of 2 workers serve", 2)) << program.transcript();
  std::filesystem::remove(folder_.path() + "/slow");
  EXPECT_TRUE(systemd.wait_for("^STATUS=2 workers serve"));
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(Service, OfNodeIsReadyWhenAllItsWorkersListen) {
  NotifySocket systemd{path()};
  folder_.write("server.js",
                "require('http').createServer((request, response) => response.end('node'))\n"
                "  .listen(" +
                    std::to_string(port_) + ");\n");
  write("exec " + node26() + " server.js");
  Program& program = start(systemd.name());
  ASSERT_TRUE(systemd.wait_for("^READY=1\n.*\nSTATUS=2 workers serve")) << program.transcript();
  EXPECT_EQ(http_get(port_).body, "node");
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- the watchdog, and who may speak

TEST_F(Service, ThePrimaryIsHeardAsOftenAsTheWatchdogWants) {
  NotifySocket systemd{path()};
  write_server();
  env_ = {{"WATCHDOG_USEC", "200000"}};
  Program& program = start(systemd.name());
  EXPECT_TRUE(systemd.wait_for("^WATCHDOG=1$", 10)) << program.transcript();
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(Service, AWatchdogOfAnotherProcessIsNotFed) {
  NotifySocket systemd{path()};
  write_server();
  env_ = {{"WATCHDOG_USEC", "1000"}, {"WATCHDOG_PID", "1"}};
  Program& program = start(systemd.name());
  EXPECT_TRUE(systemd.wait_for("^READY=1"));
  EXPECT_TRUE(program.ends_on_interrupt());
  for (const std::string& message : systemd.messages()) EXPECT_NE(message, "WATCHDOG=1");
}

TEST_F(Service, WorkersDoNotKnowOfSystemd) {
  NotifySocket systemd{path()};
  write_server();
  env_ = {{"WATCHDOG_USEC", "200000"}};
  Program& program = start(systemd.name());
  ASSERT_TRUE(systemd.wait_for("^READY=1"));
  const std::vector<pid_t> primary_alone{program.pid()};
  EXPECT_EQ(processes_marked("NOTIFY_SOCKET=" + path()), primary_alone);
  for (const pid_t pid : processes_marked("WATCHDOG_USEC=200000"))
    for (const pid_t worker : children_of(program.pid())) EXPECT_NE(pid, worker);
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- a systemd that does not listen

TEST_F(Service, ASocketThatNobodyReadsDelaysNothingAndLosesNoState) {
  NotifySocket systemd{path()};
  systemd.fill();
  write_server();
  env_ = {{"WATCHDOG_USEC", "20000"}};
  Program& program = start(systemd.name());
  EXPECT_TRUE(program.wait_for_error("all 2 workers listen"));
  EXPECT_EQ(http_get(port_).status, 200);
  program.signal(SIGHUP);
  EXPECT_TRUE(program.wait_for_error("reloaded: generation 2"));
  EXPECT_TRUE(systemd.wait_for("^READY=1", 2));
  EXPECT_EQ(systemd.states(), (Words{"READY", "RELOADING", "READY"})) << systemd.transcript();
  systemd.fill();
  EXPECT_TRUE(program.ends_on_interrupt());
  EXPECT_EQ(program.errors().find("systemd"), std::string::npos) << program.transcript();
}

TEST_F(Service, ASocketThatIsNotThereIsSaidOnce) {
  write_server();
  env_ = {{"WATCHDOG_USEC", "20000"}};
  Program& program = start(path());
  EXPECT_TRUE(program.wait_for_error("all 2 workers listen"));
  program.signal(SIGHUP);
  EXPECT_TRUE(program.wait_for_error("reloaded: generation 2"));
  EXPECT_TRUE(program.ends_on_interrupt());
  const std::string said = "cohort: systemd is not told how the service is: ";
  const std::string errors = program.errors();
  EXPECT_NE(errors.find(said), std::string::npos) << errors;
  EXPECT_EQ(errors.find(said), errors.rfind(said)) << errors;
}

// --- the unit file

TEST_F(Service, TheUnitFileIsGoodToSystemd) {
  const std::string systemd_analyze = "/usr/bin/systemd-analyze";
  if (!std::filesystem::exists(systemd_analyze)) GTEST_SKIP() << "there is no systemd-analyze";
  const std::string odd = folder_.path() + "/my 100% shop";
  std::filesystem::create_directory(odd);
  Program unit{{command(), "systemd", "-w", "2", "server.js", "a \"b\"", "$HOME", "%n", "\\x", ";"},
               {.cwd = odd}};
  ASSERT_TRUE(unit.exits_with(0));
  EXPECT_NE(unit.output().find(R"( server.js "a \"b\"" $$HOME %%n "\\x" ";")"), std::string::npos)
      << unit.output();
  Program verify{{systemd_analyze, "verify", folder_.write("shop.service", unit.output())}};
  EXPECT_TRUE(verify.exits_with(0)) << verify.transcript();
  // It only warns of what it does not know.
  EXPECT_EQ(verify.errors().find("shop.service:"), std::string::npos) << verify.errors();
}

}  // namespace
}  // namespace harness
