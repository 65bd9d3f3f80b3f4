// Whose thread this is: for what may only be called on one of them.
#pragma once

#include <string>

#include "base/assert.h"
#include "base/loop.h"

namespace cohort {

/// A thread that this library has started.
struct ThreadIdentity {
  std::string name;
  int id = 0;
  boost::asio::io_context* io = nullptr;  ///< That it runs; null: none.
};

/// Null: another one, as the process's first.
inline thread_local const ThreadIdentity* t_this_thread = nullptr;

/// In a debug build: this is no thread of ours that runs another loop than this one, or none. Of
/// other threads nothing is known: the user may run one io_context on several.
inline void assert_own_loop([[maybe_unused]] const Loop& loop) {
#ifndef NDEBUG
  if (t_this_thread != nullptr && t_this_thread->io != &loop.context())
    assert_failed("what belongs to a loop is used by its thread only", __FILE__, __LINE__,
                  "this thread", t_this_thread->name);
#endif
}

}  // namespace cohort
