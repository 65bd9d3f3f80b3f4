// The limit of `cohort map`: starts a program COUNT times with the number as its argument, WORKERS
// at once, by vfork and a pidfd, and does nothing else. Prints a line of JSON: the seconds.
//
//   bare_jobs WORKERS COUNT PROGRAM
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

int start(const char* program, int number) {
  const std::string text = std::to_string(number);
  const pid_t pid = vfork();
  if (pid == 0) {
    execl(program, program, text.c_str(), nullptr);
    _exit(127);
  }
  if (pid == -1) fail("vfork");
  const auto pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (pidfd == -1) fail("pidfd_open");
  return pidfd;
}

void reap(int pidfd) {
  siginfo_t info{};
  if (waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) == -1) fail("waitid");
  if (info.si_code != CLD_EXITED || info.si_status != 0) {
    std::fputs("bare_jobs: the program failed\n", stderr);
    std::exit(1);
  }
  close(pidfd);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: bare_jobs WORKERS COUNT PROGRAM\n", stderr);
    return 100;
  }
  const auto workers = static_cast<std::size_t>(std::atoi(argv[1]));
  const int count = std::atoi(argv[2]);
  const auto since = std::chrono::steady_clock::now();
  std::vector<pollfd> running;
  for (int started = 0; started < count || !running.empty();) {
    while (started < count && running.size() < workers)
      running.push_back({start(argv[3], ++started), POLLIN, 0});
    if (poll(running.data(), running.size(), -1) == -1) fail("poll");
    for (std::size_t i = running.size(); i-- > 0;) {
      if (running[i].revents == 0) continue;
      reap(running[i].fd);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - since;
  std::printf("{\"seconds\": %.6f}\n", took.count());
  return 0;
}
