// The scenarios of programs/conforming.cc: what Node's own tests of cluster do, as programs of
// ours. Each is run by the primary and again by its workers, and returns the exit code.
#pragma once

#include <cohort/cohort.h>

#include <functional>
#include <map>
#include <string>

#include "flags.h"

using Scenario = std::function<int(cohort::Cluster&, const Flags&)>;

/// Workers' lives: events, settings, ends.
const std::map<std::string, Scenario>& life_scenarios();
/// Servers, ports and connections.
const std::map<std::string, Scenario>& port_scenarios();
