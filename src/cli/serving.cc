#include "cli/serving.h"

namespace cohort::cli {
namespace {

constexpr double kSilent = 1, kSilentBesideOthers = 10;  // s

}  // namespace

Serving serving(const Value& status) {
  Serving result{.places = status["places"].int64_or(0)};
  const double silent = status["ports"].elements().empty() ? kSilent : kSilentBesideOthers;
  for (const Value& worker : status["workers"].elements()) {
    const bool lives = worker["state"] == "spawned" || worker["state"] == "online";
    const bool ready =
        worker["state"] == "listening" || (lives && worker["uptime"].number_or(0) >= silent);
    ++(ready && worker["kept"].bool_or(false) ? result.serve : result.others);
  }
  return result;
}

}  // namespace cohort::cli
