// A failing schedule without the steps that do not matter to its failure.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace cohort::cluster::sim {

/// The invariant that breaks when these steps are skipped; empty: none does.
using FailsWithout = std::function<std::string(const std::vector<bool>& skipped)>;

/// Which of the steps 1...`steps` can be skipped so that the same invariant still breaks: larger
/// parts first, then smaller ones, down to single steps. `runs`: it calls `fails` at most so often,
/// and what is left then is not minimal.
std::vector<bool> shrink(int steps, const FailsWithout& fails, int runs);

}  // namespace cohort::cluster::sim
