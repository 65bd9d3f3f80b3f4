#include "harness/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <regex>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "harness/proc.h"

namespace harness {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

// The processes that this test started and has not reaped: nothing else may reap them. Touched by
// the test's thread alone.
std::set<pid_t> roots;

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (lines.back().ends_with('\r')) lines.back().pop_back();  // a terminal's line end
    begin = end + 1;
  }
  return lines;
}

bool any_matches(const std::string& text, const std::regex& pattern) {
  const std::vector<std::string> lines = split(text);
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return std::regex_search(line, pattern); });
}

// The two ends of one output: the program writes to `theirs`, a thread reads from `ours`.
struct Channel {
  int ours = -1;
  int theirs = -1;
};

Channel open_pipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) fail("pipe2");
  return {fds[0], fds[1]};
}

Channel open_terminal() {
  const int ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ours < 0 || grantpt(ours) != 0 || unlockpt(ours) != 0) fail("posix_openpt");
  winsize size{};
  size.ws_row = 24;
  size.ws_col = 80;
  ioctl(ours, TIOCSWINSZ, &size);
  const int theirs = open(ptsname(ours), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (theirs < 0) fail("open pty");
  return {ours, theirs};
}

// What the child needs, made before the fork: the test process has threads, so that the child may
// allocate nothing.
struct Plan {
  std::vector<std::string> strings;
  std::vector<char*> argv;
  std::vector<char*> envp;
};

Plan make_plan(const std::vector<std::string>& argv, const ProgramOptions& options,
               const std::string& mark) {
  Plan plan;
  plan.strings = argv;
  const std::size_t arguments = argv.size();
  const auto overridden = [&](std::string_view entry) {
    return std::any_of(options.env.begin(), options.env.end(), [&](const auto& variable) {
      return entry.starts_with(variable.first + '=');
    });
  };
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (!overridden(*entry)) plan.strings.emplace_back(*entry);
  for (const auto& [name, value] : options.env) plan.strings.push_back(name + '=' + value);
  plan.strings.push_back(mark);
  for (std::size_t i = 0; i < plan.strings.size(); ++i)
    (i < arguments ? plan.argv : plan.envp).push_back(plan.strings[i].data());
  plan.argv.push_back(nullptr);
  plan.envp.push_back(nullptr);
  return plan;
}

[[noreturn]] void become(const Plan& plan, const ProgramOptions& options, int out, int err) {
  if (options.terminal) {
    setsid();
    ioctl(out, TIOCSCTTY, 0);
  } else {
    setpgid(0, 0);
  }
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(options.terminal ? out : null, 0);
  dup2(out, 1);
  dup2(err, 2);
  for (int capability : options.without) prctl(PR_CAPBSET_DROP, capability);  // exec enforces it
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!options.cwd.empty() && chdir(options.cwd.c_str()) != 0) _exit(126);
  execvpe(plan.argv[0], plan.argv.data(), plan.envp.data());
  dprintf(2, "harness: cannot start %s\n", plan.argv[0]);
  _exit(127);
}

}  // namespace

milliseconds Deadline::left(Clock::time_point now) {
  left_ -= std::min<Clock::duration>(now - std::exchange(asked_, now), milliseconds{100});
  return std::chrono::ceil<milliseconds>(left_);
}

struct Program::State {
  pid_t pid = 0;
  std::string mark;
  std::optional<Ended> ended;

  mutable std::mutex mutex;  // guards the three below, between the readers and the test
  std::condition_variable changed;
  std::string out, err;
  int open_outputs = 0;

  int stop[2] = {-1, -1};  // closing the write end ends the readers
  std::vector<int> ours;
  std::vector<std::thread> readers;

  void read(int fd, std::string& into) {
    pollfd fds[2] = {{fd, POLLIN, 0}, {stop[0], 0, 0}};
    char buffer[65536];
    while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
      if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        const ssize_t size = ::read(fd, buffer, sizeof buffer);
        if (size <= 0) break;  // the end; a terminal reports it as EIO
        const std::lock_guard lock{mutex};
        into.append(buffer, static_cast<std::size_t>(size));
        changed.notify_all();
      } else if (fds[1].revents != 0) {
        break;
      }
    }
    const std::lock_guard lock{mutex};
    --open_outputs;
    changed.notify_all();
  }

  void start_reader(int fd, std::string& into) {
    ours.push_back(fd);
    ++open_outputs;
    readers.emplace_back([this, fd, &into] { read(fd, into); });
  }

  bool reap() {
    int status = 0;
    if (ended || waitpid(pid, &status, WNOHANG) != pid) return ended.has_value();
    roots.erase(pid);
    ended.emplace();
    if (WIFSIGNALED(status))
      ended->signal = WTERMSIG(status);
    else
      ended->code = WEXITSTATUS(status);
    return true;
  }
};

Program::Program(const std::vector<std::string>& argv, const ProgramOptions& options)
    : state_{std::make_unique<State>()} {
  // Orphans of the program become children of the test, which can then reap them.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  static int serial = 0;
  state_->mark = "COHORT_HARNESS_MARK=" + std::to_string(getpid()) + '.' + std::to_string(++serial);
  const Plan plan = make_plan(argv, options, state_->mark);
  if (pipe2(state_->stop, O_CLOEXEC) != 0) fail("pipe2");
  const Channel out = options.terminal ? open_terminal() : open_pipe();
  const Channel err = options.terminal ? out : open_pipe();

  state_->pid = fork();
  if (state_->pid < 0) fail("fork");
  if (state_->pid == 0) become(plan, options, out.theirs, err.theirs);
  roots.insert(state_->pid);
  close(out.theirs);
  if (!options.terminal) {
    setpgid(state_->pid, state_->pid);  // here too: a signal to the group may come first
    close(err.theirs);
  }
  {
    const std::lock_guard lock{state_->mutex};
    state_->start_reader(out.ours, state_->out);
    if (!options.terminal) state_->start_reader(err.ours, state_->err);
  }
}

