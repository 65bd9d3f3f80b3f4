// What is said to the debugger of a Node worker, to know where its JavaScript is: the messages of
// the Chrome DevTools Protocol. Pure: whoever carries them is in debugger_visit.h.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/value.h"

namespace cohort::cli {

/// The path of the WebSocket, in what Node's debugger answers to GET /json/list. Nothing: whoever
/// answered is no debugger of Node.
std::optional<std::string> debugger_path(std::string_view list);

/// A session that stops the program where it is, and has the stack then.
class JsStack {
 public:
  /// What is to be said at the beginning, in this order.
  static std::vector<std::string> questions();
  /// One message of the debugger. What makes no sense is left out.
  void take(std::string_view message);
  /// `#0  spin (/srv/server.js:1:19)`, innermost first; at most 30, and their beginnings. Nothing:
  /// it has not come yet.
  const std::optional<std::vector<std::string>>& lines() const { return lines_; }
  /// Why it will not come; empty: it may.
  const std::string& refusal() const { return refusal_; }

 private:
  void stopped(const Value& frames);

  std::map<std::string, std::string, std::less<>> files_;  ///< By the script's id.
  std::optional<std::vector<std::string>> lines_;
  std::string refusal_;
};

/// What closes the debugger of the program again, and lets the program go on.
std::string closing_words();

}  // namespace cohort::cli
