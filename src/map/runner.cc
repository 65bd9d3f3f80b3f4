#include "map/runner.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/sys.h"
#include "map/command_template.h"
#include "map/job_log_file.h"
#include "map/job_output.h"
#include "map/job_source.h"
#include "map/machine_load.h"
#include "process/child_watch.h"
#include "process/spawn.h"

extern "C" char** environ;

namespace cohort::map {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto kEndsWithin = 1s;    // After TERM; then KILL.
constexpr auto kLookAgain = 500ms;  // For memory, load, or a process.
constexpr auto kShowEvery = 100ms;
constexpr std::size_t kHeldMax = 10'000, kHeldFilesMax = 100;  // Outputs whose turn has not come.

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// What stands before each line of a job.
std::string tag_of(const JobArguments& job) {
  std::string tag;
  for (const std::string& value : job.values) tag += (tag.empty() ? "" : " ") + value;
  std::replace(tag.begin(), tag.end(), '\n', ' ');
  return tag + '\t';
}

// As GNU parallel names it: no value leads out of the directory.
std::string results_directory(const std::string& root, const JobArguments& job) {
  std::string path = root;
  int column = 0;
  for (const std::string& value : job.values) {
    path += '/' + std::to_string(++column) + '/';
    for (const char byte : value) {
      if (byte == '/')
        path += "\\_";
      else if (byte == '\\')
        path += "\\\\";
      else
        path += byte;
    }
    if (value == "." || value == "..") path += '\\';
    if (value.empty()) path += "\\0";
  }
  return path;
}

struct Job {
  JobArguments arguments{};
  std::string input{};  // of its stdin
  unsigned attempt = 0;
};

struct Running {
  Job job{};
  std::optional<JobOutput> output{};
  std::unique_ptr<process::ChildWatch> watch{};
  std::unique_ptr<asio::steady_timer> timer{};  // of its timeout, then of KILL
  double started = 0;
  SteadyClock::time_point since{};
  bool is_killed = false;  // by us: its process group has been told to end
};

// One that has ended, and whose turn to be printed has not come.
struct Ended {
  Job job{};
  std::optional<JobOutput> output{};
  LoggedJob logged{};
};

class Runner {
 public:
  Runner(const MapOptions& options, CommandTemplate command, const RunnerVoice& voice)
      : options_{options},
        command_{std::move(command)},
        voice_{voice},
        loop_{io_, io_.get_executor()},
        book_{options.halt, options.tries} {
    for (unsigned place = 1; place <= options.jobs; ++place) free_places_.insert(place);
    for (char** variable = environ; *variable != nullptr; ++variable)
      environment_.emplace_back(*variable);
  }

  Result<int> run() {
    auto source = JobSource::open(loop_, options_, [this] { pump(); });
    if (!source) return source.error();
    source_ = *std::move(source);
    auto log = JobLogFile::open(options_.job_log, options_.resume || options_.resume_failed);
    if (!log) return log.error();
    log_ = *std::move(log);
    await_signal();
    if (options_.progress) show();
    loop_.post([this] { pump(); });
    io_.run();
    if (options_.progress) voice_.clear();
    if (failure_) return *failure_;
    constexpr int kSignalled = 128;
    return signal_ != 0 ? kSignalled + signal_ : book_.exit_code();
  }

 private:
  // --- which is next

  bool may_start() const {
    if (failure_ || signal_ != 0 || book_.halts() || free_places_.empty()) return false;
    return held_.size() < kHeldMax && held_files_ < kHeldFilesMax;
  }

  std::optional<Job> next_job() {
    if (!again_.empty()) {
      Job job = std::move(again_.back());
      again_.pop_back();
      return job;
    }
    while (auto input = source_->next()) {
      const std::uint64_t number = ++last_number_;
      if (log_.is_done(number, options_.resume_failed)) {
        ++left_out_;
        if (next_to_print_ == number)
          ++next_to_print_;
        else
          skipped_.insert(number);
        continue;
      }
      return Job{{number, 0, std::move(input->values)}, std::move(input->bytes), 0};
    }
    return std::nullopt;
  }

  void pump() {
    if (is_pumping_) return;
    is_pumping_ = true;
    while (may_start() && !has_to_wait()) {
      auto job = next_job();
      if (!job) break;
      start(*std::move(job));
    }
    if (options_.progress && may_look_ahead()) source_->look_ahead();
    is_pumping_ = false;
    if (source_->failure() && !failure_) fail(*source_->failure());
    end_if_done();
  }
  bool may_look_ahead() const { return !failure_ && signal_ == 0 && !book_.halts(); }

  // For the next one to start: a while since the last, memory, load.
  bool has_to_wait() {
    const auto now = SteadyClock::now();
    if (options_.delay.count() > 0 && last_start_ && now < *last_start_ + options_.delay) {
      wake_at(*last_start_ + options_.delay);
      return true;
    }
    if ((options_.memory_free > 0 && memory_available() < options_.memory_free) ||
        (options_.load_max > 0 && load_average() >= options_.load_max)) {
      wake_at(now + kLookAgain);
      return true;
    }
    return false;
  }