Program::~Program() {
  const std::vector<pid_t> left = descendants();
  if (!state_->ended) kill(state_->pid, SIGKILL);
  for (pid_t pid : left) kill(pid, SIGKILL);
  wait_exit();
  EXPECT_TRUE(leaves_no_process());
  close(state_->stop[1]);
  for (std::thread& reader : state_->readers) reader.join();
  for (int fd : state_->ours) close(fd);
  close(state_->stop[0]);
}

pid_t Program::pid() const { return state_->pid; }

void Program::signal(int signal_number) {
  if (!state_->ended) kill(state_->pid, signal_number);
}

void Program::signal_group(int signal_number) {
  if (!state_->ended) kill(-state_->pid, signal_number);
}

std::string Program::output() const {
  const std::lock_guard lock{state_->mutex};
  return state_->out;
}

std::string Program::errors() const {
  const std::lock_guard lock{state_->mutex};
  return state_->err;
}

std::vector<std::string> Program::lines() const { return split(output()); }

std::vector<std::string> Program::error_lines() const { return split(errors()); }

int Program::count(std::string_view line) const {
  const std::vector<std::string> all = lines();
  return static_cast<int>(std::count(all.begin(), all.end(), line));
}

testing::AssertionResult Program::wait_until(const std::string& what,
                                             const std::function<bool()>& done,
                                             milliseconds deadline) {
  Deadline end{deadline};
  while (!done()) {
    if (end.passed())
      return testing::AssertionFailure() << "waited in vain for " << what << '\n' << transcript();
    std::unique_lock lock{state_->mutex};
    state_->changed.wait_for(lock, milliseconds{10});
  }
  return testing::AssertionSuccess();
}

testing::AssertionResult Program::wait_for_line(std::string_view line, int times,
                                                milliseconds deadline) {
  return wait_until(
      "the line `" + std::string{line} + "`, " + std::to_string(times) + " times",
      [&] { return count(line) >= times; }, deadline);
}

testing::AssertionResult Program::wait_for_error(const std::string& pattern,
                                                 milliseconds deadline) {
  const std::regex regex{pattern};
  return wait_until(
      "stderr to match " + pattern, [&] { return any_matches(errors(), regex); }, deadline);
}

testing::AssertionResult Program::wait_for_match(const std::string& pattern,
                                                 milliseconds deadline) {
  const std::regex regex{pattern};
  return wait_until(
      "stdout to match " + pattern, [&] { return any_matches(output(), regex); }, deadline);
}

bool Program::has_exited() { return state_->reap(); }

std::optional<Ended> Program::wait_exit(milliseconds deadline) {
  if (!eventually("exit", [&] { return state_->reap(); }, deadline)) return std::nullopt;
  // Its last output may still be on the way to the readers; a second is plenty for what is in a
  // pipe.
  std::unique_lock lock{state_->mutex};
  state_->changed.wait_for(lock, milliseconds{1000}, [&] { return state_->open_outputs == 0; });
  return state_->ended;
}

testing::AssertionResult Program::exits_with(int code, milliseconds deadline) {
  const std::optional<Ended> ended = wait_exit(deadline);
  if (!ended) return testing::AssertionFailure() << "still runs\n" << transcript();
  if (ended->code == code) return testing::AssertionSuccess();
  auto failure = testing::AssertionFailure();
  if (ended->signal) failure << "killed by signal " << *ended->signal;
  if (ended->code) failure << "exited with " << *ended->code;
  return failure << " instead of exiting with " << code << '\n' << transcript();
}

testing::AssertionResult Program::ends_on_interrupt() {
  signal_group(SIGINT);
  const testing::AssertionResult ended = exits_with(0);
  return ended ? leaves_no_process() : ended;
}

std::vector<pid_t> Program::descendants() const {
  std::vector<pid_t> found = processes_marked(state_->mark);
  std::erase(found, state_->pid);
  return found;
}

testing::AssertionResult Program::leaves_no_process(milliseconds deadline) {
  const auto none = [&] {
    // Orphans that died are reaped here, by pid: the processes of other Programs are left alone.
    for (pid_t child : children_of(getpid()))
      if (is_zombie(child) && !roots.contains(child)) waitpid(child, nullptr, WNOHANG);
    return descendants().empty();
  };
  auto result = wait_until("the last process to end", none, deadline);
  if (!result)
    for (pid_t pid : descendants()) result << "left: " << pid << ' ' << command_of(pid) << '\n';
  return result;
}

std::string Program::transcript() const {
  const auto tail = [](const std::string& text) {
    constexpr std::size_t kShown = 4000;
    return text.size() <= kShown ? text : "[...]" + text.substr(text.size() - kShown);
  };
  return "--- stdout\n" + tail(output()) + "--- stderr\n" + tail(errors()) + "---\n";
}

testing::AssertionResult eventually(const std::string& what, const std::function<bool()>& done,
                                    milliseconds deadline) {
  Deadline end{deadline};
  while (!done()) {
    if (end.passed()) return testing::AssertionFailure() << "waited in vain for " << what;
    std::this_thread::sleep_for(milliseconds{2});
  }
  return testing::AssertionSuccess();
}

}  // namespace harness
