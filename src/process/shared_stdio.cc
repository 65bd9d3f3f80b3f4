#include "process/shared_stdio.h"

#include <sys/stat.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/standard_stdio.h"
#include "base/sys.h"

namespace cohort::process {
namespace {

// A line of an epoll's fdinfo: `tfd: 8 events: 19 data: ... pos:0 ino:1a2b sdev:8`.
bool names(std::string_view line, ino_t inode) {
  constexpr std::string_view kInode = " ino:";
  const auto at = line.find(kInode);
  if (at == std::string_view::npos) return false;
  unsigned long found = 0;
  const std::string_view digits = line.substr(at + kInode.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), found, 16);
  return found == inode;
}

// Whether an epoll of this process waits for it, under whatever number.
bool is_awaited(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) == -1) return false;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd", error}) {
    if (std::filesystem::read_symlink(entry, error) != "anon_inode:[eventpoll]") continue;
    std::ifstream lines{"/proc/self/fdinfo/" + entry.path().filename().string()};
    for (std::string line; std::getline(lines, line);)
      if (names(line, info.st_ino)) return true;
  }
  return false;
}

}  // namespace

Result<OwnFd> blocking_for_child(int fd, Sharing sharing) {
  if (sharing != Sharing::OfOurs)
    if (OwnFd own = sys::reopen(fd)) return own;
  if (!sys::is_nonblocking(fd)) return OwnFd{};
  if (sharing == Sharing::Inherited && is_awaited(fd))
    return make_error(Errc::InvalidArgument, "descriptor " + std::to_string(fd),
                      "a loop of this process waits for it, and a child needs it blocking, which "
                      "they would share: give the child Stdio::Pipe and pass the bytes on");
  sys::set_nonblocking(fd, false);
  return OwnFd{};
}

}  // namespace cohort::process
