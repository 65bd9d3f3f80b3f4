// The test program, and what it does when a test starts it as a child.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <thread>

#include "base/sys.h"
#include "cohort/child_process.h"
#include "leak_check.h"
#include "process/helpers_test.h"
#include "process/identity.h"
#include "process/program.h"

namespace cohort::process {
namespace {

using Args = std::vector<std::string>;

// `number device:inode` of each open descriptor.
int print_descriptors(const Args&) {
  for (const auto& [fd, target] : harness::open_descriptors()) {
    struct stat info{};
    ::fstat(fd, &info);
    std::cout << fd << ' ' << info.st_dev << ':' << info.st_ino << '\n';
  }
  return 0;
}

void print_adoption() {
  std::cout << (adopt_lifeline() ? "adopted\n" : "not adopted\n");
  std::cout << "variable afterwards " << (::getenv("COHORT_LIFELINE_FD") ? "set" : "unset") << '\n';
}

void print_close_on_exec(int fd) {
  std::cout << "close-on-exec " << (::fcntl(fd, F_GETFD) & FD_CLOEXEC) << '\n';
}

// With stdin and stdout closed: what a child inherits from one whose loop has their numbers. The
// answer leaves through another descriptor.
int spawn_with_closed_standard(const Args&) {
  const OwnFd out = sys::duplicate(STDOUT_FILENO, 9);
  ::close(STDIN_FILENO);
  ::close(STDOUT_FILENO);
  std::string text;
  {
    boost::asio::io_context io;
    const auto child = cohort::spawn(
        io, "sh",
        {"-c", "text=$(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/5); echo \"$text\" >&2"},
        {.stdio = {Stdio::Inherit, Stdio::Inherit, Stdio::Pipe, Stdio::Ignore, Stdio::Ignore,
                   Stdio::Inherit}});
    child.stderr_().on_data([&](std::string_view data) { text += data; });
    io.run();
  }
  text += cohort::spawn_sync("readlink", {"/proc/self/fd/0"}, {.stdio = {Stdio::Inherit}}).stdout_;
  return sys::write(out.get(), text.data(), text.size()) > 0 ? 0 : 1;
}

int print_lifeline(const Args&) {
  const char* variable = ::getenv("COHORT_LIFELINE_FD");
  const std::string number = variable != nullptr ? variable : "none";
  std::cout << "variable " << number << '\n';
  print_adoption();
  if (variable != nullptr) print_close_on_exec(std::stoi(number));
  return 0;
}

// As below a child that handed down the variable and not the descriptor.
int print_no_lifeline(const Args&) {
  const int other = ::dup(STDERR_FILENO);
  ::setenv("COHORT_LIFELINE_FD", std::to_string(other).c_str(), 1);
  print_adoption();
  print_close_on_exec(other);
  return 0;
}

[[noreturn]] void spin() {
  for (volatile unsigned turns = 0;;) turns = turns + 1;
}

[[noreturn]] void sleep_for_ever() {
  for (;;) ::pause();
}

int become_nobody_and_spin(const Args&) {
  if (::setgid(kNobody) == -1 || ::setuid(kNobody) == -1) return 1;
  std::cout << "ready" << std::endl;
  spin();
}

// A primary that starts one worker, which dies with it: WHERE UID FILE ARG...
// WHERE: `main`, or `thread` for a spawning thread that ends.
int be_primary(const Args& args) {
  SpawnRequest request = program_request(args.at(2), {args.begin() + 3, args.end()});
  request.fds = {-1, 1, 2};
  request.new_session = true;
  request.die_with_parent = true;
  if (args[1] != "-") request.uid = request.gid = static_cast<unsigned>(std::stoul(args[1]));
  Result<Child> worker = Child{};
  const auto start = [&] { worker = spawn(request); };
  if (args[0] == "thread")
    std::thread{start}.join();
  else
    start();
  if (!worker) {
    std::cout << worker.error() << std::endl;
    return 1;
  }
  std::cout << "worker " << worker->pid << std::endl;
  // Started later, lives on: it must not hold the first one's lifeline.
  SpawnRequest other = program_request("sleep", {"30"});
  other.fds = {-1, -1, -1};
  const auto survivor = spawn(other);
  if (!survivor) return 1;
  std::cout << "survivor " << survivor->pid << std::endl;
  sleep_for_ever();
}

std::atomic<int> g_handled{0};
std::atomic<int> g_phantoms{0};
pid_t g_storm_pid = 0;

void count_signal(int) {
  // A child that ran this before exec would do so on our memory.
  (::syscall(SYS_getpid) == g_storm_pid ? g_handled : g_phantoms)++;
}

// Signals rain on the whole process group while it spawns.
int spawn_in_a_storm(const Args&) {
  g_storm_pid = ::getpid();
  ::setpgid(0, 0);
  struct sigaction action{};
  action.sa_handler = count_signal;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGWINCH, &action, nullptr);  // ignored by default: does not harm a child after exec
  std::atomic<bool> done{false};
  std::thread storm{[&] {
    while (!done) ::kill(0, SIGWINCH);
  }};
  int failed = 0;
  for (int i = 0; i < 200; ++i) {
    SpawnRequest request = program_request("true");
    const auto child = spawn(request);
    if (!child || !wait_exit(*child).success()) ++failed;
  }
  done = true;
  storm.join();
  std::cout << "failed " << failed << " phantoms " << g_phantoms << " handled "
            << (g_handled > 0 ? "some" : "none") << '\n';
  return 0;
}

// Prints its descriptors through a child, where close_range is refused, as old sandboxes do.
int spawn_without_close_range(const Args&) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, filter};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == -1) return 1;
  if (::syscall(SYS_close_range, 1000, 1000, 0) != -1 || errno != ENOSYS) return 2;
  for (int fd = 40; fd < 240; ++fd) ::dup2(1, fd);  // several buffers of directory entries
  SpawnRequest request = role_request("descriptors");
  request.fds = {-1, 1, 2};
  const auto child = spawn(request);
  return child && wait_exit(*child).success() ? 0 : 3;
}

