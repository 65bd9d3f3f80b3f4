// round_trips cohort|bare COUNT [CPU CPU]: a JSON message of 50 bytes from a primary to its worker
// and back, COUNT times, one at a time, each process on a CPU of its own if they are given. Prints
// the seconds, and the CPU seconds of both processes meanwhile. `bare` takes the same bytes to and
// fro with nothing but epoll_wait, recv and send. bench/node/round_trips.js is the same in Node.
#include <cohort/cohort.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "usage.h"

using cohort::Value;

namespace {

using Clock = std::chrono::steady_clock;

const Value kMessage = {{"cmd", "notifyRequest"}, {"worker", 3}, {"requests", 1234}};
constexpr std::string_view kBytes = "{\"cmd\":\"notifyRequest\",\"worker\":3,\"requests\":1234}\n";

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

// `cpus`: the program's arguments from CPU on, a null pointer if there are none.
void pin_to(char* const* cpus, int index) {
  if (*cpus == nullptr) return;
  const int cpu = std::atoi(cpus[index]);
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) == -1) fail("sched_setaffinity");
}

// From the first message to the last, of both processes.
struct Measured {
  Clock::time_point begin = Clock::now();
  double cpu = cpu_seconds();

  void print(double cpu_of_peer) const {
    const std::chrono::duration<double> wall = Clock::now() - begin;
    std::printf("%f %f\n", wall.count(), cpu_seconds() - cpu + cpu_of_peer);
  }
};

int be_primary(cohort::Cluster& cluster, int count) {
  const cohort::Worker worker = cluster.fork();
  Measured measured;
  int left = count;
  worker.on_message([&](const Value& message) {
    if (message == "ready") {
      measured = Measured{};
      worker.send(kMessage);
    } else if (message["cpu"].is_number()) {
      measured.print(message["cpu"].number_or(0));
      worker.disconnect();
    } else if (--left > 0) {
      worker.send(message);
    } else {
      worker.send("end");
    }
  });
  return cluster.run();
}

int be_worker(cohort::Cluster& cluster) {
  const cohort::Worker self = cluster.worker();
  const double cpu = cpu_seconds();
  self.on_message([&](const Value& message) {
    if (message == "end")
      self.send({{"cpu", cpu_seconds() - cpu}});
    else
      self.send(message);
  });
  self.send("ready");
  return cluster.run();
}

// One of two bare processes: a socket in an epoll set of its own.
class BareEnd {
 public:
  explicit BareEnd(int socket) : socket_{socket}, epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
    epoll_event event{};
    event.events = EPOLLIN;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket_, &event) == -1) fail("epoll_ctl");
  }

  void send() {
    if (::send(socket_, message_, kBytes.size(), MSG_NOSIGNAL) == -1) fail("send");
  }
  /// False at the end of the stream. So short a message arrives whole.
  bool receive() {
    epoll_event event{};
    if (::epoll_wait(epoll_, &event, 1, -1) == -1) fail("epoll_wait");
    const ssize_t size = ::recv(socket_, message_, sizeof message_, 0);
    if (size == 0) return false;
    if (size != static_cast<ssize_t>(kBytes.size())) fail("recv");
    return true;
  }
  void put(std::string_view message) { message.copy(message_, sizeof message_); }

 private:
  int socket_;
  int epoll_;
  char message_[65536];
};

int be_bare(int count, char* const* cpus) {
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets) == -1) fail("socketpair");
  const pid_t peer = ::fork();
  if (peer == -1) fail("fork");
  ::close(sockets[peer == 0 ? 0 : 1]);
  pin_to(cpus, peer == 0 ? 1 : 0);
  BareEnd end{sockets[peer == 0 ? 1 : 0]};
  if (peer == 0) {
    while (end.receive()) end.send();
    ::_exit(0);
  }
  end.put(kBytes);
  Measured measured;
  for (int left = count; left > 0; --left) {
    end.send();
    if (!end.receive()) fail("the peer ended");
  }
  ::shutdown(sockets[0], SHUT_RDWR);
  ::waitpid(peer, nullptr, 0);
  measured.print(cpu_seconds(RUSAGE_CHILDREN));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 5) {
    std::fputs("usage: round_trips cohort|bare COUNT [CPU CPU]\n", stderr);
    return 100;
  }
  const int count = std::atoi(argv[2]);
  char* const* cpus = argv + 3;
  if (std::string_view{argv[1]} == "bare") return be_bare(count, cpus);
  cohort::Cluster cluster;
  pin_to(cpus, cluster.is_primary() ? 0 : 1);
  return cluster.is_primary() ? be_primary(cluster, count) : be_worker(cluster);
}
