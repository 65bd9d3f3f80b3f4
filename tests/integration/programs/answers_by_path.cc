// An HTTP worker that listens on $TEST_PORT, as the scripts in JavaScript of the tests do: `/large`
// is answered with 6 MiB, `/hang` never, and its loop hangs from then on; all else with hello
// world.
#include <cohort/cohort.h>

#include <cstdlib>
#include <string>

namespace {

// By this name a stack shows where it is.
extern "C" [[gnu::noinline]] void hangs_for_ever() {
  for (volatile bool forever = true; forever;) {
  }
}

}  // namespace

int main() {
  cohort::Cluster cluster;
  const char* const port = std::getenv("TEST_PORT");
  if (cluster.is_primary() || port == nullptr) return 1;  // it is for `cohort run`
  const std::string large(6 << 20, 'x');
  cohort::http::create_server(cluster, [&](const auto& req, auto& res) {
    if (req.url() == "/hang") hangs_for_ever();
    res.end(req.url() == "/large" ? large : "hello world\n");
  }).listen(static_cast<std::uint16_t>(std::stoi(port)));
  return cluster.run();
}
