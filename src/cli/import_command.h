// Commands of a Procfile, and of an ecosystem file, as what an application runs. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/import_model.h"

namespace cohort::cli {

/// Makes it what the application runs; `field` is where it came from. False: there is no program.
bool set_command(ImportedApplication& application, const std::string& field, std::string_view text);

/// Makes these words what the application runs: `node server.js` is `server.js`. Not empty.
void set_words(ImportedApplication& application, const std::string& field,
               std::vector<std::string> words);

}  // namespace cohort::cli
