// Whose the workers of `cohort run` are, what they may, what they know and what they hold: --user,
// --group, --no-new-privs, --env-only, and the descriptors of every worker. Real programs; what
// they are is read in /proc.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "harness/clients.h"
#include "harness/verbs.h"

namespace harness {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr const char* kNobodysIds = "65534\t65534\t65534\t65534";
constexpr const char* kRootsIds = "0\t0\t0\t0";
const Words kAsNobody{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};

std::string proc_file(pid_t pid, const char* name) {
  std::ifstream file{"/proc/" + std::to_string(pid) + '/' + name, std::ios::binary};
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// `Uid`, `Groups`, `NoNewPrivs`...
std::string status_of(pid_t pid, const std::string& name) {
  std::istringstream lines{proc_file(pid, "status")};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name + ":\t")) continue;
    line.erase(0, name.size() + 2);
    while (line.ends_with(' ')) line.pop_back();
    return line;
  }
  return {};
}

// What it was started with.
std::map<std::string, std::string> variables_of(pid_t pid) {
  std::map<std::string, std::string> all;
  std::istringstream entries{proc_file(pid, "environ")};
  for (std::string entry; std::getline(entries, entry, '\0');)
    all[entry.substr(0, entry.find('='))] = entry.substr(entry.find('=') + 1);
  return all;
}

class Privileges : public Verbs {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root may run workers as another user";
    fs::permissions(folder_.path(), fs::perms{0755});
  }
  // For every user to read, as the code of an application is.
  void write(std::string_view name, const std::string& text) const {
    fs::permissions(folder_.write(name, text), fs::perms{0755});
  }
  std::unique_ptr<Program> run_server(Words options) {
    write("server.js", script("hello"));
    options.insert(options.begin(), {"-w", "2", "--prove", "0.2"});
    options.emplace_back("server.js");
    return run(options);
  }
  // What starts with `before` and runs for this test.
  std::unique_ptr<Program> start(Words before, const Words& words) const {
    before.insert(before.end(), {command(), "run"});
    before.insert(before.end(), words.begin(), words.end());
    return std::make_unique<Program>(before, surroundings());
  }
  // Once there are so many, and each runs its program.
  static std::vector<pid_t> workers_of(const Program& program, const std::string& runs,
                                       std::size_t count = kWorkers) {
    std::vector<pid_t> workers;
    EXPECT_TRUE(eventually("workers that run " + runs, [&] {
      workers = children_of(program.pid());
      // Until exec a child has the memory of its parent, and so its command.
      const std::string primarys = command_of(program.pid());
      return workers.size() == count && std::all_of(workers.begin(), workers.end(), [&](pid_t pid) {
               const std::string command = command_of(pid);
               return command != primarys && has(command, runs);
             });
    })) << program.transcript();
    return workers;
  }
  static void expect_ids(const std::vector<pid_t>& workers, const std::string& ids) {
    EXPECT_EQ(workers.size(), kWorkers);
    for (const pid_t pid : workers) {
      EXPECT_EQ(status_of(pid, "Uid"), ids) << pid;
      EXPECT_EQ(status_of(pid, "Gid"), ids) << pid;
    }
  }
  void expect_served(const std::string& body = "hello\n") const {
    for (int i = 0; i < 8; ++i) EXPECT_EQ(http_get(port).body, body);
  }
};

// --- who they are

