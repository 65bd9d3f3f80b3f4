#include "cli/sim_policy.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <vector>

#include "cli/nearest.h"
#include "manager/share.h"

namespace cohort::cli {
namespace {

using SimTime = std::chrono::milliseconds;
using std::string_view_literals::operator""sv;

constexpr double kSimSecondsMax = 86'400;
constexpr int kSimTriesMax = 1'000'000;
constexpr const char* kTakesTime = "takes a time: 7, 7s, 0.5 or 100ms, up to 86400";
constexpr const char* kTakesShare = "takes a number of workers from 1 on, or 1% to 100%";

// A value, and what is wrong with it: nothing, or what the name takes.
using ReadValue = const char* (*)(std::string_view value, SimOptions& options);

template <class Member>
const char* read_time(std::string_view value, Member& member) {
  const auto time = sim_time_from(value);
  if (!time) return kTakesTime;
  member = *time;
  return nullptr;
}

const char* read_share(std::string_view value, const SimOptions& options, unsigned& member) {
  const auto share = manager::share_from(value);
  if (!share) return kTakesShare;
  member = share->of(options.workers);
  return nullptr;
}

// `MIN..MAX`, or one time for both.
const char* read_backoff(std::string_view value, SimOptions& options) {
  const auto dots = value.find(".."sv);
  const auto least = sim_time_from(value.substr(0, dots));
  const auto most = dots == value.npos ? least : sim_time_from(value.substr(dots + 2));
  if (!least || !most || *least > *most || least->count() == 0)
    return "takes two times, the first above 0: 100ms..10s";
  options.rules.backoff_min = *least;
  options.rules.backoff_max = *most;
  return nullptr;
}

const char* read_tries(std::string_view value, SimOptions& options) {
  int& tries = options.rules.tries_max;
  const auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), tries);
  const bool is_all = error == std::errc{} && rest == value.data() + value.size();
  return is_all && tries >= 1 && tries <= kSimTriesMax ? nullptr : "takes a number from 1 on";
}

struct PolicyName {
  const char* name;
  ReadValue read;
};

constexpr PolicyName kPolicyNames[] = {
    {"backoff", read_backoff},
    {"healthy", [](std::string_view value,
                   SimOptions& options) { return read_time(value, options.rules.healthy_after); }},
    {"tries", read_tries},
    {"grace", [](std::string_view value,
                 SimOptions& options) { return read_time(value, options.rules.drain_timeout); }},
    {"ready-within",
     [](std::string_view value, SimOptions& options) {
       return read_time(value, options.reload.ready_within);
     }},
    {"prove", [](std::string_view value,
                 SimOptions& options) { return read_time(value, options.reload.prove); }},
    {"park", [](std::string_view value,
                SimOptions& options) { return read_time(value, options.reload.park); }},
    {"canary",
     [](std::string_view value, SimOptions& options) {
       return read_share(value, options, options.reload.canaries);
     }},
    {"batch", [](std::string_view value,
                 SimOptions& options) { return read_share(value, options, options.reload.batch); }},
    {"max-surge",
     [](std::string_view value, SimOptions& options) {
       return read_share(value, options, options.reload.max_surge);
     }},
};

const PolicyName* policy_name(std::string_view name) {
  for (const PolicyName& each : kPolicyNames)
    if (name == each.name) return &each;
  return nullptr;
}

std::string unknown_name(std::string_view name) {
  std::vector<std::string> known;
  for (const PolicyName& each : kPolicyNames) known.emplace_back(each.name);
  return "--policy has no `" + std::string{name} + "`; the nearest that there is: `" +
         nearest_to(name, known) + '`';
}

}  // namespace

std::optional<SimTime> sim_time_from(std::string_view text) {
  const bool in_millis = text.ends_with("ms");
  if (in_millis)
    text.remove_suffix(2);
  else if (text.ends_with('s'))
    text.remove_suffix(1);
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  const double seconds = in_millis ? number / 1000 : number;
  if (!(seconds >= 0 && seconds <= kSimSecondsMax)) return std::nullopt;
  return SimTime{static_cast<SimTime::rep>(seconds * 1000 + 0.5)};
}

std::optional<std::string> read_sim_policy(std::string_view text, SimOptions& options) {
  std::set<std::string_view> given;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(" \t\n,"), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    const auto equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const PolicyName* const known = policy_name(name);
    if (known == nullptr) return unknown_name(name);
    if (!given.insert(name).second) return "--policy has " + std::string{name} + " twice";
    const std::string_view value = equals == word.npos ? ""sv : word.substr(equals + 1);
    if (const char* const wrong = known->read(value, options))
      return "--policy: " + std::string{name} + ' ' + wrong + "; not `" + std::string{value} + '`';
  }
  return std::nullopt;
}

}  // namespace cohort::cli
