// stderr of the command and of its workers, whatever it is: nobody waits for who reads it, and
// nothing that a worker writes is lost.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "harness/client.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

using namespace std::chrono_literals;
using Arguments = std::vector<std::string>;

constexpr const char* kServer = R"(
require('http').createServer((req, res) => res.end(String(process.pid)))
  .listen(Number(process.argv[2]));
)";

// Both ends of what a program gets as its stderr.
class Outlet {
 public:
  enum class Kind { Pipe, Socket, Terminal };

  explicit Outlet(Kind kind) {
    int fds[2] = {-1, -1};
    if (kind == Kind::Pipe) {
      EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    } else if (kind == Kind::Socket) {
      EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    } else {
      fds[0] = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
      EXPECT_EQ(::grantpt(fds[0]) | ::unlockpt(fds[0]), 0);
      fds[1] = ::open(::ptsname(fds[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    }
    reader_ = fds[0];
    writer_ = fds[1];
  }
  ~Outlet() {
    ::close(reader_);
    close_writer();
  }
  Outlet(const Outlet&) = delete;
  Outlet& operator=(const Outlet&) = delete;

  int writer() const { return writer_; }
  void close_writer() {
    if (writer_ >= 0) ::close(std::exchange(writer_, -1));
  }
  /// Nothing fits in any more. It is the test's own open file, whose flags the program may not see
  /// changed: so only while it fills it.
  void fill() {
    if (::isatty(writer_) == 1) {
      EXPECT_EQ(::tcflow(writer_, TCOOFF), 0);  // Ctrl-S
      return;
    }
    const int flags = ::fcntl(writer_, F_GETFL);
    ::fcntl(writer_, F_SETFL, flags | O_NONBLOCK);
    const std::string junk(4096, '.');
    for (std::size_t size = junk.size(); size > 0; size /= 2)
      while (::write(writer_, junk.data(), size) > 0) {
      }
    ::fcntl(writer_, F_SETFL, flags);
  }
  /// What comes up to the end, or until `enough`; `size` bytes and then a rest of `pause`.
  std::string read_all(std::size_t size, milliseconds pause, std::size_t enough = SIZE_MAX) {
    std::string all, piece(size, '\0');
    for (;;) {
      pollfd ready{reader_, POLLIN, 0};
      if (::poll(&ready, 1, static_cast<int>(kPatience.count())) <= 0) break;
      const ssize_t result = ::read(reader_, piece.data(), piece.size());
      if (result <= 0) break;
      all.append(piece, 0, static_cast<std::size_t>(result));
      if (all.size() >= enough) break;
      ::poll(nullptr, 0, static_cast<int>(pause.count()));
    }
    return all;
  }

 private:
  int reader_ = -1;
  int writer_ = -1;
};

class Stderr : public testing::Test {
 protected:
  /// Starts `cohort run` with `fd` as its stderr, after the words of `before` (`setpriv`...).
  std::unique_ptr<Program> run_into(int fd, const Arguments& arguments,
                                    const Arguments& before = {}) {
    constexpr int kNumber = 9;
    EXPECT_EQ(::dup2(fd, kNumber), kNumber);
    Arguments argv{"sh", "-c", "exec \"$0\" \"$@\" 2>&9 9>&-"};
    argv.insert(argv.end(), before.begin(), before.end());
    argv.insert(argv.end(), {command(), "run"});
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    auto program = std::make_unique<Program>(argv, options());
    ::close(kNumber);
    return program;
  }
  ProgramOptions options() const {
    const std::string node_folder = std::filesystem::path{node_}.parent_path();
    return {.env = {{"PATH", node_folder + ':' + ::getenv("PATH")}}, .cwd = folder_.path()};
  }
  std::string text_of(const std::string& name) const {
    std::ifstream file{folder_.path() + '/' + name};
    return {std::istreambuf_iterator<char>{file}, {}};
  }

  TempDir folder_;
  std::string node_ = node20();
};

// --- nobody reads

struct Silence {
  const char* name;
  Outlet::Kind kind;
  Arguments options;
  bool as_nobody;
};

class StderrThatNobodyReads : public Stderr, public testing::WithParamInterface<Silence> {};
INSTANTIATE_TEST_SUITE_P(
    All, StderrThatNobodyReads,
    testing::Values(Silence{"Pipe", Outlet::Kind::Pipe, {}, false},
                    Silence{"PipeWithJson", Outlet::Kind::Pipe, {"--json"}, false},
                    Silence{"PipeOfAnotherUser", Outlet::Kind::Pipe, {}, true},
                    Silence{"Socket", Outlet::Kind::Socket, {}, false},
                    Silence{"StoppedTerminal", Outlet::Kind::Terminal, {}, false},
                    Silence{"StoppedTerminalOfAnotherUser", Outlet::Kind::Terminal, {}, true}),
    [](const auto& test) { return std::string{test.param.name}; });

TEST_P(StderrThatNobodyReads, HoldsUpNeitherASuccessorNorTheEnd) {
  if (GetParam().as_nobody && ::getuid() != 0) GTEST_SKIP() << "needs root, to be nobody";
  const std::string script = folder_.write("server.js", kServer);
  for (const std::string& path : {folder_.path(), script})
    std::filesystem::permissions(path, std::filesystem::perms{0755});
  Outlet outlet{GetParam().kind};
  outlet.fill();
  const std::uint16_t port = free_port();
  Arguments arguments = GetParam().options;
  arguments.insert(arguments.end(), {"-w", "1", "server.js", std::to_string(port)});
  const Arguments nobody{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
  auto program = run_into(outlet.writer(), arguments, GetParam().as_nobody ? nobody : Arguments{});
  ASSERT_TRUE(accepts(port));
  const std::string first = http_get(port).body;
  ASSERT_EQ(::kill(static_cast<pid_t>(std::stoi(first)), SIGKILL), 0);
  EXPECT_TRUE(eventually("a successor serves", [&] {
    const std::string pid = http_get(port).body;
    return !pid.empty() && pid != first;
  }));
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(0));
  EXPECT_TRUE(program->leaves_no_process());
}

TEST_F(Stderr, AReaderThatComesLateFindsTheLinesInOrder) {
  folder_.write("server.js", kServer);
  Outlet outlet{Outlet::Kind::Pipe};
  outlet.fill();
  const std::uint16_t port = free_port();
  auto program = run_into(outlet.writer(), {"-w", "1", "server.js", std::to_string(port)});
  ASSERT_TRUE(accepts(port));
  program->signal(SIGTERM);
  outlet.close_writer();
  const std::string text = outlet.read_all(4096, 0ms);
  EXPECT_TRUE(program->exits_with(0));
  EXPECT_TRUE(std::regex_search(text.substr(text.find_first_not_of('.')),
                                std::regex{"^cohort: 1 worker.*\n(cohort: .*\n)*cohort: "
                                           "stopping.*\n(cohort: .*\n)*cohort: stopped\n$"}))
      << text.substr(text.find_first_not_of('.'));
}

// --- what a worker writes

// Ends by itself after its last words; five times, as it is never ready.
constexpr const char* kCrashing = R"(
import os, sys
size = int(sys.argv[1])
line = b'x' * 99 + b'\n'
left = size
while left > 0:
    left -= os.write(2, line * (left // 100) if left >= 100 else b'\n')
os.abort()
)";

TEST_F(Stderr, LastWordsOfACrashAllArriveHoweverSlowlyTheyAreRead) {
  folder_.write("crash.py", kCrashing);
  Outlet outlet{Outlet::Kind::Pipe};
  auto program = run_into(outlet.writer(), {"-w", "1", "python3", "crash.py", "1500000"});
  outlet.close_writer();
  const std::string text = outlet.read_all(64 * 1024, 1ms);
  EXPECT_TRUE(program->exits_with(111));
  const auto bytes = std::count(text.begin(), text.end(), 'x');
  EXPECT_GE(bytes, 5 * 1'500'000 / 100 * 99);
  // The reason quotes twenty lines of them.
  EXPECT_LE(bytes, (5 * 1'500'000 / 100 + 20) * 99);
}

TEST_F(Stderr, ASlowReaderSlowsAWorkerDownAndLosesNothing) {
  folder_.write("writer.py", R"(
import sys, time
for i in range(100000):
    sys.stderr.write('line %06d %s\n' % (i, 'x' * 60))
sys.stderr.write('end of lines\n')
sys.stderr.flush()
while True: time.sleep(1000)
)");
  Outlet outlet{Outlet::Kind::Pipe};
  auto program = run_into(outlet.writer(), {"-w", "1", "python3", "writer.py"});
  std::string text;
  while (text.find("end of lines\n") == std::string::npos) {
    const std::string more = outlet.read_all(32 * 1024, 1ms, 1);
    ASSERT_FALSE(more.empty());
    text += more;
  }
  // Lines of cohort's own come between what the reader took, not always between two lines.
  for (std::size_t at = 0; (at = text.find("cohort: ", at)) != std::string::npos;)
    text.erase(at, text.find('\n', at) + 1 - at);
  int line = 0;
  for (std::size_t at = text.find("line 000000"); line < 100000; ++line) {
    char words[16];
    std::snprintf(words, sizeof words, "line %06d", line);
    ASSERT_EQ(text.substr(at, 11), words);
    at = text.find("\n", at) + 1;
  }
  program->signal(SIGTERM);
  outlet.close_writer();
  outlet.read_all(64 * 1024, 0ms);
  EXPECT_TRUE(program->exits_with(0));
}

class StderrWithNode : public Stderr, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override { node_ = GetParam() == std::string{"20"} ? node20() : node26(); }
};
INSTANTIATE_TEST_SUITE_P(Node, StderrWithNode, testing::Values("20", "26"),
                         [](const auto& test) { return std::string{test.param}; });

// Node's writes to a pipe do not wait: of 1.5 MB it loses what the pipe has no room for.
TEST_P(StderrWithNode, OfTheLastWordsOfACrashAMegabyteArrives) {
  folder_.write("crash.js", "process.stderr.write('x'.repeat(1.5e6)); process.abort();");
  Outlet outlet{Outlet::Kind::Pipe};
  auto program = run_into(outlet.writer(), {"-w", "1", "crash.js"});
  outlet.close_writer();
  const std::string text = outlet.read_all(64 * 1024, 1ms);
  EXPECT_TRUE(program->exits_with(111));
  EXPECT_GE(std::count(text.begin(), text.end(), 'x'), 5 * 1'000'000);
}

TEST_P(StderrWithNode, ATerminalIsTheWorkersTerminal) {
  folder_.write("tty.js", R"(
    // As text: console.log colours values on a terminal.
    console.log(`out ${process.stdout.isTTY} ${process.stdout.columns}`);
    console.log(`err ${process.stderr.isTTY} ${process.stderr.columns} ${process.stderr.hasColors({TERM: 'xterm'})}`);
    setInterval(() => {}, 1e6);
  )");
  ProgramOptions terminal = options();
  terminal.terminal = true;
  Program program{{command(), "run", "-w", "1", "tty.js"}, terminal};
  EXPECT_TRUE(program.wait_for_line("out true 80"));
  EXPECT_TRUE(program.wait_for_line("err true 80 true"));
}

TEST_P(StderrWithNode, AFileAndASocketAreTheWorkersToo) {
  folder_.write("kind.js", R"(
    const info = require('fs').fstatSync(2);
    console.error('is', info.isFile() ? 'file' : info.isSocket() ? 'socket' : 'other');
    process.exit(3);
  )");
  const std::string log = folder_.path() + "/log";
  const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  EXPECT_TRUE(run_into(file, {"-w", "1", "kind.js"})->exits_with(111));
  ::close(file);
  const std::string text = text_of("log");
  EXPECT_NE(text.find("is file\n"), std::string::npos) << text;
  EXPECT_TRUE(std::regex_search(text, std::regex{"giving up.*\n(  .*\n)*  is file\n"})) << text;
  Outlet outlet{Outlet::Kind::Socket};
  auto program = run_into(outlet.writer(), {"-w", "1", "kind.js"});
  outlet.close_writer();
  EXPECT_NE(outlet.read_all(4096, 0ms).find("is socket\n"), std::string::npos);
  EXPECT_TRUE(program->exits_with(111));
}

TEST_F(Stderr, OnATerminalTheReasonOfGivingUpDoesNotRepeatWhatIsOnTheScreen) {
  ProgramOptions terminal = options();
  terminal.terminal = true;
  Program program{{command(), "run", "-w", "1", "sh", "-c", "echo no database >&2; exit 3"},
                  terminal};
  EXPECT_TRUE(program.exits_with(111));
  EXPECT_EQ(program.count("no database"), 5);
  EXPECT_TRUE(program.wait_for_match("giving up; the last one: pid [0-9]+ exited with code 3"));
  EXPECT_EQ(program.count("  no database"), 0);
}

// --- the library alone

TEST_F(Stderr, APrimaryOfTheLibrarySaysWhyItGivesUpAndLosesNoLastWords) {
  folder_.write("crash.py", kCrashing);
  Outlet outlet{Outlet::Kind::Pipe};
  const std::string script =
      folder_.write("worker", "#!/bin/sh\nexec python3 " + folder_.path() + "/crash.py 600000\n");
  EXPECT_EQ(::dup2(outlet.writer(), 9), 9);
  Program program{{"sh", "-c", "exec \"$0\" \"$@\" 2>&9 9>&-", helper("keeper"), "--exec", script}};
  ::close(9);
  outlet.close_writer();
  const std::string text = outlet.read_all(16 * 1024, 1ms);
  EXPECT_TRUE(program.exits_with(1));
  EXPECT_GE(std::count(text.begin(), text.end(), 'x'), 5 * 600'000 / 100 * 99);
  EXPECT_NE(text.find("cohort: no worker was ever ready after 5 tries"), std::string::npos);
}

}  // namespace
}  // namespace harness
