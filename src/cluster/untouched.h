// Whether anybody has read from, or written to, a connection.
#pragma once

namespace cohort::cluster {

/// True only if it is certain: a TCP connection of which every byte that came in still waits to be
/// read, and on which nothing was sent. Dispatching any other again could run a request twice.
bool is_untouched(int fd);

}  // namespace cohort::cluster
