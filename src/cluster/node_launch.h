// What a worker that runs under Node is started with: the preload, and a debugger port of its own.
//
// The preload (preload.cjs) is part of this library. Node needs it as a file that the worker may
// read, also later: each of the program's threads reads it again. It is in a directory of this
// user's in /dev/shm, which nobody cleans, or in /tmp; one file for all primaries of this version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/error.h"
#include "process/spawn.h"

namespace cohort::cluster {

/// What a file runs under: it is that program, or a script that begins with `#!` and names it.
enum class Runtime : std::uint8_t {
  Other,
  Node,
  Shell,  ///< Or `env`: what it starts may be Node.
  /// It takes NODE_UNIQUE_ID for a cluster of its own, and speaks that with a byte of 2 before each
  /// message (1.2 and 1.4, measured): no Node primary understands it either.
  Bun,
};
Runtime runtime_of(const std::string& file);

/// The path of the preload. Written if it is not there, or not as it should be. Fails where no
/// directory can be written.
Result<std::string> preload_file();

/// NODE_OPTIONS with the preload behind the user's own; the preload takes off what is added here.
/// `restricted`: with leave to read the file.
std::string with_preload(std::string_view node_options, const std::string& file, bool restricted);

/// Whether the options, of the command line or of NODE_OPTIONS, restrict what a program may read:
/// Node 20, and others up to 24.0, refuse to read the preload then, too. Pure.
bool restricts_reading(const std::vector<std::string>& argv, std::string_view node_options);

/// If the options ask for a debugger: the `index`-th port behind the one that they give, in the
/// place where it wins. What it changed is where the debugger listens, `127.0.0.1:9231`; nothing if
/// none is asked for, or with a port of the system's choice. Pure.
std::optional<std::string> give_debugger_port(std::vector<std::string>& argv,
                                              std::string& node_options, std::size_t index);

/// If the options say nothing of a debugger: what SIGUSR1 opens is at a port of 127.0.0.1 that the
/// system chooses, and its address is told only to who asks there. Pure.
void give_quiet_debugger(const std::vector<std::string>& argv, std::string& node_options);

/// What a worker that runs under Node is to have.
struct NodeWishes {
  bool preload = true;
  bool quiet_debugger = false;
};
struct NodeLaunch {
  std::optional<std::string> debugger;  ///< Where it listens, if one was asked for.
  std::optional<Error> no_preload;      ///< Why it is started without, though it should be with.
};
/// Adds all of that to a worker, if it runs under Node or may start it. `debugger`: the index of
/// its port. Under Bun it is no worker of a cluster: it has the channel, and no number.
NodeLaunch prepare_node(process::SpawnRequest& request, std::size_t debugger, NodeWishes wishes);

}  // namespace cohort::cluster
