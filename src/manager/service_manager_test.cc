#include "manager/service_manager.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

namespace cohort::manager {
namespace {

using namespace std::chrono_literals;

// The variables as systemd sets them; empty: not set.
ServiceWishes taken(const std::string& socket, const std::string& usec, const std::string& pid) {
  for (const auto& [name, value] :
       {std::pair{"NOTIFY_SOCKET", socket}, std::pair{"WATCHDOG_USEC", usec},
        std::pair{"WATCHDOG_PID", pid}})
    value.empty() ? ::unsetenv(name) : ::setenv(name, value.c_str(), 1);
  const ServiceWishes wishes = take_service_wishes();
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
    EXPECT_EQ(std::getenv(name), nullptr) << name;
  return wishes;
}

TEST(ServiceWishes, AreNothingWithoutSystemd) {
  const ServiceWishes wishes = taken("", "", "");
  EXPECT_EQ(wishes.socket, "");
  EXPECT_EQ(wishes.watchdog, 0us);
}

TEST(ServiceWishes, AreTakenOutOfTheEnvironment) {
  const ServiceWishes wishes = taken("@notify", "10000000", std::to_string(::getpid()));
  EXPECT_EQ(wishes.socket, "@notify");
  EXPECT_EQ(wishes.watchdog, 10s);
  EXPECT_EQ(taken("/run/notify", "200000", "").watchdog, 200ms);
}

TEST(ServiceWishes, AWatchdogOfAnotherProcessIsNotOurs) {
  EXPECT_EQ(taken("/run/notify", "200000", std::to_string(::getpid() + 1)).watchdog, 0us);
}

TEST(ServiceWishes, AWatchdogThatIsNoNumberIsNone) {
  for (const char* usec : {"-5", "soon", "1e6", "99999999999999999999"})
    EXPECT_EQ(taken("/run/notify", usec, "").watchdog, 0us) << usec;
}

}  // namespace
}  // namespace cohort::manager