TEST_F(Privileges, WorkersAreOfTheUserAndThePrimaryStaysRoot) {
  const auto program = run_server({"--user", "nobody", "--no-new-privs"});
  const auto workers = workers_of(*program, "server.js");
  expect_ids(workers, kNobodysIds);
  for (const pid_t pid : workers) {
    EXPECT_EQ(status_of(pid, "Groups"), "65534");
    EXPECT_EQ(status_of(pid, "CapPrm"), "0000000000000000");
    EXPECT_EQ(status_of(pid, "NoNewPrivs"), "1");
    auto variables = variables_of(pid);
    EXPECT_EQ(variables["HOME"], "/nonexistent");
    EXPECT_EQ(variables["USER"], "nobody");
    EXPECT_EQ(variables["LOGNAME"], "nobody");
    EXPECT_TRUE(has(variables["NODE_OPTIONS"], "--require")) << "the preload";
  }
  EXPECT_EQ(status_of(program->pid(), "Uid"), kRootsIds);
  EXPECT_EQ(status_of(program->pid(), "NoNewPrivs"), "0");
  EXPECT_FALSE(has(program->errors(), "preload")) << program->transcript();
  expect_served();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Privileges, AGroupIsInThePlaceOfTheUsersOwn) {
  const auto program = run_server({"--user", "65534", "--group", "0"});
  for (const pid_t pid : workers_of(*program, "server.js")) {
    EXPECT_EQ(status_of(pid, "Uid"), kNobodysIds);
    EXPECT_EQ(status_of(pid, "Gid"), kRootsIds);
    EXPECT_EQ(status_of(pid, "Groups"), "0");
    EXPECT_EQ(status_of(pid, "NoNewPrivs"), "0");
  }
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Privileges, HoldForTheSuccessorTheNextGenerationAndAfterARestart) {
  const auto program = run_server(
      {"--user", "nobody", "--no-new-privs", "--env-only", "PATH,TEST_PORT,COHORT_HARNESS_MARK"});
  const auto expect_all = [&] {
    const auto workers = workers_of(*program, "server.js");
    expect_ids(workers, kNobodysIds);
    for (const pid_t pid : workers) {
      EXPECT_EQ(status_of(pid, "NoNewPrivs"), "1");
      EXPECT_FALSE(variables_of(pid).contains("COHORT_RUNTIME_DIR"));
      EXPECT_EQ(variables_of(pid)["USER"], "nobody");
    }
    return workers;
  };
  const auto first = expect_all();
  ASSERT_FALSE(first.empty());
  ::kill(first.front(), SIGKILL);
  ASSERT_TRUE(program->wait_for_error("worker 3 .*listens in place of")) << program->transcript();
  const auto second = expect_all();
  EXPECT_NE(second, first);
  EXPECT_EQ(verb({"reload"}).code, 0) << program->transcript();
  const auto third = expect_all();
  for (const pid_t pid : third)
    EXPECT_EQ(std::count(second.begin(), second.end(), pid), 0) << "a new generation";
  EXPECT_EQ(verb({"restart"}).code, 0) << program->transcript();
  const auto fourth = expect_all();
  for (const pid_t pid : fourth) EXPECT_EQ(std::count(third.begin(), third.end(), pid), 0);
  EXPECT_EQ(status_of(program->pid(), "Uid"), kRootsIds);
  expect_served();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Privileges, OfTheFileAreReadAgainByAReload) {
  write("server.js", script("hello"));
  const auto write_file = [&](const std::string& keys) {
    write("cohort.toml", "[server]\nprogram = 'server.js'\nworkers = 2\nprove = 0.2\n" + keys);
  };
  write_file("user = 'nobody'\nno-new-privs = true\nenv-only = ['PATH', 'TEST_PORT']\n");
  const auto program = run({});
  auto workers = workers_of(*program, "server.js");
  expect_ids(workers, kNobodysIds);

  write_file("user = 'no-such-user'\n");
  EXPECT_NE(verb({"reload"}).code, 0);
  EXPECT_TRUE(program->wait_for_error("user no-such-user: there is none called so here"));
  EXPECT_EQ(workers_of(*program, "server.js"), workers);

  write_file("");
  EXPECT_EQ(verb({"reload"}).code, 0) << program->transcript();
  EXPECT_TRUE(program->wait_for_error("user nobody -> cohort's; no-new-privs yes -> no; env-only"));
  workers = workers_of(*program, "server.js");
  expect_ids(workers, kRootsIds);
  for (const pid_t pid : workers) {
    EXPECT_EQ(status_of(pid, "NoNewPrivs"), "0");
    EXPECT_FALSE(variables_of(pid).contains("LOGNAME") && variables_of(pid)["LOGNAME"] == "nobody");
    EXPECT_TRUE(variables_of(pid).contains("COHORT_RUNTIME_DIR")) << "all are inherited again";
  }
  EXPECT_TRUE(program->ends_on_interrupt());
}

// --- who may not

TEST_F(Privileges, AUserThatIsNotThereIsOneLineAndNothingStarts) {
  for (const auto& [option, name] :
       {std::pair{"--user", "no-such-user"}, std::pair{"--group", "no-such-group"}}) {
    const auto program = start({}, {option, name, "sleep", "1000"});
    EXPECT_TRUE(program->exits_with(100));
    EXPECT_EQ(program->error_lines().size(), 1U) << program->transcript();
    EXPECT_TRUE(has(program->errors(), std::string{name} + ": there is none called so here"));
  }
}

