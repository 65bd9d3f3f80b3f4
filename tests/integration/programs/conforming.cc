// conforming SCENARIO [FLAG...]: a primary and its workers, which print what happens to them.
#include "conforming.h"

#include <iostream>

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  const std::string name = flags.path("");
  for (const auto* scenarios : {&life_scenarios(), &port_scenarios()}) {
    const auto found = scenarios->find(name);
    if (found == scenarios->end()) continue;
    cohort::Cluster cluster;
    return found->second(cluster, flags);
  }
  std::cerr << "there is no scenario " << name << '\n';
  return 100;
}
