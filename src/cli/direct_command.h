// What `npm start`, `npx next start` or `sh -c 'node server.js'` would start, where that is one
// plain command: so it is started without them. They start it as a process of their own, which
// shares no port, and whose last requests nobody waits for.
//
//   npm start [-- ARG...]    npm run NAME    yarn [run] NAME    pnpm [run] NAME    node --run NAME
//   npx NAME [ARG...]        npm|yarn|pnpm exec NAME            cross-env A=b COMMAND    tsx FILE
//   sh -c 'COMMAND'
//
// Pure but for the functions that it is given.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cgroups.h"

namespace cohort::cli {

struct DirectCommand {
  std::vector<std::string> words;          ///< The program, and its arguments.
  std::map<std::string, std::string> env;  ///< What the script sets; these count most.
  std::map<std::string, std::string> npm;  ///< What whoever runs scripts says to one.
  bool finds_installed = false;            ///< node_modules/.bin is in its PATH.

  bool operator==(const DirectCommand&) const = default;
};

struct RunnerFiles {
  std::string directory;  ///< Where package.json is looked for: here, as these do at first.
  ReadFile read;
  /// What npm has installed for who works there: node_modules/.bin/NAME.
  std::function<std::optional<std::string>(const std::string& name)> installed;
  /// The options by which node runs what this tsx would; empty: it cannot.
  std::function<std::vector<std::string>(const std::string& tsx)> options_of_tsx;
};

/// Whether a program is one that runs others, as `npm`, `nodemon` and `tsx` do.
bool is_runner(std::string_view program);

/// Nothing: it is no such command, or one that needs a shell, options of the package manager, what
/// its configuration says, or scripts that come before or after it.
std::optional<DirectCommand> direct_command(const std::vector<std::string>& words,
                                            const RunnerFiles& files);

}  // namespace cohort::cli
