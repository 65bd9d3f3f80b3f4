// A primary with a check of its own, for check_test.cc: its worker is asked until the third time,
// then for a sign of life, and for its answer on a connection that nobody else gets. Prints what
// happens, and stops when the worker serves.
//
//   checked --port N
#include <cohort/cohort.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "flags.h"

using namespace std::chrono_literals;

namespace {

class OwnCheck {
 public:
  void operator()(const cohort::Worker& worker, cohort::Callback<void(cohort::Result<void>)> done) {
    if (++*asked_ < 3) {
      const std::string why = "asked " + std::to_string(*asked_) + " times";
      std::function<void(cohort::Result<void>)>{std::move(done)}(
          cohort::make_error(cohort::Errc::CallFailed, "check", why));
      return;
    }
    const auto pinged = worker.ping([worker, done = std::move(done)]() mutable {
      std::cout << "it turns" << std::endl;
      cohort::http_check("/healthz")(worker, std::move(done));
    });
    if (!pinged) std::cout << pinged.error() << std::endl;
  }

 private:
  std::shared_ptr<int> asked_ = std::make_shared<int>(0);
};

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_worker()) {
    const auto server = cohort::http::create_server(
        cluster, [](const auto& request, auto& response) { response.end(request.url()); });
    server.listen(flags.port(0));
    return cluster.run();
  }
  cluster.setup_primary({.check = OwnCheck{}});
  cluster.on_notice([](const cohort::Notice& notice) {
    std::cout << notice.code << ": " << notice.fields["why"].string_or("") << std::endl;
  });
  cluster.keep(1);
  cluster.set_interval(10ms, [&cluster, last = std::string{}, stops = false]() mutable {
    for (const cohort::WorkerStatus& worker : cluster.status().workers) {
      const std::string now = cohort::to_string(worker.state);
      if (now != last) std::cout << now << (worker.ready ? ", ready" : "") << std::endl;
      last = now;
      if (worker.ready && !std::exchange(stops, true)) cluster.stop();
    }
  });
  return cluster.run();
}
