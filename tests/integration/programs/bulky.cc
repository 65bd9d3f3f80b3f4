// A worker makes a large message in shared memory, and sends it with several descriptors: pipes
// from which its primary reads. Prints what came.
#include <cohort/cohort.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <string>

using cohort::Handle;
using cohort::Value;

namespace {

constexpr std::size_t kSize = 5 << 20;

Handle readable(const std::string& text) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  const cohort::OwnFd writer{ends[1]};
  Handle reader{cohort::OwnFd{ends[0]}};
  return write(ends[1], text.data(), text.size()) < 0 ? Handle{} : std::move(reader);
}

std::string read_all(const Handle& handle) {
  char text[100];
  const auto size = read(handle.native_handle(), text, sizeof text);
  return {text, size < 0 ? 0 : static_cast<std::size_t>(size)};
}

int be_worker(cohort::Cluster& cluster) {
  const cohort::Worker self = cluster.worker();
  cohort::WritableBuffer memory = self.make_buffer(kSize);
  std::fill(memory.bytes().begin(), memory.bytes().end(), std::byte{'x'});
  std::vector<Handle> handles;
  for (const char* text : {"one", "two", "three"}) handles.push_back(readable(text));
  self.send({{"data", Value::buffer(std::move(memory))}}, Handle::several(std::move(handles)),
            [self](const auto& error, const Handle&) {
              if (error) std::cout << *error << '\n';
              self.disconnect();
            });
  return cluster.run();
}

}  // namespace

int main() {
  cohort::Cluster cluster;
  if (cluster.is_worker()) return be_worker(cluster);
  cluster.setup_primary({.spawn = {.serialization = cohort::Serialization::Advanced}});
  cluster.fork().on_message([](const Value& message, Handle& handle) {
    const auto bytes = message["data"].bytes();
    std::cout << bytes.size() << " bytes, "
              << std::count(bytes.begin(), bytes.end(), std::byte{'x'}) << " as they were made\n";
    for (const Handle& each : handle.split()) std::cout << read_all(each) << '\n';
  });
  return cluster.run();
}
