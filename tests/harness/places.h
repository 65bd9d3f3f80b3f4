// Where things are: the programs that the build made, the Node binaries, a folder for a test's
// files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

/// build/.../examples/NAME
std::string example(std::string_view name);
/// build/.../tests/integration/NAME: helpers of the tests, tests/integration/programs/NAME.cc.
std::string helper(std::string_view name);
/// The `cohort` command.
std::string command();
/// A path in the source tree.
std::string source(std::string_view path);

/// Real Node binaries: $COHORT_NODE20, else where `scripts/setup` put them.
std::string node20();
std::string node26();
/// Express, Fastify, Next.js... of tests/interop/frameworks: $COHORT_FRAMEWORKS, else where
/// `scripts/setup` put them. NODE_PATH=.../node_modules lets a script require() them from anywhere;
/// next_app/ is built, and served by `node_modules/next/dist/bin/next start next_app`.
std::string frameworks();

/// A folder that is removed with the object.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string path() const { return path_; }
  /// Writes a file that may be executed, and returns its path.
  std::string write(std::string_view name, std::string_view text) const;

 private:
  std::filesystem::path path_;
};

}  // namespace harness