  void wake_at(SteadyClock::time_point when) {
    pause_.expires_at(when);
    pause_.async_wait([this](boost::system::error_code error) {
      if (!error) pump();
    });
  }

  void end_if_done() {
    if (!running_.empty()) return;
    const bool all = source_->saw_end() && source_->ready() == 0 && again_.empty();
    if (!all && !failure_ && signal_ == 0 && !book_.halts()) return;
    print_held(true);  // those behind one that is not tried again any more
    io_.stop();
  }

  // --- one job

  void start(Job job) {
    ++job.attempt;
    job.arguments.place = *free_places_.begin();
    if (options_.dry_run) return pretend(std::move(job));
    auto running = std::make_unique<Running>();
    running->started = seconds_since_1970();
    running->since = SteadyClock::now();
    process::SpawnRequest request;
    request.argv = command_.argv(job.arguments);
    request.file = request.argv.front();
    request.env = environment_;
    // Ctrl-C is for this process, which decides; and what a job starts ends with it.
    request.new_session = true;
    request.die_with_parent = true;
    request.group_outlives_child = true;
    request.fds = {-1, STDOUT_FILENO, STDERR_FILENO};
    if (options_.grouped) {
      auto output = options_.results.empty()
                        ? JobOutput::open()
                        : JobOutput::open_in(results_directory(options_.results, job.arguments));
      if (!output && has_to_pass(output.error())) return start_later(std::move(job));
      if (!output) return fail(output.error());
      running->output = *std::move(output);
      request.fds = {-1, running->output->stdout_fd(), running->output->stderr_fd()};
    }
    OwnFd input;
    if (options_.block > 0) {
      auto file = file_of(job.input);
      if (!file && has_to_pass(file.error())) return start_later(std::move(job));
      if (!file) return fail(file.error());
      input = *std::move(file);
      request.fds.front() = input.get();
    }
    auto child = process::spawn(request);
    last_start_ = running->since;
    running->job = std::move(job);
    if (!child) return not_started(*running, child.error());
    const std::uint64_t number = running->job.arguments.number;
    free_places_.erase(running->job.arguments.place);
    running->watch = std::make_unique<process::ChildWatch>(
        loop_, *std::move(child), [this, number](const Exit& exit) { ended(number, exit); });
    if (options_.timeout.count() > 0) {
      running->timer = std::make_unique<asio::steady_timer>(io_, options_.timeout);
      running->timer->async_wait([this, number](boost::system::error_code error) {
        if (!error) end_job(number, SIGTERM);
      });
    }
    running_.emplace(number, std::move(running));
  }

  // A shortage that is over when others have ended.
  bool has_to_pass(const Error& error) const {
    const int number = error.code.value();
    return !running_.empty() &&
           (number == EAGAIN || number == ENOMEM || number == EMFILE || number == ENFILE);
  }
  void start_later(Job job) {
    --job.attempt;
    again_.push_back(std::move(job));
    wake_at(SteadyClock::now() + kLookAgain);
    free_places_.clear();  // until one ends
  }

  void not_started(Running& running, const Error& error) {
    if (has_to_pass(error)) return start_later(std::move(running.job));
    const int number = error.code.value();
    constexpr int kNotFound = 127, kNotExecutable = 126;
    voice_.clear();
    voice_.say("job " + std::to_string(running.job.arguments.number) + ": " + error.message());
    finish(running, Exit::exited(number == ENOENT ? kNotFound : kNotExecutable));
  }

  void pretend(Job job) {
    Running running;
    running.job = std::move(job);
    voice_.clear();
    if (const auto done = write_all(STDOUT_FILENO, command_.shown(running.job.arguments) + '\n');
        !done)
      return fail(done.error());
    book_.ended(Exit{}, 1);
  }

  void ended(std::uint64_t number, const Exit& exit) {
    const auto taken = running_.extract(number);
    Running& running = *taken.mapped();
    // It may have left others of its group.
    if (running.is_killed) running.timer.reset();
    restore_places(running.job.arguments.place);
    finish(running, exit);
    pump();
  }

  // Also those that were taken away while no process could be made.
  void restore_places(unsigned place) {
    free_places_.insert(place);
    std::set<unsigned> used;
    for (const auto& [number, each] : running_) used.insert(each->job.arguments.place);
    for (unsigned each = 1; free_places_.size() + used.size() < options_.jobs; ++each)
      if (!used.contains(each)) free_places_.insert(each);
  }

