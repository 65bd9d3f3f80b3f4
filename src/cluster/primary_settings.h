// What the user has chosen for the workers: how they start, and how connections come to them.
//
// Owned by the Primary; loop's executor only.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include "base/loop.h"
#include "cluster/listeners.h"
#include "cohort/cluster.h"

namespace cohort::cluster {

class PrimarySettings {
 public:
  /// `may_fork`: a process that may not has nothing to say about its choices.
  PrimarySettings(const Loop& loop, bool may_fork);

  const Settings& settings() const { return settings_; }
  /// As workers of that generation start.
  const Settings& of(int generation) const;
  /// With what a reload changes.
  Settings with(const Settings& changes) const;
  /// A generation that is to be reached, and how it differs...
  void plan(int generation, const Settings& changes);
  /// ... it was: all start so; or it was not.
  void reached(int generation);
  void go_back(int to, int dropped);
  const ChosenPolicy& policy() const { return policy_; }
  const SlotBook::Weights& weights() const { return weights_; }
  void set_weights(SlotBook::Weights weights) { weights_ = std::move(weights); }
  /// As Cluster::set_when_empty.
  const std::optional<std::chrono::milliseconds>& hold() const { return hold_; }
  void set_hold(std::optional<std::chrono::milliseconds> hold) { hold_ = hold; }

  /// Adds to the settings. The first time decides the policy: true then.
  bool setup(const Settings& changes);
  /// Too late once that is decided: a notice says so.
  void choose(ChosenPolicy policy);

 private:
  const Loop loop_;
  const bool may_fork_;
  Settings settings_;
  int serves_ = 1;                   // whose settings those are
  std::map<int, Settings> planned_;  // by generation; and the one before, which may be wanted back
  ChosenPolicy policy_;
  SlotBook::Weights weights_;
  std::optional<std::chrono::milliseconds> hold_;
  bool chosen_ = false;  // not by the environment
  bool decided_ = false;
};

}  // namespace cohort::cluster
