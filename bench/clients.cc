// Clients of bench/policies, over loopback.
//
// clients latency PORT CLIENTS TIMES MS: each client sends GET / on a connection of its own, again
// and again, while another asks TIMES times for /block/MS. Prints requests, failures, and the 50th,
// 90th and 99th percentile and the maximum of their times in ms, those of /block excluded.
// clients spread PORT COUNT: COUNT connections that stay open, a request on each. The server
// answers with its pid; prints how many connections each pid has.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

class Connection {
 public:
  explicit Connection(std::uint16_t port) : fd_{::socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Connection() { ::close(fd_); }
  Connection(Connection&& other) noexcept
      : fd_{std::exchange(other.fd_, -1)}, connected_{other.connected_} {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// The body of the answer, which has a Content-Length; empty on failure.
  std::string get(const std::string& path, bool last) {
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" +
                                (last ? "Connection: close\r\n\r\n" : "\r\n");
    if (!connected_ || ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) == -1) return {};
    std::string answer;
    char buffer[4096];
    for (;;) {
      const std::size_t head = answer.find("\r\n\r\n");
      if (head != answer.npos && answer.back() == '\n' && answer.size() > head + 4)
        return answer.substr(head + 4);
      const ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
      if (size <= 0) return {};
      answer.append(buffer, static_cast<std::size_t>(size));
    }
  }

 private:
  int fd_;
  bool connected_ = false;
};

int latency(std::uint16_t port, int clients, int times, const std::string& ms) {
  std::atomic<bool> stop{false};
  std::vector<std::vector<double>> taken(static_cast<std::size_t>(clients));
  std::atomic<long> failures{0};
  std::vector<std::thread> threads;
  for (auto& mine : taken)
    threads.emplace_back([&mine, &stop, &failures, port] {
      while (!stop) {
        const auto begin = Clock::now();
        if (Connection{port}.get("/", true).empty()) ++failures;
        mine.push_back(Milliseconds{Clock::now() - begin}.count());
      }
    });
  for (int i = 0; i < times; ++i) {
    if (Connection{port}.get("/block/" + ms, true).empty()) ++failures;
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  std::vector<double> all;
  for (const auto& mine : taken) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  const auto percentile = [&](std::size_t percent) {
    return all[(all.size() - 1) * percent / 100];
  };
  std::printf("%zu %ld %f %f %f %f\n", all.size(), failures.load(), percentile(50), percentile(90),
              percentile(99), all.back());
  return 0;
}

int spread(std::uint16_t port, int count) {
  std::vector<Connection> connections;
  std::map<std::string, int> per_worker;
  for (int i = 0; i < count; ++i) {
    connections.emplace_back(port);
    ++per_worker[connections.back().get("/", false)];
  }
  for (const auto& [pid, held] : per_worker) std::printf("%d ", held);
  std::printf("\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const auto number = [argv](int index) { return std::atoi(argv[index]); };
  if (mode == "latency" && argc == 6)
    return latency(static_cast<std::uint16_t>(number(2)), number(3), number(4), argv[5]);
  if (mode == "spread" && argc == 4)
    return spread(static_cast<std::uint16_t>(number(2)), number(3));
  std::fputs("usage: clients latency PORT CLIENTS TIMES MS | clients spread PORT COUNT\n", stderr);
  return 100;
}
