// The names of the policies: one set everywhere.
#include <utility>

#include "cohort/cluster.h"

namespace cohort {
namespace {

constexpr std::pair<std::string_view, Policy> kPolicies[] = {{"auto", Policy::Auto},
                                                             {"round-robin", Policy::RoundRobin},
                                                             {"shared", Policy::Shared},
                                                             {"adaptive", Policy::Adaptive},
                                                             {"hash", Policy::Hash},
                                                             {"sticky", Policy::Sticky},
                                                             // Node's names.
                                                             {"rr", Policy::RoundRobin},
                                                             {"none", Policy::Shared}};

}  // namespace

const char* to_string(Policy policy) {
  for (const auto& [name, named] : kPolicies)
    if (named == policy) return name.data();
  return "own";
}

std::optional<Policy> policy_from(std::string_view name) {
  for (const auto& [known, policy] : kPolicies)
    if (known == name) return policy;
  return std::nullopt;
}

}  // namespace cohort
