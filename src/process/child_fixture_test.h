// What the tests of child processes share: a loop with a deadline, and what they saw.
#pragma once

#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <csignal>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/sys.h"
#include "cohort/child_process.h"
#include "leak_check.h"
#include "process/exit_record.h"
#include "process/helpers_test.h"

namespace cohort {

class ChildTest : public testing::Test {
 protected:
  ChildTest() : descriptors_{harness::open_descriptors()} {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // so that orphans are seen
    end_orphans();                       // of the test before, which came late
  }
  ~ChildTest() override {
    io_.reset();
    for (const auto& [fd, target] : harness::open_descriptors())
      EXPECT_TRUE(descriptors_.contains(fd)) << "leaked descriptor " << fd << " -> " << target;
    EXPECT_EQ(harness::children(), std::set<int>{});
  }

  /// Runs the loop until nothing is left to do.
  void run() {
    io().restart();
    io().run_for(std::chrono::seconds{30});
    EXPECT_TRUE(io().stopped()) << "something keeps the loop running";
  }
  /// Records the events of a child, in their order.
  void record(const ChildProcess& child) {
    child.on_spawn([this] { events.emplace_back("spawn"); });
    child.on_error([this](const Error& error) {
      events.emplace_back("error");
      errors.push_back(error);
    });
    child.on_message([this](const Value&) { events.emplace_back("message"); });
    child.on_disconnect([this] { events.emplace_back("disconnect"); });
    child.on_exit([this](const Exit& exit) {
      events.emplace_back("exit");
      exits.push_back(exit);
    });
    child.on_close([this](const Exit& exit) {
      events.emplace_back("close");
      closes.push_back(exit);
    });
  }
  /// Appends what a stream brings to `text`.
  static void collect(const ChildStream& stream, std::string& text) {
    stream.on_data([&text](std::string_view data) { text += data; });
  }
  /// What `sh -c` prints, with these options.
  std::string output_of(const std::string& script, const SpawnOptions& options = {}) {
    std::string text;
    const ChildProcess child = spawn(io(), "/bin/sh", {"-c", script}, options);
    collect(child.stdout_(), text);
    run();
    return text;
  }
  /// Kills and reaps what was left by children and came to us.
  static void end_orphans() {
    // One that ends leaves us its own.
    for (auto orphans = harness::children(); !orphans.empty(); orphans = harness::children())
      for (const pid_t pid : orphans) {
        const OwnFd pidfd = sys::pidfd_open(pid);
        sys::signal_process(pidfd.get(), SIGKILL);
        EXPECT_TRUE(process::ends_within(pidfd.get(), std::chrono::seconds{30}));
        process::try_reap(pidfd.get());
      }
  }
  boost::asio::io_context& io() { return *io_; }
  /// The loop ends: what still runs is abandoned.
  void end_loop() { io_.reset(); }

  std::vector<std::string> events;
  std::vector<Error> errors;
  std::vector<Exit> exits;
  std::vector<Exit> closes;

 private:
  const std::map<int, std::string> descriptors_;
  std::unique_ptr<boost::asio::io_context> io_ = std::make_unique<boost::asio::io_context>(1);
};

using Strings = std::vector<std::string>;

}  // namespace cohort
