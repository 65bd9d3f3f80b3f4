#include "cli/map_command.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/sys.h"
#include "cli/fail.h"
#include "cli/progress.h"
#include "map/runner.h"
#include "map/server.h"

namespace cohort::cli {
namespace {

// As GNU parallel: what is not about a job.
constexpr int kOtherError = 255;

unsigned terminal_columns() {
  constexpr unsigned kUsual = 80;
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

}  // namespace

int run(const MapOptions& options) {
  Progress line;
  const map::RunnerVoice voice{.say = [](const std::string& text) { fail(0, text); },
                               .show =
                                   [&](const map::MapProgress& at) {
                                     line.show(map::progress_line(at, terminal_columns() - 1));
                                   },
                               .clear = [&] { line.clear(); }};
  if (options.lists.empty() && options.files.empty() && sys::is_terminal(STDIN_FILENO))
    fail(0, "map reads lines from this terminal; Ctrl-D ends them");
  const auto code =
      options.serve ? map::serve_lines(options, voice) : map::run_jobs(options, voice);
  if (code) return *code;
  line.clear();
  return fail(kOtherError, code.error().message());
}

}  // namespace cohort::cli
