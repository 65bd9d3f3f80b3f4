// Asks a Node worker that hangs where its JavaScript is. SIGUSR1 opens the debugger of Node: a
// thread of its own sees to that, while the loop is blocked. The program is stopped there for a
// moment, and the debugger closed again if the worker lives on.
//
// Where it listens is seen from outside, among the worker's sockets, and asked there. So nothing
// depends on stderr, which is often a terminal's. On the loop's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <string>
#include <vector>

#include "cohort/callback.h"
#include "cohort/status.h"

namespace cohort::cli {

struct JsStackFound {
  std::vector<std::string> lines{};  ///< As of `JsStack`.
  std::string why_not{};             ///< Why there are none.
  /// Somebody looks at it with a debugger: it was left alone.
  bool is_debugged = false;
};

/// What decides whether the debugger of a process may be opened.
struct DebuggerFacts {
  bool is_node = false;
  bool has_handler = false;    ///< The program itself handles SIGUSR1.
  bool ends_by_signal = true;  ///< Nobody does: it would end by it.
};
/// Why SIGUSR1 is not sent; empty: it is. Pure.
std::string why_not_opened(const DebuggerFacts& facts);

/// `done` is called once, later, within some 5 s.
void find_js_stack(boost::asio::io_context& io, const WorkerStatus& worker,
                   Callback<void(const JsStackFound& found)> done);

}  // namespace cohort::cli
