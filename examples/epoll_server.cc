// A server that knows nothing of cohort but one line: where its listening descriptor comes from.
// Its own epoll loop accepts, reads and answers, on every core.
//
//   epoll_server [--port N] [--workers N]
#include <cohort/cohort.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string_view>
#include <thread>

#include "flags.h"

void serve(int listening) {
  constexpr std::string_view kAnswer =
      "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\nhello world\n";
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const auto add = [epoll](int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  };
  add(listening);
  char request[4096];
  for (;;) {
    epoll_event event{};
    if (::epoll_wait(epoll, &event, 1, -1) < 1) continue;
    if (event.data.fd == listening) {
      const int client = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client >= 0) add(client);
      continue;
    }
    if (::recv(event.data.fd, request, sizeof request, 0) > 0)
      ::send(event.data.fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
    ::close(event.data.fd);
  }
}

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_primary()) {
    cluster.keep(flags.number("--workers", cohort::available_parallelism()));
    return cluster.run();
  }
  // Was: socket, bind and listen.
  const cohort::Listener listener{cluster, {"", flags.port(8000)}};
  if (listener.error()) {
    std::cerr << *listener.error() << '\n';
    return 1;
  }
  std::thread{serve, listener.native_handle()}.detach();
  const int code = cluster.run();  // until the primary says that it is time to end
  std::_Exit(code);                // the loop above never ends by itself
}
