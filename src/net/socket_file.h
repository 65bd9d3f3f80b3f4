// The file that a Unix socket is bound to. Who is killed leaves it behind: it is then in the way of
// the successor, and nobody's.
//
// The process that owns the socket calls these.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

#include "cohort/address.h"
#include "net/sockaddr.h"

namespace cohort::net {

/// Binds `fd` to the path, and listens at once, so that whoever asks finds out. A socket file on
/// which nobody listens is replaced; any other file, and a socket that somebody listens on, is
/// EADDRINUSE. Two that try at the same time do not both win: the directory is locked (flock)
/// meanwhile. A directory that cannot be locked (it may not be read), or that somebody else keeps
/// locked for 200 ms, has nothing replaced. -1 and errno, as bind(2) and listen(2).
int bind_socket_file(int fd, const SockAddr& address, int backlog);

/// The file of a socket that this process has bound: which one it is. Many programs unlink a socket
/// file before they bind: by the time when ours is to be removed, another's may have its name.
class SocketFile {
 public:
  SocketFile() = default;  ///< None.
  /// To be called right after the bind. None if the address has no file. Where the file cannot be
  /// looked at, whichever has its name is taken for it.
  explicit SocketFile(const Address& bound);
  /// Removes it, if it still has its name. To be called before the last descriptor is closed. Once.
  void remove();

 private:
  bool has_its_name() const;

  std::string path_;  // empty: none
  std::optional<std::pair<dev_t, ino_t>> identity_;
};

/// Whether a file is there that is no socket: it is not ours to remove.
bool is_other_file(const std::string& path);

}  // namespace cohort::net
