#include "cli/run_all.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/line_output.h"
#include "cli/colour.h"
#include "cli/fail.h"
#include "cli/hangup.h"
#include "cli/run.h"
#include "cohort/child_process.h"
#include "process/cgroup_home.h"

namespace cohort::cli {
namespace {

constexpr const char* kColours[] = {"\x1b[36m", "\x1b[33m", "\x1b[35m", "\x1b[32m", "\x1b[34m"};

// What an application writes, in whole lines with its name before each.
class PrefixedLines {
 public:
  PrefixedLines(LineOutput& output, std::string prefix)
      : output_{output}, prefix_{std::move(prefix)} {}

  void take(std::string_view bytes) {
    rest_ += bytes;
    std::string lines;
    std::size_t from = 0;
    for (auto end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', from)) {
      lines += prefix_ + rest_.substr(from, end + 1 - from);
      from = end + 1;
    }
    rest_.erase(0, from);
    if (rest_.size() > kLineMax) lines += prefix_ + std::exchange(rest_, {}) + '\n';
    if (!lines.empty()) output_.write(lines);
  }
  void end() {
    if (!rest_.empty()) output_.write(prefix_ + std::exchange(rest_, {}) + '\n');
  }

 private:
  static constexpr std::size_t kLineMax = 64 * 1024;

  LineOutput& output_;
  const std::string prefix_;
  std::string rest_;
};

class Applications {
 public:
  int run(const std::vector<RunOptions>& all) {
    std::size_t width = 0;
    for (const RunOptions& each : all) width = std::max(width, each.name.size());
    for (std::size_t i = 0; i < all.size(); ++i) start(all[i], i, width);
    for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) signals_.add(signal);
    await_signal();
    io_.run();
    return code_;
  }

 private:
  struct One {
    ChildProcess process;
    PrefixedLines out, err;
  };

  // Each in a process group of its own: Ctrl-C is for this process, which passes it on once.
  void start(const RunOptions& application, std::size_t index, std::size_t width) {
    const std::string name = application.name + std::string(width - application.name.size(), ' ');
    const auto prefix = [&](int fd) {
      return wants_colour(fd) ? kColours[index % std::size(kColours)] + name + "\x1b[0m "
                              : name + " | ";
    };
    One& one = ones_.emplace_back(
        One{spawn(io_, "/proc/self/exe",
                  {"run", "--config", application.config, "--only", application.name},
                  {.argv0 = "cohort",
                   .stdio = {Stdio::Ignore, Stdio::Pipe, Stdio::Pipe},
                   .process_group = 0,
                   .parent_death_signal = SIGTERM}),
            {stdout_, prefix(STDOUT_FILENO)},
            {stderr_, prefix(STDERR_FILENO)}});
    ++running_;
    one.process.stdout_().on_data([&one](std::string_view bytes) { one.out.take(bytes); });
    one.process.stderr_().on_data([&one](std::string_view bytes) { one.err.take(bytes); });
    one.process.on_error([this, name = application.name](const Error& error) {
      code_ = fail(kExitPermanent, name + " cannot be started: " + error.code.message());
    });
    one.process.on_close([this, &one](const Exit& exit) {
      one.out.end(), one.err.end();
      if (code_ == 0) code_ = exit.signal() != 0 ? 128 + exit.signal() : exit.code();
      if (--running_ == 0) signals_.cancel();
    });
  }

  void await_signal() {
    signals_.async_wait([this](boost::system::error_code error, int signal) {
      if (error) return;
      tell(signal);
      await_signal();
    });
  }

  // What a terminal that is gone means is seen here.
  void tell(int signal) {
    const auto means = hangup_.means();
    if (signal == SIGHUP && means == Hangup::Means::Nothing) return;
    if (signal == SIGHUP && means == Hangup::Means::TheEnd) signal = SIGTERM;
    for (const One& one : ones_) one.process.kill(signal);
  }

  const Hangup hangup_;
  boost::asio::io_context io_;
  LineOutput stdout_{Loop{io_, io_.get_executor()}, STDOUT_FILENO, gap};
  LineOutput stderr_{Loop{io_, io_.get_executor()}, STDERR_FILENO, gap};
  boost::asio::signal_set signals_{io_};
  std::list<One> ones_;
  std::size_t running_ = 0;
  int code_ = 0;

  static std::string gap(std::uint64_t lines) {
    return "cohort: " + std::to_string(lines) +
           " lines are missing here: they came faster than "
           "they were read\n";
  }
};

}  // namespace

std::variant<std::vector<RunOptions>, ConfigProblem> configured(const RunOptions& options) {
  auto read = read_config_file(options.config);
  if (std::holds_alternative<ConfigProblem>(read)) {
    if (!options.config.empty() || ::access("cohort.toml", F_OK) == 0) return read;
    return ConfigProblem{
        "no program to run, and there is no cohort.toml here\n"
        "Say which: cohort run server.js"};
  }
  if (options.only.empty()) return read;
  auto one = read_application(std::get<std::vector<RunOptions>>(read).front().config, options.only);
  if (auto* problem = std::get_if<ConfigProblem>(&one)) return std::move(*problem);
  return std::vector{std::get<RunOptions>(std::move(one))};
}

int run_all(const RunOptions& options) {
  const auto read = configured(options);
  if (const auto* problem = std::get_if<ConfigProblem>(&read))
    return fail(kExitPermanent, problem->text);
  const auto& all = std::get<std::vector<RunOptions>>(read);
  if (all.size() == 1) return cli::run(all.front());
  // It waits for one process that says it is ready.
  if (std::getenv("NOTIFY_SOCKET") != nullptr)
    return fail(kExitPermanent,
                "a service of systemd with Type=notify is one application: cohort run --only " +
                    all.front().name);
  // Once for all of them: none of them would be alone in its group.
  std::unique_ptr<process::CgroupHome> home;
  if (std::any_of(all.begin(), all.end(), [](const auto& each) { return each.max_memory; }))
    if (auto made = process::CgroupHome::make(process::CgroupFiles::system(), ::getpid(), "memory"))
      home = *std::move(made);
  return Applications{}.run(all);
}

}  // namespace cohort::cli