// Without privilege, asks for another user, and for a program in a directory of root's.
int spawn_from_nobody(const Args&) {
  if (::setgid(kNobody) == -1 || ::setuid(kNobody) == -1) return 1;
  SpawnRequest request = program_request("true");
  request.uid = 0;
  std::cout << spawn(request).error() << '\n';
  std::cout << spawn(program_request("/proc/1/root/program")).error() << '\n';
  return 0;
}

// Which identities a process without privilege may give its children.
int take_identities(const Args&) {
  if (::setgroups(0, nullptr) == -1 || ::setgid(kNobody) == -1 || ::setuid(kNobody) == -1) return 1;
  const auto try_it = [](const char* what, const Identity& who) {
    SpawnOptions options;
    const auto taken = take_identity(who, options);
    const bool none = !options.uid && !options.gid && !options.groups;
    std::cout << what << ": "
              << (!taken ? taken.error().detail
                  : none ? "left as they are"
                         : "taken")
              << '\n';
  };
  try_it("root", {.uid = 0, .gid = 0});
  try_it("group 0", {.gid = 0});
  try_it("nobody", {.uid = kNobody, .gid = kNobody, .groups = {kNobody}});
  return 0;
}

// A service whose capabilities are handed down, as AmbientCapabilities= of systemd has it: what its
// child has of them as nobody.
int spawn_with_ambient_capabilities(const Args&) {
  constexpr uid_t kAnother = kNobody - 1;
  constexpr unsigned kMask = CAP_TO_MASK(CAP_SETUID) | CAP_TO_MASK(CAP_SETGID);
  ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  if (::setresgid(kAnother, kAnother, kAnother) == -1 ||
      ::setresuid(kAnother, kAnother, kAnother) == -1)
    return 1;
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3]{};
  sets[0] = {.effective = kMask, .permitted = kMask, .inheritable = kMask};
  if (::syscall(SYS_capset, &header, sets) == -1) return 2;
  for (const unsigned each : {CAP_SETUID, CAP_SETGID})
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, each, 0, 0) == -1) return 3;
  SpawnRequest request =
      program_request("grep", {"-E", "^(Uid|CapPrm|CapAmb):", "/proc/self/status"});
  request.fds = {-1, 1, 2};
  const auto same = spawn(request);
  if (!same || !wait_exit(*same).success()) return 4;
  request.uid = request.gid = kNobody;
  const auto child = spawn(request);
  return child && wait_exit(*child).success() ? 0 : 5;
}

// Runs a copy of this program that removes itself and then says what runs. DIRECTORY
int run_a_removed_program(const Args& args) {
  const std::string copy = args.at(0) + "/copy";
  std::filesystem::copy_file("/proc/self/exe", copy);
  ::execl(copy.c_str(), "copy", "--role=remove_self", nullptr);
  return 1;
}

int remove_self(const Args&) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  std::filesystem::remove(self);
  std::cout << running_program().value() << '\n';
  return 0;
}

}  // namespace

std::optional<int> run_role(int argc, char** argv) {
  static const std::map<std::string, std::function<int(const Args&)>> roles{
      {"descriptors", print_descriptors},
      {"lifeline", print_lifeline},
      {"closed_standard", spawn_with_closed_standard},
      {"no_lifeline", print_no_lifeline},
      {"become_nobody_and_spin", become_nobody_and_spin},
      {"primary", be_primary},
      {"storm", spawn_in_a_storm},
      {"without_close_range", spawn_without_close_range},
      {"nobody", spawn_from_nobody},
      {"identity", take_identities},
      {"ambient", spawn_with_ambient_capabilities},
      {"removed_program", run_a_removed_program},
      {"remove_self", remove_self},
  };
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (!first.starts_with("--role=")) return std::nullopt;
  return roles.at(std::string{first.substr(7)})(Args{argv + 2, argv + argc});
}

}  // namespace cohort::process

int main(int argc, char** argv) {
  if (const auto code = cohort::process::run_role(argc, argv)) return *code;
  ::testing::InitGoogleTest(&argc, argv);
  harness::check_leaks();
  return RUN_ALL_TESTS();
}
