// The worker of divided_primary: says `worker` every second.
#include <cohort/cohort.h>

#include <chrono>

using namespace std::chrono_literals;

int main() {
  cohort::Cluster cluster;
  cluster.set_interval(1s, [&] { cluster.worker().send("worker"); });
  return cluster.run();
}
