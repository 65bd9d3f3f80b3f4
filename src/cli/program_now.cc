#include "cli/program_now.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

namespace cohort::cli {

namespace fs = std::filesystem;

const fs::path& way_here() {
  static const fs::path way = [] {
    std::error_code error;
    const char* pwd = std::getenv("PWD");
    const bool is_here =
        pwd != nullptr && fs::path{pwd}.is_absolute() && fs::equivalent(pwd, ".", error) && !error;
    return is_here ? fs::path{pwd} : fs::current_path(error);
  }();
  return way;
}

std::variant<ProgramNow, CannotRun> program_now(const RunOptions& options) {
  std::error_code error;
  fs::path here;
  if (!way_here().empty()) {  // else it was removed under us
    here = fs::canonical(way_here(), error);
    // Relative names are looked up there, too.
    if (!error) fs::current_path(here, error);
    if (error) return CannotRun{way_here().string() + ": " + error.message()};
  }
  auto found = program_of(options.program);
  if (auto* problem = std::get_if<CannotRun>(&found)) return std::move(*problem);
  const auto& program = std::get<process::Program>(found);
  std::vector<std::string> args = program.leading_args;
  args.insert(args.end(), options.args.begin(), options.args.end());
  return ProgramNow{.settings = {.exec = program.file,
                                 .args = std::move(args),
                                 .spawn = {.cwd = here.string()},
                                 .listen = options.listen,
                                 .stop_signal = options.stop_signal,
                                 .preload = options.preload},
                    .directory = here.string()};
}

}  // namespace cohort::cli