  void finish(Running& running, const Exit& exit) {
    if (running.output) {
      if (const auto settled = running.output->settle(); !settled) return fail(settled.error());
    }
    const bool may_be_tried = signal_ == 0 && !failure_;
    if (book_.ended(exit, may_be_tried ? running.job.attempt : options_.tries)) {
      again_.push_back(std::move(running.job));
      return;
    }
    // Whoever is told to end is not done: it runs again on --resume.
    const bool was_ours = running.is_killed && (signal_ != 0 || book_.kills());
    Ended done{.job = std::move(running.job), .output = std::move(running.output)};
    done.logged = {
        .number = done.job.arguments.number,
        .started = running.started,
        .took = std::chrono::duration<double>(SteadyClock::now() - running.since).count(),
        .written = done.output ? done.output->stdout_size() : 0,
        .exit = exit,
        .command = options_.job_log.empty() ? "" : command_.shown(done.job.arguments)};
    if (was_ours && !exit.success()) done.logged.number = 0;
    if (options_.keep_order) {
      if (done.output && done.output->is_large()) ++held_files_;
      held_.emplace(done.job.arguments.number, std::move(done));
      print_held(false);
    } else {
      print(done);
    }
    if (book_.kills()) end_all(SIGTERM);
  }

  // --- what it has written

  void print_held(bool all) {
    for (auto first = held_.begin(); first != held_.end(); first = held_.begin()) {
      while (skipped_.erase(next_to_print_) > 0) ++next_to_print_;
      if (first->first != next_to_print_ && !all) return;
      const auto taken = held_.extract(first);
      const Ended& done = taken.mapped();
      next_to_print_ = taken.key() + 1;
      if (done.output && done.output->is_large()) --held_files_;
      print(done);
    }
  }

  void print(const Ended& done) {
    if (failure_) return;
    if (done.output) {
      voice_.clear();
      const std::string tag = options_.tag ? tag_of(done.job.arguments) : "";
      if (const auto printed = done.output->print(tag, !done.logged.exit.success()); !printed)
        return fail(printed.error());
    }
    if (done.logged.number == 0) return;
    if (const auto logged = log_.add(done.logged); !logged) fail(logged.error());
  }

  void fail(const Error& error) {
    if (!failure_) failure_ = error;
    end_all(SIGTERM);
    end_if_done();
  }

  // --- ending those that run

  void end_job(std::uint64_t number, int signal) {
    const auto found = running_.find(number);
    if (found == running_.end()) return;
    Running& running = *found->second;
    if (running.is_killed && signal != SIGKILL) return;
    running.is_killed = true;
    running.watch->signal_group(signal);
    if (signal == SIGKILL) return;
    running.timer = std::make_unique<asio::steady_timer>(io_, kEndsWithin);
    running.timer->async_wait([this, number](boost::system::error_code error) {
      if (!error) end_job(number, SIGKILL);
    });
  }

  void end_all(int signal) {
    for (const auto& [number, running] : running_) end_job(number, signal);
  }

  void await_signal() {
    signals_.async_wait([this](boost::system::error_code error, int number) {
      if (error) return;
      signalled(number);
      await_signal();
    });
  }

  void signalled(int number) {
    signal_ = number;
    ++signals_seen_;
    voice_.clear();
    if (signals_seen_ == 1 && !running_.empty())
      voice_.say("no more jobs are started, " + std::to_string(running_.size()) +
                 " finish; once more ends them");
    if (signals_seen_ == 2) end_all(SIGTERM);
    if (signals_seen_ > 2) end_all(SIGKILL);
    end_if_done();
  }

  // --- how far it is

  void show() {
    MapProgress progress{.done = book_.done() + left_out_, .failed = book_.failed()};
    progress.elapsed =
        std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - begin_);
    if (source_->saw_end()) progress.total = last_number_ + source_->ready();
    voice_.show(progress);
    show_again_.expires_after(kShowEvery);
    show_again_.async_wait([this](boost::system::error_code error) {
      if (!error) show();
    });
  }

  const MapOptions& options_;
  const CommandTemplate command_;
  const RunnerVoice& voice_;
  asio::io_context io_{1};
  const Loop loop_;
  std::unique_ptr<JobSource> source_;
  JobLogFile log_;
  JobBook book_;
  std::vector<std::string> environment_;

  std::uint64_t last_number_ = 0, left_out_ = 0;
  std::vector<Job> again_;
  std::set<unsigned> free_places_;
  std::map<std::uint64_t, std::unique_ptr<Running>> running_;
  std::optional<SteadyClock::time_point> last_start_;
  asio::steady_timer pause_{io_};
  bool is_pumping_ = false;

  std::map<std::uint64_t, Ended> held_;
  std::set<std::uint64_t> skipped_;  // that the log has, and whose turn has not come
  std::uint64_t next_to_print_ = 1;
  std::size_t held_files_ = 0;

  asio::signal_set signals_{io_, SIGINT, SIGTERM};
  int signal_ = 0, signals_seen_ = 0;
  std::optional<Error> failure_;
  const SteadyClock::time_point begin_ = SteadyClock::now();
  asio::steady_timer show_again_{io_};
};

}  // namespace

Result<int> run_jobs(const MapOptions& options, const RunnerVoice& voice) {
  auto command =
      CommandTemplate::parse(options.command, options.each_in_context, options.block == 0);
  if (!command) return command.error();
  Runner runner{options, *std::move(command), voice};
  return runner.run();
}

}  // namespace cohort::map
