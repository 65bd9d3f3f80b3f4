#include "manager/file_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <fstream>
#include <vector>

namespace cohort::manager {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class Watching : public testing::Test {
 protected:
  Watching() {
    fs::create_directories(folder / "lib/deep");
    fs::create_directories(folder / "node_modules/x");
    fs::create_directories(folder / ".git");
  }
  ~Watching() override { fs::remove_all(folder); }
  void write(const fs::path& file) const { std::ofstream{folder / file} << "text"; }
  // What is told until nothing comes for a while.
  std::vector<std::string> told() {
    io.restart();
    io.run_for(FileWatch::kSettled * 3);
    return std::exchange(changes, {});
  }

  const fs::path folder =
      fs::temp_directory_path() / ("cohort-watch-" + std::to_string(::getpid()));
  boost::asio::io_context io;
  // A wait that does not count as work does not keep the loop.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  std::vector<std::string> changes;
  FileWatch watch{Loop{io, io.get_executor()}, folder, [this](const fs::path& file) {
                    changes.push_back(file.lexically_relative(folder).string());
                  }};
};

TEST_F(Watching, TellsOfOneChangeForManyAtOnce) {
  ASSERT_TRUE(watch.start());
  EXPECT_TRUE(told().empty());
  for (const char* file : {"a.js", "lib/b.js", "lib/deep/c.js"}) write(file);
  EXPECT_EQ(told(), std::vector<std::string>{"a.js"});
  write("lib/deep/c.js");
  EXPECT_EQ(told(), std::vector<std::string>{"lib/deep/c.js"});
  fs::remove(folder / "a.js");
  EXPECT_EQ(told(), std::vector<std::string>{"a.js"});
}

TEST_F(Watching, TellsNothingOfWhatIsNoSource) {
  ASSERT_TRUE(watch.start());
  for (const char* file : {".env.swp", "x.log", "a.js~", ".a.js.swp", "4913", "b.tmp",
                           "node_modules/x/index.js", ".git/index"})
    write(file);
  EXPECT_TRUE(told().empty());
}

TEST_F(Watching, FindsFoldersThatCome) {
  ASSERT_TRUE(watch.start());
  fs::create_directories(folder / "new");
  EXPECT_EQ(told(), std::vector<std::string>{"new"});
  write("new/a.js");
  EXPECT_EQ(told(), std::vector<std::string>{"new/a.js"});
  fs::rename(folder / "new", folder / "other");
  EXPECT_EQ(told().size(), 1U);
}

TEST_F(Watching, AFolderThatIsNotThereIsAnError) {
  FileWatch other{Loop{io, io.get_executor()}, folder / "nowhere", [](const fs::path&) {}};
  const auto started = other.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, boost::system::errc::no_such_file_or_directory);
}

}  // namespace
}  // namespace cohort::manager