TEST_F(Privileges, WithoutRootAnotherUserIsOneLineAndNothingStarts) {
  const auto program = start(kAsNobody, {"--user", "root", "sleep", "1000"});
  EXPECT_TRUE(program->exits_with(100));
  EXPECT_EQ(program->error_lines().size(), 1U) << program->transcript();
  EXPECT_TRUE(has(program->errors(),
                  "only root may run workers as another user: it needs "
                  "CAP_SETUID, CAP_SETGID and CAP_KILL"))
      << program->transcript();
}

TEST_F(Privileges, WithoutRootItsOwnUserIsFine) {
  fs::permissions(folder_.path(), fs::perms{0777});
  const auto program = start(kAsNobody, {"-w", "2", "--user", "nobody", "sleep", "1000"});
  expect_ids(workers_of(*program, "sleep"), kNobodysIds);
  EXPECT_TRUE(program->ends_on_interrupt());
}

// The directory and the socket keep others out; here somebody has opened both.
TEST_F(Privileges, AnotherUserGetsNoAnswerFromTheControlSocketAndChangesNothing) {
  const auto program = run_server({});
  const auto workers = workers_of(*program, "server.js");
  const std::string socket = runtime_ + "/server.sock";
  fs::permissions(runtime_, fs::perms{0755});
  fs::permissions(socket, fs::perms{0666});
  const auto request = [](const std::string& line, const std::string& body = {}) {
    return line + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  bool may_connect = false;
  std::string answer;
  // The system call changes the ids of this thread alone.
  std::thread{[&] {
    if (::syscall(SYS_setresuid, -1, 65534, -1) != 0) return;
    may_connect = ::faccessat(AT_FDCWD, socket.c_str(), W_OK, AT_EACCESS) == 0;
    answer = say(request("GET /v1/status")) + say(request("POST /v1/reload")) +
             say(request("POST /v1/scale", R"({"workers":4})")) +
             say(request("POST /v1/kill", R"({"slot":0,"signal":"KILL"})")) +
             say(request("POST /v1/stop"));
  }}.join();
  EXPECT_TRUE(may_connect);
  EXPECT_EQ(answer, "");
  const auto asks = [&](const std::string& word) {
    Words words = kAsNobody;
    words.insert(words.end(), {command(), word, "server"});
    Program verb{words, surroundings()};
    EXPECT_FALSE(verb.exits_with(0, kPatience)) << verb.transcript();
    return verb.output() + verb.errors();
  };
  for (const char* word : {"status", "stop"})
    EXPECT_FALSE(has(asks(word), "server has stopped")) << word;
  EXPECT_TRUE(has(say(request("GET /v1/status")), "200 OK")) << "root does";
  EXPECT_EQ(workers_of(*program, "server.js"), workers);
  EXPECT_TRUE(has(verb({"status"}).out, "server: 2 of 2 workers listen, generation 1"));
  expect_served();
  EXPECT_TRUE(program->ends_on_interrupt());
}

// --- what works for them

TEST_F(Privileges, APortBelow1024IsOpenedByThePrimary) {
  std::uint16_t low = 0;
  for (std::uint16_t each = 1023; each > 600 && low == 0; --each) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = htons(each), .sin_addr = {}, .sin_zero = {}};
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) low = each;
    ::close(fd);
  }
  ASSERT_NE(low, 0);
  const auto program =
      run_server({"--user", "nobody", "--env", "TEST_PORT=" + std::to_string(low)});
  expect_ids(workers_of(*program, "server.js"), kNobodysIds);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(http_get(low).body, "hello\n");
  EXPECT_TRUE(program->ends_on_interrupt());
}

