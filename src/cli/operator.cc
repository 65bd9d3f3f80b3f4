#include "cli/operator.h"

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <utility>

#include "cli/program_now.h"

namespace cohort::cli {
namespace {

std::vector<std::string> differences(const ProgramNow& before, const ProgramNow& now) {
  std::vector<std::string> result;
  const auto compare = [&result](const char* what, const std::string& was, const std::string& is) {
    if (was != is) result.push_back(std::string{what} + ' ' + was + " -> " + is);
  };
  compare("program", before.settings.exec, now.settings.exec);
  compare("directory", before.directory, now.directory);
  return result;
}

}  // namespace

Operator::Operator(Cluster& cluster, const RunOptions& options, unsigned count, ProgramNow serving,
                   Narrator& narrator, manager::ServiceManager& systemd, Say say)
    : cluster_{cluster},
      options_{options},
      count_{count},
      serving_{std::move(serving)},
      narrator_{narrator},
      systemd_{systemd},
      say_{std::move(say)},
      signals_{cluster.io_context()} {}

void Operator::listen() {
  boost::system::error_code ignored;
  for (const int signal : {SIGHUP, SIGQUIT, SIGTTIN, SIGTTOU}) signals_.add(signal, ignored);
  await_signal();
}

void Operator::await_signal() {
  signals_.async_wait([this](boost::system::error_code error, int signal) {
    if (error) return;
    obey(signal);
    await_signal();
  });
}

void Operator::obey(int signal) {
  switch (signal) {
    case SIGQUIT:
      return cluster_.stop();
    case SIGTTIN:
      (void)scale(count_ + 1);
      return;
    case SIGTTOU:
      if (count_ == 1) return say_(narrator_.last_worker());
      (void)scale(count_ - 1);
      return;
    default:
      break;
  }
  switch (hangup_.means()) {
    case Hangup::Means::Reload:
      (void)reload();
      return;
    case Hangup::Means::TheEnd:
      return cluster_.stop();
    case Hangup::Means::Nothing:
      break;
  }
}

Result<void> Operator::scale(unsigned count) {
  if (count < 1 || count > kWorkersMax)
    return make_error(Errc::InvalidArgument, "scale",
                      "there can be 1 to " + std::to_string(kWorkersMax) + " workers");
  count_ = count;
  say_(narrator_.scaled(count));
  cluster_.scale(count);
  return {};
}

Result<int> Operator::reload(std::function<void(const RolloutResult&)> done) {
  systemd_.reloading();
  const auto over = [this](const Report& verdict) {
    say_(verdict);
    systemd_.reloaded(verdict.text);
  };
  auto found = program_now(options_);
  if (const auto* problem = std::get_if<CannotRun>(&found)) {
    over(narrator_.cannot_reload(problem->text));
    return make_error(Errc::InvalidArgument, "reload", problem->text);
  }
  auto& now = std::get<ProgramNow>(found);
  const auto changed = differences(serving_, now);
  const int generation = cluster_.reload(
      {.settings = now.settings, .ready_within = options_.ready_within, .prove = options_.prove},
      [this, now, over, done](const RolloutResult& result) {
        if (result.outcome == RolloutResult::Outcome::Reached) serving_ = now;
        over(narrator_.reloaded(result));
        if (done) done(result);
      });
  say_(narrator_.reloading(generation, changed));
  return generation;
}

}  // namespace cohort::cli
