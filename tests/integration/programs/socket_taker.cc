// A server that knows nothing of cohort: it is given its listening socket as sd_listen_fds(3) says,
// accepts one connection at a time, and answers, on /pid with its pid.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

int main() {
  constexpr int kFirst = 3;
  const char* const pid = std::getenv("LISTEN_PID");
  const char* const count = std::getenv("LISTEN_FDS");
  const std::string own = std::to_string(getpid());
  if (pid == nullptr || pid != own || count == nullptr || std::string{count} != "1") {
    std::cerr << "LISTEN_PID is " << (pid ? pid : "not set") << ", LISTEN_FDS "
              << (count ? count : "not set") << ", and this is " << own << '\n';
    return 1;
  }
  // Whatever else it has is closed: it would not know what for.
  close_range(kFirst + 1, ~0U, 0);
  const auto answer_with = [](const std::string& body) {
    return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  for (;;) {
    const int client = accept(kFirst, nullptr, nullptr);
    if (client < 0) return 1;  // it blocks, so there is no EAGAIN
    char request[4096];
    const auto size = recv(client, request, sizeof request, 0);
    if (size > 0) {
      const std::string_view head{request, static_cast<std::size_t>(size)};
      const auto answer = answer_with(head.starts_with("GET /pid ") ? own : "hello world\n");
      send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    close(client);
  }
}
