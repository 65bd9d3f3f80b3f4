#include "cluster/worker_starts.h"

#include <algorithm>
#include <utility>

#include "base/notices.h"
#include "cluster/launch.h"

namespace cohort::cluster {
namespace {

using State = process::Zygote::State;

Result<process::SpawnRequest> loader_request(const Loop& loop, Settings settings, int generation) {
  settings.spawn = process::options_of_loader(std::move(settings.spawn));
  WorkerLaunch wanted{.settings = settings, .env = with_seat({}, 0, generation)};
  const auto options = worker_options(wanted);
  if (!options) return options.error();
  auto launch = prepare_launch(loop, wanted, *options);
  if (!launch) return launch.error();
  return std::move(launch->request);
}

}  // namespace

bool WorkerStarts::has_to_load(int generation, const Settings& settings) const {
  if (settings.preload.empty()) return false;
  const auto found = loaders_.find(generation);
  return found == loaders_.end() || found->second->state() != State::Ready;
}

void WorkerStarts::load(int generation, const Settings& settings, int worker, Loaded done) {
  waiters_.push_back({generation, worker, std::move(done)});
  const auto found = loaders_.find(generation);
  if (found == loaders_.end()) return start_loading(generation, settings);
  if (found->second->state() == State::Ready)
    loop_.post(callbacks_.wrap([this, generation] { tell(generation, {}); }));
}

void WorkerStarts::start_loading(int generation, const Settings& settings) {
  const std::string name = settings.preload;
  auto request = loader_request(loop_, settings, generation);
  auto loader =
      request ? process::Zygote::start(loop_, *request, name,
                                       [this, generation, name] { changed(generation, name); })
              : Result<std::unique_ptr<process::Zygote>>{request.error()};
  if (loader) {
    loaders_.emplace(generation, *std::move(loader));
  } else {
    loop_.post(
        callbacks_.wrap([this, generation, error = loader.error()] { tell(generation, error); }));
  }
}

void WorkerStarts::changed(int generation, const std::string& name) {
  const auto found = loaders_.find(generation);
  if (found == loaders_.end()) return;
  if (found->second->state() == State::Ready) return tell(generation, {});
  const auto gone = std::move(found->second);
  loaders_.erase(found);
  if (gone->has_loaded())
    say(loop_, {"preload_gone",
                "what had loaded " + name + " for the workers is gone (" + gone->why().message() +
                    "); it is loaded again for the next one",
                {{"preload", name}}});
  tell(generation, gone->why());
}

void WorkerStarts::tell(int generation, const Result<void>& loaded) {
  std::vector<Loaded> all;
  std::erase_if(waiters_, [&](Waiter& waiter) {
    if (waiter.generation != generation) return false;
    all.push_back(std::move(waiter.done));
    return true;
  });
  for (const Loaded& done : all) done(loaded);
}

bool WorkerStarts::forget(int worker) {
  return std::erase_if(waiters_,
                       [worker](const Waiter& waiter) { return waiter.worker == worker; }) > 0;
}

Result<process::Child> WorkerStarts::spawn(process::SpawnRequest& request, const Who& who,
                                           const Settings& settings, std::size_t slots) {
  if (!settings.preload.empty()) {
    const auto found = loaders_.find(who.generation);
    if (found != loaders_.end()) return found->second->spawn(request);
    return make_error(Errc::PreloadFailed, "preload " + settings.preload, "it is not there");
  }
  node_.prepare(request, who.worker, who.slot, slots,
                {.preload = settings.node_preload.value_or(true),
                 .quiet_debugger = settings.quiet_debugger.value_or(false)});
  return process::spawn(request);
}

void WorkerStarts::keep(const std::function<bool(int generation)>& needed) {
  std::erase_if(loaders_, [&](const auto& each) { return !needed(each.first); });
  std::erase_if(waiters_, [&](const Waiter& each) { return !needed(each.generation); });
}

}  // namespace cohort::cluster
