// The file that a Unix socket is bound to. Who is killed leaves it behind: it is then in the way of
// the successor, and nobody's.
//
// Free functions; the process that owns the socket calls them.
#pragma once

#include <string>

#include "net/sockaddr.h"

namespace cohort::net {

/// Binds `fd` to the path, and listens at once, so that whoever asks finds out. A socket file on
/// which nobody listens is replaced; any other file, and a socket that somebody listens on, is
/// EADDRINUSE. Two that try at the same time do not both win: the directory is locked (flock)
/// meanwhile. A directory that cannot be locked (it may not be read), or that somebody else keeps
/// locked for 200 ms, has nothing replaced. -1 and errno, as bind(2) and listen(2).
int bind_socket_file(int fd, const SockAddr& address, int backlog);

/// Whether a file is there that is no socket: it is not ours to remove.
bool is_other_file(const std::string& path);

}  // namespace cohort::net
