// Whose thread this is: for what may only be called on one of them.
#pragma once

#include <string>

namespace boost::asio {
class io_context;
}

namespace cohort {

/// A thread that this library has started.
struct ThreadIdentity {
  std::string name;
  int id = 0;
  boost::asio::io_context* io = nullptr;  ///< That it runs; null: none.
};

/// Null: another one, as the process's first.
inline thread_local const ThreadIdentity* t_this_thread = nullptr;

}  // namespace cohort
