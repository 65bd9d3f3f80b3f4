#include "manager/runtime_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/sys.h"

namespace cohort::manager {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNameMax = 64;
constexpr std::string_view kSocket = ".sock";

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
std::string lock_path(const std::string& directory, std::string_view name) {
  return directory + '/' + std::string{name} + ".lock";
}

bool may_be_in_a_name(char c) { return is_plain(c) || c == '-' || c == '_' || c == '.'; }

}  // namespace

Surroundings surroundings() {
  auto ours = variable("COHORT_RUNTIME_DIR");
  std::error_code no_directory;  // The one that it is relative to may be gone.
  if (ours) ours = fs::absolute(*ours, no_directory).lexically_normal().string();
  while (ours && ours->size() > 1 && ours->ends_with('/')) ours->pop_back();
  return {std::move(ours), variable("XDG_RUNTIME_DIR"), ::geteuid()};
}

std::string runtime_directory(const Surroundings& surroundings) {
  if (surroundings.cohort_runtime_dir) return *surroundings.cohort_runtime_dir;
  if (surroundings.uid == 0) return "/run/cohort";
  if (surroundings.xdg_runtime_dir) return *surroundings.xdg_runtime_dir + "/cohort";
  return "/tmp/cohort-" + std::to_string(surroundings.uid);
}

std::vector<std::string> search_directories(const Surroundings& surroundings) {
  if (surroundings.cohort_runtime_dir || surroundings.uid == 0)
    return {runtime_directory(surroundings)};
  const std::string uid = std::to_string(surroundings.uid);
  std::vector<std::string> all{"/run/user/" + uid + "/cohort", "/run/cohort-" + uid,
                               "/tmp/cohort-" + uid};
  const std::string first = runtime_directory(surroundings);
  if (std::find(all.begin(), all.end(), first) == all.end()) all.insert(all.begin(), first);
  return all;
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), may_be_in_a_name);
}

std::string name_of_program(std::string_view program) {
  while (program.size() > 1 && program.ends_with('/')) program.remove_suffix(1);
  const std::string stem = fs::path{program}.stem().string();
  std::string name;
  for (const char c : stem) name += may_be_in_a_name(c) ? c : '-';
  const auto first = std::find_if(name.begin(), name.end(), is_plain);
  name.erase(name.begin(), first);
  name.resize(std::min(name.size(), kNameMax - 4));  // There may have to be a number behind it.
  return name.empty() ? "app" : name;
}

std::string socket_path(const std::string& directory, std::string_view name) {
  return directory + '/' + std::string{name} + std::string{kSocket};
}

Result<void> make_directory(const std::string& directory) {
  std::error_code failed;
  fs::create_directories(fs::path{directory}.parent_path(), failed);
  if (sys::mkdir(directory.c_str(), 0700) == -1 && errno != EEXIST)
    return system_error(errno, "mkdir", directory);
  struct stat status{};
  // A link in /tmp may be somebody else's.
  std::error_code error;
  if (fs::is_symlink(fs::symlink_status(directory, error)))
    return system_error(ELOOP, "use", directory + ": it is a link");
  if (sys::stat(directory.c_str(), status) == -1) return system_error(errno, "stat", directory);
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 0022) != 0)
    return system_error(EPERM, "use", directory + ": others may write there");
  return {};
}

Result<OwnFd> take_name(const std::string& directory, std::string_view name) {
  const std::string path = lock_path(directory, name);
  for (;;) {
    OwnFd fd = sys::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (!fd) return system_error(errno, "open", path);
    if (sys::flock(fd.get(), LOCK_EX | LOCK_NB) == -1) return system_error(errno, "lock", path);
    // Whoever had it may have removed the file in between: then this lock is of no name.
    struct stat ours{}, named{};
    if (::fstat(fd.get(), &ours) == 0 && sys::stat(path.c_str(), named) == 0 &&
        ours.st_ino == named.st_ino && ours.st_dev == named.st_dev)
      return fd;
  }
}

void give_name_back(const std::string& directory, std::string_view name, OwnFd taken) {
  if (taken) sys::unlink(lock_path(directory, name).c_str());
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator file{directory, error}, end; !error && file != end;
       file.increment(error)) {
    std::string name = file->path().filename().string();
    if (!name.ends_with(kSocket)) continue;
    name.resize(name.size() - kSocket.size());
    if (is_name(name)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace cohort::manager
