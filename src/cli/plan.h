// `--dry-run`: what `cohort run` would run, and how. Nothing is started, and no port is opened.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "cohort/value.h"

namespace cohort::cli {

/// An application as it would be run now.
struct Plan {
  RunOptions options;
  std::string name;
  std::vector<std::string> command;  ///< Of a worker: the interpreter too.
  std::string directory;             ///< Of the workers.
  unsigned workers = 1;
  std::string why_workers{};
  Policy policy = Policy::Auto;
  bool policy_of_environment = false;  ///< NODE_CLUSTER_SCHED_POLICY.
  std::string socket;                  ///< For the other verbs.
  pid_t taken_by = 0;                  ///< The primary that has the name, or 0.
  std::string log{};                   ///< Of `cohort start`.
};

/// For people. Of variables only the names: values may be secrets. Pure.
std::string plan_text(const Plan& plan);
/// The same for programs. Pure.
Value plan_value(const Plan& plan);

/// One application, and how `cohort start` would call it and where it would log; empty: not so.
struct Planned {
  RunOptions options;
  std::string name{}, log{};
};
/// Finds out, and prints. The exit code of the command: 100 if one of them cannot be run.
int print_plans(const std::vector<Planned>& all, bool json);

/// Of `cohort run --dry-run`.
int dry_run(const RunOptions& options);

}  // namespace cohort::cli
