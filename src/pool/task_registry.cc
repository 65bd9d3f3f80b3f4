#include "pool/task_registry.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

namespace cohort {
namespace {

std::map<std::string, detail::NamedTask, std::less<>>& tasks() {
  static std::map<std::string, detail::NamedTask, std::less<>> all;
  return all;
}

}  // namespace

void detail::add_task(const std::string& name, NamedTask task) {
  if (tasks().emplace(name, std::move(task)).second) return;
  // Which of the two would run is not to be left to chance.
  std::fprintf(stderr, "cohort: two tasks have the name %s\n", name.c_str());
  std::abort();
}

const detail::NamedTask* pool::find_task(std::string_view name) {
  const auto found = tasks().find(name);
  return found == tasks().end() ? nullptr : &found->second;
}

}  // namespace cohort
