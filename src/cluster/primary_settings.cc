#include "cluster/primary_settings.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "base/notices.h"
#include "cluster/launch.h"

namespace cohort::cluster {
namespace {

std::string policy_of_environment() {
  const char* value = std::getenv("NODE_CLUSTER_SCHED_POLICY");
  return value != nullptr ? value : "";
}

}  // namespace

PrimarySettings::PrimarySettings(const Loop& loop, bool may_fork)
    : loop_{loop},
      may_fork_{may_fork},
      policy_{.policy = policy_from(policy_of_environment()).value_or(Policy::Auto)} {}

bool PrimarySettings::setup(const Settings& changes) {
  settings_ = merged(std::move(settings_), changes);
  if (std::exchange(decided_, true)) return false;
  // Node takes a word that it does not know for none.
  const std::string word = policy_of_environment();
  if (!chosen_ && may_fork_ && !word.empty() && !policy_from(word))
    say(loop_, {"unknown_policy",
                "NODE_CLUSTER_SCHED_POLICY=" + word +
                    ": not a policy; going on with auto (others: adaptive, hash, sticky, "
                    "round-robin, shared)",
                {{"given", word}}});
  return true;
}

const Settings& PrimarySettings::of(int generation) const {
  const auto planned = planned_.find(generation);
  return planned == planned_.end() ? settings_ : planned->second;
}

// But for where they listen.
Settings PrimarySettings::with(const Settings& changes) const {
  Settings as_now = changes;
  as_now.listen.clear();
  return merged(settings_, as_now);
}

void PrimarySettings::plan(int generation, const Settings& changes) {
  planned_.insert_or_assign(generation, with(changes));
}

void PrimarySettings::reached(int generation) {
  Settings before = std::exchange(settings_, Settings{of(generation)});
  const auto is_older = [generation](const auto& each) { return each.first <= generation; };
  std::erase_if(planned_, is_older);
  planned_.emplace(std::exchange(serves_, generation), std::move(before));
}

void PrimarySettings::go_back(int to, int dropped) {
  planned_.erase(dropped);
  if (to == serves_) return;
  settings_ = of(to);
  planned_.erase(to);
  serves_ = to;
}

void PrimarySettings::choose(ChosenPolicy policy) {
  if (!decided_) {
    policy_ = std::move(policy);
    chosen_ = true;
  } else if (may_fork_) {
    say(loop_, {"policy_too_late",
                std::string{"set_policy("} + to_string(policy.policy) +
                    ") comes too late and changes nothing: the policy was decided (" +
                    to_string(policy_.policy) + ") at the first setup_primary, fork or keep",
                {{"given", std::string{to_string(policy.policy)}},
                 {"policy", std::string{to_string(policy_.policy)}}}});
  }
}

}  // namespace cohort::cluster
