#include "thread/spin.h"

#include "cohort/parallelism.h"

namespace cohort::thread {

SpinRule& spin_rule() {
  static const bool one_cpu = available_parallelism() == 1;
  thread_local SpinRule rule{one_cpu};
  return rule;
}

}  // namespace cohort::thread
