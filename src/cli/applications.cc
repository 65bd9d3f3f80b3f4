#include "cli/applications.h"

#include <algorithm>
#include <utility>

#include "cli/control_client.h"
#include "cli/serving.h"
#include "manager/runtime_directory.h"

namespace cohort::cli {
namespace {

Answer no_such(const std::string& text) { return {kExitPermanent, "cohort: " + text + '\n'}; }

void add_to_list(std::string& list, const std::string& item) {
  list += (list.empty() ? "" : ", ") + item;
}

}  // namespace

bool is_settled(const Value& status) {
  const Serving now = serving(status);
  return now.all() && now.others == 0;
}

Answer does_not_answer(const std::string& name) {
  return {kExitTemporary,
          "cohort: " + name + " does not answer: its primary is stopped, or stuck\n"};
}

std::vector<Running> applications(const std::string& wanted) {
  std::vector<Running> found;
  for (const std::string& directory : manager::search_directories(manager::surroundings()))
    for (const std::string& name : manager::names_in(directory)) {
      if (!wanted.empty() && name != wanted) continue;
      auto answered = ask(directory, name, "GET", "/v1/status");
      if (answered && answered->status == 200)
        found.push_back({directory, name, std::move(answered->body), answered->peer});
      else if (!answered && answered.error().code == boost::system::errc::timed_out)
        found.push_back({directory, name, {}, 0});
    }
  return found;
}

std::variant<Running, Answer> find_application(const std::string& name) {
  auto all = applications(name);
  // A machine that is busy is no reason to give up.
  for (int again = 0; again < 2 && all.size() == 1 && all.front().status.is_undefined(); ++again)
    all = applications(name);
  if (all.size() == 1) {
    if (all.front().status.is_undefined()) return does_not_answer(all.front().name);
    return std::move(all.front());
  }
  if (!name.empty()) all = applications();
  std::string names;
  for (const Running& each : all) add_to_list(names, each.name);
  if (names.empty()) {
    std::string places;
    for (const std::string& each : manager::search_directories(manager::surroundings()))
      add_to_list(places, each);
    return no_such("no application runs under cohort (looked in " + places + ')');
  }
  if (name.empty()) return no_such("several run, so say which: " + names);
  return no_such("no application is called `" + name + "`; there are: " + names);
}

}  // namespace cohort::cli
