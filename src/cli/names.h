// How an application is called where nobody gave it a name.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"

namespace cohort::cli {

/// The program and its arguments.
std::vector<std::string> words_of(const RunOptions& options);

/// Its name, or `server`, of /srv/server.js and of `python3 server.py`; `shop`, of the directory
/// /srv/shop, and of `npm start` there.
std::string name_of(const RunOptions& options);

}  // namespace cohort::cli
