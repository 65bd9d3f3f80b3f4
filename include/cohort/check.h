// Whether a worker is well: what `Settings::check` may be.
//
//   cluster.setup_primary({.check = cohort::http_check("/healthz")});
#pragma once

#include <string>

#include "cohort/settings.h"

namespace cohort {

/// GET of the path, as HTTP/1.1, on a connection to that worker alone
/// (`Worker::open_connection`). A status from 200 to 399 says that it is well. Not for servers that
/// want TLS: they answer nothing, and are never well.
Check http_check(std::string path);

}  // namespace cohort
