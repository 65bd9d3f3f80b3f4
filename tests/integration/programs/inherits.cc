// A worker says what its 0, 1 and 2 are; --fd N: through descriptor N, for they may be closed.
// --io: on an io_context that was made before the Cluster.
#include <cohort/cohort.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  const auto io = flags.has("--io") ? std::make_unique<boost::asio::io_context>() : nullptr;
  cohort::Cluster cluster = io ? cohort::Cluster{*io} : cohort::Cluster{};
  if (cluster.is_worker()) {
    cohort::Value links = cohort::Value::array();
    for (const char* fd : {"0", "1", "2"})
      links.push_back(std::filesystem::read_symlink(std::string{"/proc/self/fd/"} + fd).string());
    cluster.worker().send(links);
  } else {
    const int out = static_cast<int>(flags.number("--fd", 1));
    cluster.fork().on_message([out](const cohort::Value& links) {
      for (const auto& link : links.elements()) {
        const std::string line = std::string{link.string_or("")} + '\n';
        if (::write(out, line.data(), line.size()) == -1) ::_exit(1);
      }
    });
  }
  return cluster.run();
}
