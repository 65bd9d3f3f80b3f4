// This program is also the worker of its pools of processes.
#include <gtest/gtest.h>

#include "cohort/pool.h"

int main(int argc, char** argv) {
  if (const auto code = cohort::run_as_pool_worker()) return *code;
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
