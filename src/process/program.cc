#include "process/program.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>

#include "base/sys.h"

namespace cohort::process {
namespace {

namespace fs = std::filesystem;

bool is_script(std::string_view name) {
  return name.ends_with(".js") || name.ends_with(".mjs") || name.ends_with(".cjs");
}

std::vector<fs::path> path_directories() {
  const char* variable = std::getenv("PATH");
  const std::string_view path = variable != nullptr ? variable : "/bin:/usr/bin";
  std::vector<fs::path> directories;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find(':', start), path.size());
    directories.emplace_back(end == start ? "." : path.substr(start, end - start));
    start = end + 1;
  }
  return directories;
}

// `./x`, `../x` and `/x` say where the file is.
bool names_a_place(const std::string& name) {
  return name.starts_with("/") || name.starts_with("./") || name.starts_with("../");
}

std::vector<fs::path> search_directories(const std::string& name) {
  std::vector<fs::path> directories;
  if (!names_a_place(name))
    if (const auto self = running_program()) directories.push_back(fs::path{*self}.parent_path());
  directories.emplace_back(".");
  if (name.find('/') == std::string::npos)
    for (fs::path& directory : path_directories()) directories.push_back(std::move(directory));
  return directories;
}

struct Found {
  std::optional<std::string> file;      // one that can be run
  std::optional<std::string> unusable;  // one that would, had it the permission
};

Found find_file(const std::string& name, const std::vector<fs::path>& directories,
                int access_mode) {
  Found found;
  for (const fs::path& directory : directories) {
    std::error_code error;
    const std::string path = fs::absolute(directory / name, error).lexically_normal().string();
    if (error || !fs::is_regular_file(path, error)) continue;
    if (sys::access(path.c_str(), access_mode) == 0) {
      found.file = path;
      return found;
    }
    if (!found.unusable) found.unusable = path;
  }
  return found;
}

std::string working_directory_text() {
  std::error_code error;
  const fs::path here = fs::current_path(error);
  if (!error) return ' ' + here.string();
  return error == std::errc::no_such_file_or_directory ? ", which was removed"
                                                       : ", which cannot be read";
}

Error not_found(const std::string& name, const Found& found) {
  const std::string op = "spawn " + name;
  if (found.unusable) {
    const char* reason = is_script(name) ? " cannot be read" : " is not executable";
    return system_error(EACCES, op, *found.unusable + reason);
  }
  const std::string here = "the working directory" + working_directory_text();
  if (name.starts_with("/")) return system_error(ENOENT, op);
  if (names_a_place(name)) return system_error(ENOENT, op, "looked in " + here);
  const bool in_path = name.find('/') == std::string::npos;
  return system_error(
      ENOENT, op,
      "looked beside the running program and in " + here + (in_path ? ", then in PATH" : ""));
}

}  // namespace

Result<Program> resolve_program(const std::string& name) {
  const Found found = find_file(name, search_directories(name), is_script(name) ? R_OK : X_OK);
  if (!found.file) return not_found(name, found);
  if (!is_script(name)) return Program{*found.file, {}};
  const Found node = find_file("node", path_directories(), X_OK);
  if (!node.file)
    return system_error(ENOENT, "spawn node",
                        "it runs " + *found.file + ": install Node.js, or put node into PATH");
  return Program{*node.file, {*found.file}};
}

Result<std::string> running_program() {
  std::error_code error;
  std::string path = fs::read_symlink("/proc/self/exe", error).string();
  if (error) return system_error(error.value(), "read /proc/self/exe");
  // The kernel's mark for a file that was replaced or removed since.
  constexpr std::string_view kDeleted = " (deleted)";
  if (path.ends_with(kDeleted) && !fs::exists(path, error))
    path.resize(path.size() - kDeleted.size());
  return path;
}

}  // namespace cohort::process
