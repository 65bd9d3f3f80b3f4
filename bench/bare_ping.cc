// The limit of `cohort map --serve --window 1`: writes a line to a program's stdin and waits for
// its answer, COUNT times, with blocking calls. Prints a line of JSON: the seconds.
//
//   bare_ping COUNT PROGRAM [ARG...]
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: bare_ping COUNT PROGRAM [ARG...]\n", stderr);
    return 100;
  }
  int to[2], from[2];
  if (pipe(to) == -1 || pipe(from) == -1) return std::perror("pipe"), 1;
  if (fork() == 0) {
    dup2(to[0], STDIN_FILENO);
    dup2(from[1], STDOUT_FILENO);
    for (const int fd : {to[0], to[1], from[0], from[1]}) close(fd);
    execvp(argv[2], argv + 2);
    _exit(127);
  }
  const int count = std::atoi(argv[1]);
  const auto since = std::chrono::steady_clock::now();
  char answer[64];
  for (int i = 0; i < count; ++i) {
    const std::string line = std::to_string(i) + '\n';
    if (write(to[1], line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
        read(from[0], answer, sizeof answer) <= 0)
      return std::perror("bare_ping"), 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - since;
  std::printf("{\"seconds\": %.6f}\n", took.count());
  return 0;
}