class PrivilegesUnder : public Privileges, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Policies, PrivilegesUnder,
                         testing::Values("adaptive", "hash", "sticky", "round-robin", "shared"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(PrivilegesUnder, WorkersOfAnotherUserServe) {
  const auto program = run_server({"--user", "nobody", "--no-new-privs", "-b", GetParam()});
  expect_ids(workers_of(*program, "server.js"), kNobodysIds);
  expect_served();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_P(PrivilegesUnder, WorkersOfAnotherUserInCppServe) {
  const auto program = run({"-w", "2", "--user", "nobody", "--no-new-privs", "-b", GetParam(),
                            example("hello_cluster"), "--quiet", "--port", std::to_string(port)});
  expect_ids(workers_of(*program, "hello_cluster"), kNobodysIds);
  expect_served("hello world\n");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Privileges, AUnixSocketIsMadeByThePrimaryWhereTheUserMayNotWrite) {
  write("unix.js",
        "require('http').createServer((request, response) => response.end('unix'))\n"
        "  .listen(process.argv[2]);\n");
  const std::string path = folder_.path() + "/a.sock";
  const auto program = run({"-w", "2", "--user", "nobody", "unix.js", path});
  expect_ids(workers_of(*program, "unix.js"), kNobodysIds);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const std::string_view request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  char buffer[4096];
  for (ssize_t size = 0; (size = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<std::size_t>(size));
  ::close(fd);
  EXPECT_TRUE(has(answer, "unix")) << answer;
  EXPECT_TRUE(program->ends_on_interrupt());
}

// --- what works without any privilege

// It takes its connections from descriptor 3, and when it is told to end it says `close` with the
// next answer on each.
constexpr const char* kPython =
    "import os, select, signal, socket, threading\n"
    "ending = False\n"
    "def end(*_):\n"
    "    global ending\n"
    "    ending = True\n"
    "woken, wakes = socket.socketpair()\n"
    "wakes.setblocking(False)\n"
    "signal.set_wakeup_fd(wakes.fileno())\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "def serve(client):\n"
    "    text = b''\n"
    "    with client:\n"
    "        while True:\n"
    "            while b'\\r\\n\\r\\n' not in text:\n"
    "                more = client.recv(4096)\n"
    "                if not more: return\n"
    "                text += more\n"
    "            head, _, text = text.partition(b'\\r\\n\\r\\n')\n"
    "            last = ending or b'Connection: close' in head\n"
    "            client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 12\\r\\n' +\n"
    "                           (b'Connection: close\\r\\n' if last else b'') +\n"
    "                           b'\\r\\nhello world\\n')\n"
    "            if last: return\n"
    "listening = socket.socket(fileno=3)\n"
    "listening.setblocking(False)\n"
    "while not ending:\n"
    "    select.select([listening, woken], [], [])\n"
    "    if ending: break\n"
    "    try: client = listening.accept()[0]\n"
    "    except OSError: continue\n"
    "    client.setblocking(True)\n"
    "    threading.Thread(target=serve, args=(client,)).start()\n";

class AsNobody : public Privileges {
 protected:
  std::unique_ptr<Program> start_as_nobody(const Words& words) {
    constexpr uid_t kNobody = 65534;
    fs::create_directory(runtime_);
    EXPECT_EQ(::chown(runtime_.c_str(), kNobody, kNobody), 0);
    Words all{"-w", "2", "--prove", "0.2"};
    all.insert(all.end(), words.begin(), words.end());
    auto program = start(kAsNobody, all);
    EXPECT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
    EXPECT_EQ(status_of(program->pid(), "Uid"), kNobodysIds);
    EXPECT_EQ(status_of(program->pid(), "CapEff"), "0000000000000000");
    return program;
  }
  void expect_all_is_well(Program& program) {
    const auto ask = [&](const Words& words) {
      Words all = kAsNobody;
      all.push_back(command());
      all.insert(all.end(), words.begin(), words.end());
      Program verb{all, surroundings()};
      const auto ended = verb.wait_exit();
      return Said{ended ? ended->code.value_or(-1) : -1, verb.output(), verb.errors()};
    };
    expect_changes_lose_nothing(program, port, ask);
    expect_a_killed_worker_loses_only_what_it_had(program, program.pid(), port, ask);
    EXPECT_TRUE(program.ends_on_interrupt());
  }
};

TEST_F(AsNobody, AServerOfNodeLosesNothingButWhatAKilledWorkerHad) {
  write("server.js", script("hello world"));
  const auto program = start_as_nobody({"server.js"});
  expect_all_is_well(*program);
}

TEST_F(AsNobody, AServerOfPythonLosesNothingButWhatAKilledWorkerHad) {
  write("server.py", kPython);
  const auto program = start_as_nobody({"--listen", std::to_string(port), "server.py"});
  expect_all_is_well(*program);
}

// --- what they know

TEST_F(Privileges, WorkersInheritTheNamedVariablesAlone) {
  const auto program = start({}, {"-w", "2", "--env-only", "TEST_PORT,NO_SUCH_VARIABLE", "--env",
                                  "MORE=1", "sleep", "1000"});
  for (const pid_t pid : workers_of(*program, "sleep")) {
    std::set<std::string> names;
    for (const auto& [name, value] : variables_of(pid)) names.insert(name);
    EXPECT_EQ(names,
              (std::set<std::string>{"TEST_PORT", "MORE", "COHORT_GENERATION", "COHORT_LIFELINE_FD",
                                     "COHORT_SLOT", "NODE_APP_INSTANCE", "NODE_CHANNEL_FD",
                                     "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID"}));
  }
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
}

// --- what they hold

using Descriptors = std::map<int, std::string>;

// Whether both are the same open file: kcmp(2), KCMP_FILE.
bool is_same_file(pid_t one, int fd_of_one, pid_t other, int fd_of_other) {
  constexpr int kFile = 0;
  return ::syscall(SYS_kcmp, one, other, kFile, fd_of_one, fd_of_other) == 0;
}

bool can_compare() { return is_same_file(::getpid(), 2, ::getpid(), 2); }

std::string described(const Descriptors& fds) {
  std::ostringstream text;
  for (const auto& [fd, target] : fds) text << fd << ' ' << target << '\n';
  return text.str();
}

// Above stdio, what one process has in common with another.
Descriptors shared(pid_t one, pid_t other) {
  Descriptors found;
  for (const auto& [fd, target] : fds_of(one)) {
    if (fd <= STDERR_FILENO) continue;
    for (const auto& [theirs, ignored] : fds_of(other))
      if (is_same_file(one, fd, other, theirs)) found[fd] = target;
  }
  return found;
}

// `socket`, `anon_inode:[eventpoll]`, a path; a pipe only if its other end is elsewhere. How many.
std::map<std::string, int> kinds_of(const Descriptors& fds, int first) {
  std::map<std::string, int> kinds;
  for (const auto& [fd, target] : fds) {
    if (fd < first || target == "/dev/null") continue;
    if (target.starts_with("pipe:") && std::count_if(fds.begin(), fds.end(), [&](auto& each) {
                                         return each.second == target;
                                       }) > 1)
      continue;
    const bool numbered = target.starts_with("pipe:") || target.starts_with("socket:");
    ++kinds[numbered ? target.substr(0, target.find(':')) : target];
  }
  return kinds;
}

class HeldDescriptors : public Privileges {
 protected:
  // Under a shell that has left some open to whatever it runs, as careless ones do.
  std::unique_ptr<Program> start_with_open_files(const Words& words) {
    write("file", "secret\n");
    auto program = start({"sh", "-c", "exec 7<file 8>>file 9<file; exec \"$@\"", "sh"}, words);
    EXPECT_TRUE(program->wait_for_error("[0-9] workers of ")) << program->transcript();
    const auto fds = fds_of(program->pid());
    for (const int fd : {7, 8, 9})
      EXPECT_TRUE(fds.contains(fd) && has(fds.at(fd), "/file")) << "the primary has it";
    return program;
  }
  // Exactly these, which is what spawn gives them: nothing closes or opens any.
  static void expect_held(const Program& primary, pid_t worker, int listening) {
    const int channel = 3 + listening, lifeline = channel + 1;
    std::set<int> expected;
    for (int fd = 0; fd <= lifeline; ++fd) expected.insert(fd);
    // While it starts, a program reads files of its own: libraries, locales.
    Descriptors fds;
    ASSERT_TRUE(eventually("only what it was given", [&] {
      fds = fds_of(worker);
      std::set<int> numbers;
      for (const auto& [fd, target] : fds) numbers.insert(fd);
      return numbers == expected;
    })) << described(fds);
    for (int fd = 3; fd <= channel; ++fd) EXPECT_TRUE(has(fds.at(fd), "socket:")) << described(fds);
    EXPECT_TRUE(has(fds.at(lifeline), "pipe:")) << described(fds);
    if (!can_compare()) return;
    Descriptors ports;
    for (int fd = 3; fd < channel; ++fd) ports[fd] = fds.at(fd);
    // The primary closes its copies a moment after the program runs.
    EXPECT_TRUE(eventually("the ports to be shared, and not the channel's end", [&] {
      return shared(worker, primary.pid()) == ports;
    })) << described(shared(worker, primary.pid()));
  }
  // Above stdio, with the primary: its own port, and nothing else. With the others: nothing.
  static void expect_only_its_port_is_shared(const Program& program,
                                             const std::vector<pid_t>& workers) {
    if (!can_compare()) GTEST_SKIP() << "no kcmp(2) here";
    for (const pid_t pid : workers) {
      EXPECT_TRUE(eventually("one socket is shared", [&] {
        const auto found = shared(pid, program.pid());
        return found.size() == 1 && has(found.begin()->second, "socket:");
      })) << described(shared(pid, program.pid()));
      for (const pid_t other : workers)
        EXPECT_TRUE(pid == other || shared(pid, other).empty()) << described(shared(pid, other));
    }
  }
};

TEST_F(HeldDescriptors, OfAProgramAreStdioTheChannelAndTheLifeline) {
  const auto program = start_with_open_files({"-w", "2", "sleep", "1000"});
  for (const pid_t pid : workers_of(*program, "sleep")) expect_held(*program, pid, 0);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(HeldDescriptors, OfAnotherUsersProgramAreTheSame) {
  const auto program = start_with_open_files({"-w", "2", "--user", "nobody", "sleep", "1000"});
  for (const pid_t pid : workers_of(*program, "sleep")) expect_held(*program, pid, 0);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(HeldDescriptors, OfAProgramThatTakesItsSocketsAreThoseTooAndNoMore) {
  const auto program =
      start_with_open_files({"-w", "2", "--user", "nobody", "--listen", std::to_string(port),
                             "--listen", std::to_string(free_port()), "sleep", "1000"});
  for (const pid_t pid : workers_of(*program, "sleep")) expect_held(*program, pid, 2);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(HeldDescriptors, OfASuccessorAndOfTheNextGenerationAreNoMore) {
  const auto program = start_with_open_files(
      {"-w", "2", "--prove", "0.2", "--listen", "127.0.0.1:0", "sleep", "1000"});
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  const auto first = workers_of(*program, "sleep");
  ASSERT_FALSE(first.empty());
  ::kill(first.front(), SIGKILL);
  ASSERT_TRUE(program->wait_for_error("in place of worker")) << program->transcript();
  for (const pid_t pid : workers_of(*program, "sleep")) expect_held(*program, pid, 1);
  program->signal(SIGHUP);
  ASSERT_TRUE(program->wait_for_error("reloaded: generation 2")) << program->transcript();
  for (const pid_t pid : workers_of(*program, "sleep")) expect_held(*program, pid, 1);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(HeldDescriptors, OfACppWorkerHaveOnlyItsPortInCommonWithThePrimary) {
  const auto program =
      start_with_open_files({"-w", "2", "-b", "adaptive", "--user", "nobody",
                             example("hello_cluster"), "--quiet", "--port", std::to_string(port)});
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  expect_served("hello world\n");
  const auto workers = workers_of(*program, "hello_cluster");
  for (const pid_t pid : workers)
    for (const auto& [fd, target] : fds_of(pid)) EXPECT_FALSE(has(target, "/file")) << fd;
  expect_only_its_port_is_shared(*program, workers);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(HeldDescriptors, OfANodeWorkerAreThoseOfTheSameProgramAloneAndItsPort) {
  write("server.js", script("hello"));
  const auto program =
      start_with_open_files({"-w", "2", "-b", "adaptive", "--user", "nobody", "server.js"});
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  expect_served();
  const auto workers = workers_of(*program, "server.js");
  ProgramOptions elsewhere = surroundings();
  const std::uint16_t other = free_port();
  for (auto& [name, value] : elsewhere.env)
    if (name == "TEST_PORT") value = std::to_string(other);
  Words alone_words = kAsNobody;
  alone_words.insert(alone_words.end(), {node26(), "server.js"});
  Program alone{alone_words, elsewhere};
  ASSERT_TRUE(accepts(other)) << alone.transcript();
  constexpr int kFirstOfItsOwn = 5;  // behind stdio, the channel and the lifeline
  // Connections are closed in a moment.
  const auto kinds_alone = [&] { return kinds_of(fds_of(alone.pid()), STDERR_FILENO + 1); };
  ASSERT_TRUE(eventually("one socket", [&] { return kinds_alone()["socket"] == 1; }));
  auto expected = kinds_alone();
  for (const pid_t pid : workers) {
    const auto fds = fds_of(pid);
    EXPECT_TRUE(has(fds.at(3), "socket:") && has(fds.at(4), "pipe:")) << described(fds);
    EXPECT_TRUE(eventually("no more than alone",
                           [&] {
                             const auto kinds = kinds_of(fds_of(pid), kFirstOfItsOwn);
                             return std::all_of(kinds.begin(), kinds.end(), [&](const auto& kind) {
                               return kind.second <= expected[kind.first];
                             });
                           }))
        << "of the worker:\n"
        << described(fds_of(pid)) << "alone:\n"
        << described(fds_of(alone.pid()));
  }
  expect_only_its_port_is_shared(*program, workers);
  alone.signal(SIGTERM);
  EXPECT_TRUE(alone.wait_exit());
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
