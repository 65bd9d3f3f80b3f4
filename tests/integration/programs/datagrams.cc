// datagrams PORT: answers each UDP packet with its pid, in every worker on one port.
#include <cohort/cohort.h>
#include <unistd.h>

#include <array>
#include <boost/asio/ip/udp.hpp>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>

int main(int argc, char** argv) {
  using udp = boost::asio::ip::udp;
  if (argc != 2) return 100;
  cohort::Cluster cluster;
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  const cohort::Listener listener{cluster, cohort::Address::datagram("127.0.0.1", port)};
  if (listener.error()) {
    std::cerr << *listener.error() << '\n';
    return 1;
  }
  udp::socket socket{cluster.io_context(), udp::v4(), ::dup(listener.native_handle())};
  const std::string pid = std::to_string(::getpid());
  std::array<char, 1500> bytes{};
  udp::endpoint client;
  std::function<void()> receive = [&] {
    socket.async_receive_from(boost::asio::buffer(bytes), client,
                              [&](boost::system::error_code error, std::size_t) {
                                if (!error) socket.send_to(boost::asio::buffer(pid), client);
                                if (socket.is_open()) receive();
                              });
  };
  cluster.worker().on_disconnect([&] { socket.close(); });
  receive();
  return cluster.run();
}
