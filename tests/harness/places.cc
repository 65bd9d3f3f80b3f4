#include "harness/places.h"

#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

namespace harness {
namespace {

std::string in_build(std::string_view folder, std::string_view name) {
  return std::string{COHORT_BINARY_DIR} + std::string{folder} + std::string{name};
}

std::string from_environment(const char* name, const char* fallback) {
  const char* value = getenv(name);
  return value != nullptr ? value : fallback;
}

}  // namespace

std::string example(std::string_view name) { return in_build("/examples/", name); }
std::string helper(std::string_view name) { return in_build("/tests/integration/", name); }
std::string command() { return in_build("/", "cohort"); }
std::string source(std::string_view path) {
  return std::string{COHORT_SOURCE_DIR} + '/' + std::string{path};
}

std::string node20() { return from_environment("COHORT_NODE20", COHORT_NODE20); }
std::string node26() { return from_environment("COHORT_NODE26", COHORT_NODE26); }
std::string frameworks() { return from_environment("COHORT_FRAMEWORKS", COHORT_FRAMEWORKS); }

TempDir::TempDir() {
  std::string pattern = std::filesystem::temp_directory_path() / "cohort-test-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"mkdtemp"};
  path_ = pattern;
}

TempDir::~TempDir() { std::filesystem::remove_all(path_); }

std::string TempDir::write(std::string_view name, std::string_view text) const {
  const std::filesystem::path file = path_ / name;
  std::ofstream{file} << text;
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  return file;
}

}  // namespace harness
