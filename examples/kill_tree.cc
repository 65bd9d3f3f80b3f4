// A child that has children of its own is ended with all of them.
#include <cohort/cohort.h>

#include <iostream>
#include <string>

int main() {
  cohort::Cluster cluster;
  // Four processes: a shell, its shell, and a sleep of each. Each shell says when it is ready.
  const char* const script = "sh -c 'sleep 600 & echo ready; wait' & sleep 600 & echo ready; wait";
  const cohort::ChildProcess child = cohort::spawn(cluster, "sh", {"-c", script});
  std::string output;
  child.stdout_().on_data([&](std::string_view data) {
    output += data;
    if (output == "ready\nready\n") std::cout << "killed " << child.kill_tree() << " processes\n";
  });
  child.on_exit([](const cohort::Exit& exit) {
    std::cout << "the shell was ended by " << exit.signal_name() << '\n';
  });
  // Any of them would hold the child's stdout open, and `close` waits for its end.
  child.on_close([](const cohort::Exit&) { std::cout << "none is left\n"; });
  return cluster.run();
}
