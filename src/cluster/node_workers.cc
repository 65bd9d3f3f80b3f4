#include "cluster/node_workers.h"

#include <set>
#include <utility>
#include <vector>

#include "base/notices.h"

namespace cohort::cluster {

std::size_t NodeWorkers::debugger_for(int worker, std::size_t slot, std::size_t slots) {
  std::set<std::size_t> taken;
  for (const auto& [id, index] : debugger_of_) taken.insert(index);
  std::size_t index = slot;
  if (taken.contains(index)) index = slots;
  while (taken.contains(index)) ++index;
  debugger_of_[worker] = index;
  return index;
}

void NodeWorkers::prepare(process::SpawnRequest& request, int worker, std::size_t slot,
                          std::size_t slots, NodeWishes wishes) {
  const std::size_t index = debugger_for(worker, slot, slots);
  const NodeLaunch node = prepare_node(request, index, wishes);
  if (node.no_preload && !std::exchange(without_preload_, true))
    say(loop_, {.code = "no_preload",
                .text = "Node workers start without the preload, so their own handlers run late "
                        "(docs/signals.md): " +
                        node.no_preload->message()});
  if (node.debugger && debuggers_.emplace(index, *node.debugger).second) tell_debuggers();
}

// One line for all that are started in this turn.
void NodeWorkers::tell_debuggers() {
  loop_.post(callbacks_.wrap([this, known = debuggers_.size()] {
    if (known != debuggers_.size()) return;
    std::string text = "debuggers:";
    std::vector<std::string> addresses;
    for (const auto& [index, where] : debuggers_) {
      text += ' ' + where;
      addresses.push_back(where);
    }
    say(loop_, {.code = "debuggers", .text = text, .fields = {{"addresses", addresses}}});
  }));
}

}  // namespace cohort::cluster
