// socket_activator PORT... -- PROGRAM [ARG...]: becomes the program, which is given TCP sockets
// that listen on these ports of any address, as systemd gives them.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

int main(int argc, char** argv) {
  constexpr int kFirst = 3;
  ::close_range(kFirst, ~0U, 0);  // so that the first socket has that number
  int count = 0;
  int at = 1;
  for (; at < argc && std::string_view{argv[at]} != "--"; ++at, ++count) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[at])));
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd != kFirst + count ||
        ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == -1 ||
        ::listen(fd, SOMAXCONN) == -1)
      return 100;
  }
  ::setenv("LISTEN_FDS", std::to_string(count).c_str(), 1);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::execv(argv[at + 1], argv + at + 1);
  return 100;
}
