#include "thread/spin.h"

#include <unistd.h>

#include "base/parallelism.h"
#include "base/read_file.h"

namespace cohort::thread {
namespace {

// What this thread may run on says nothing of the others: one that is pinned to a CPU may wait for
// one on another.
bool has_one_cpu() {
  return ::sysconf(_SC_NPROCESSORS_ONLN) == 1 || cgroup_cpu_limit(read_file) == 1U;
}

}  // namespace

SpinRule& spin_rule() {
  static const bool one_cpu = has_one_cpu();
  thread_local SpinRule rule{one_cpu};
  return rule;
}

}  // namespace cohort::thread
