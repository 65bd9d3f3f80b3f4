#include "cli/sim.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <string_view>
#include <utility>

#include "cluster/supervisor_queue.h"
#include "cohort/value.h"

namespace cohort::cli {
namespace {

using cluster::Duration;
using cluster::TimePoint;
namespace action = cluster::action;
namespace event = cluster::event;

// A wrong rule could go round in circles at one moment.
constexpr int kEventsMax = 100'000;

struct SimWorker {
  std::optional<TimePoint> ready_at, dies_at, gone_at;
  bool listens = false;
  bool kept_from = false;  // it gets no connections
  bool is_asked = false;   // to end
};

double share(Duration part, Duration whole) {
  return whole.count() == 0
             ? 0
             : 100 * static_cast<double>(part.count()) / static_cast<double>(whole.count());
}

class Simulated {
 public:
  explicit Simulated(const SimOptions& options) : options_{options} {
    queue_.set_rules(options_.rules);
  }

  std::string run() {
    tell(event::Keep{options_.workers});
    for (int i = 0; i < kEventsMax && !over_; ++i) {
      const TimePoint next = next_time();
      account(std::min(next, end_));
      if (next > end_) break;
      now_ = next;
      happen();
    }
    if (!options_.json) text_ += summary();
    return std::move(text_);
  }

 private:
  void tell(const cluster::SupervisorEvent& happened) { queue_.tell(happened); }

  void say(std::string_view what, int worker, const std::string& text) {
    const double at = std::chrono::duration<double>(now_ - TimePoint{}).count();
    if (options_.json) {
      Value line = Value::object({{"at", at}, {"event", what}, {"text", text}});
      if (worker != 0) line["worker"] = worker;
      text_ += to_json(line) + '\n';
      return;
    }
    char time[32];
    std::snprintf(time, sizeof time, "%9.3f s  ", at);
    text_ += time + text + '\n';
  }
  static std::string name(int worker) { return "worker " + std::to_string(worker); }

  const SimVersion& version_of(int generation) const {
    return generation == 1 ? options_.version : options_.next;
  }

  // --- time

  TimePoint next_time() const {
    TimePoint next = TimePoint::max();
    const auto sooner = [&next](std::optional<TimePoint> at) {
      next = std::min(next, at.value_or(next));
    };
    sooner(cluster::next_wakeup(queue_.state()));
    if (!reloaded_ && options_.reload_at) sooner(TimePoint{} + *options_.reload_at);
    for (const auto& [id, worker] : workers_)
      for (const auto& at : {worker.ready_at, worker.dies_at, worker.gone_at}) sooner(at);
    return std::max(next, now_);
  }

  void account(TimePoint until) {
    const auto serve = std::count_if(workers_.begin(), workers_.end(), [](const auto& each) {
      return each.second.listens && !each.second.kept_from;
    });
    const Duration time = until - now_;
    if (serve >= static_cast<std::ptrdiff_t>(options_.workers)) all_served_ += time;
    if (serve > 0) any_served_ += time;
    ran_ = until - TimePoint{};
  }

  // One thing of those that are due.
  void happen() {
    const auto is_due = [this](const std::optional<TimePoint>& at) { return at && *at <= now_; };
    if (!reloaded_ && options_.reload_at && TimePoint{} + *options_.reload_at <= now_)
      return reload();
    for (auto& [id, worker] : workers_) {
      if (is_due(worker.gone_at)) return ends(id, false);
      if (is_due(worker.dies_at)) return ends(id, true);
      if (is_due(worker.ready_at)) return listens(id, worker);
    }
    tell(event::TimePassed{});
  }

  void reload() {
    reloaded_ = true;
    say("reload", 0, "reload: generation 2 is wanted");
    tell(event::Reload{{.generation = 2,
                        .plan = {.canaries = std::max(1U, options_.reload.canaries),
                                 .batch = std::max(1U, options_.reload.batch),
                                 .surge = options_.reload.max_surge,
                                 .ready_within = options_.reload.ready_within,
                                 .prove = options_.reload.prove,
                                 .park = options_.reload.park}}});
  }

  void listens(int id, SimWorker& worker) {
    worker.ready_at.reset();
    worker.listens = true;
    say("listens", id, name(id) + " listens");
    tell(event::Opened{id});
    tell(event::Ready{id});
  }

  void ends(int id, bool dies) {
    const SimWorker worker = workers_.at(id);
    workers_.erase(id);
    const bool permanent = dies && options_.exit_code == cluster::kPermanent;
    if (dies) ++deaths_;
    say(dies ? "dies" : "ends", id,
        name(id) + (dies ? " exits with " + std::to_string(options_.exit_code) : " has ended"));
    if (worker.listens && !worker.is_asked) tell(event::Closed{id, false});
    tell(event::Exited{id, false, permanent});
  }

  // --- what the supervisor wants

  void carry_out(const cluster::SupervisorAction& wanted) {
    std::visit([this](const auto& one) { (*this)(one); }, wanted);
  }

  void operator()(const action::Fork& fork) {
    const int id = ++starts_;
    const SimVersion& version = version_of(fork.generation);
    SimWorker worker;
    worker.ready_at = now_ + version.ready_after;
    if (version.crash_every) worker.dies_at = now_ + *version.crash_every;
    workers_.emplace(id, worker);
    say("starts", id,
        name(id) + " starts in slot " + std::to_string(fork.place) +
            (fork.generation == 1 ? "" : ", generation " + std::to_string(fork.generation)) +
            (fork.beside ? ", beside worker " + std::to_string(*fork.beside) : ""));
    tell(event::Forked{id, fork.place, fork.generation});
  }
  void operator()(const action::Retire& retire) { keep_from(retire.worker, true); }
  void operator()(const action::Hold& hold) {
    keep_from(hold.worker, true);
    say("held", hold.worker, name(hold.worker) + " is held: its successor has its place");
  }
  void operator()(const action::Resume& resume) {
    keep_from(resume.worker, false);
    say("resumes", resume.worker, name(resume.worker) + " serves again");
  }
  void operator()(const action::Rest& rest) {
    say("parked", rest.worker, name(rest.worker) + " is parked");
  }
  void operator()(const action::LookWhetherDry& look) { tell(event::Dry{look.worker}); }
  void operator()(const action::End& end) { ask_to_end(end.worker); }
  void operator()(const action::Kill& kill) {
    say("killed", kill.worker, name(kill.worker) + " has not ended in time, and is killed");
    workers_.at(kill.worker).gone_at = now_;
  }
  void operator()(const action::StopArrivals&) { tell(event::NothingArrives{}); }
  void operator()(const action::LookForArrivals&) { tell(event::NothingArrives{}); }
  void operator()(const action::DisconnectAll&) {
    for (const auto& [id, worker] : std::map{workers_}) ask_to_end(id);
  }
  void operator()(const action::KillAll&) {
    for (auto& [id, worker] : workers_) worker.gone_at = now_;
  }
  void operator()(const action::RolloutOver& over) {
    static constexpr const char* kEnds[] = {"is reached: every place has it",
                                            "is undone: one of its workers died",
                                            "is undone: one of its workers was not ready in time",
                                            "is undone: one of its workers was not well",
                                            "is undone: another was wanted",
                                            "is undone: the service ended",
                                            "is taken back"};
    say("reloaded", over.verdict.worker.value_or(0),
        "generation " + std::to_string(over.verdict.generation) + ' ' +
            kEnds[static_cast<std::size_t>(over.verdict.end)]);
  }
  void operator()(const action::GiveUp&) {
    say("gave_up", 0, "gives up: no worker was ever ready (exit code 111)");
  }
  void operator()(const action::Close& close) {
    say("closed", close.worker,
        "the slot of " + name(close.worker) + " is closed: not again after " +
            std::to_string(cluster::kPermanent));
  }
  void operator()(const action::AllClosed&) {
    say("all_closed", 0, "every slot is closed: the service ends (exit code 100)");
  }
  void operator()(const action::Finish&) {
    over_ = true;
    say("finished", 0, "the service has ended");
  }
  // Of ports, and who leads.
  void operator()(const action::Release&) {}
  void operator()(const action::Lead&) {}
  void operator()(const action::Follow& follow) { tell(event::Followed{follow.worker}); }

  void keep_from(int id, bool kept_from) {
    if (const auto found = workers_.find(id); found != workers_.end())
      found->second.kept_from = kept_from;
  }
  void ask_to_end(int id) {
    const auto found = workers_.find(id);
    if (found == workers_.end() || std::exchange(found->second.is_asked, true)) return;
    found->second.kept_from = true;
    found->second.ready_at.reset();
    found->second.gone_at = now_ + options_.ends_after;
    say("asked", id, name(id) + " is asked to end");
    tell(event::Ends{id});
    if (found->second.listens) tell(event::Closed{id, false});
  }

  std::string summary() const {
    char text[256];
    std::snprintf(text, sizeof text,
                  "in %.0f s: %d starts, %d crashes; all served for %.1f %% of the time, one at "
                  "least for %.1f %%\n",
                  std::chrono::duration<double>(ran_).count(), starts_, deaths_,
                  share(all_served_, ran_), share(any_served_, ran_));
    return text;
  }

  const SimOptions options_;
  TimePoint now_{};
  const TimePoint end_ = TimePoint{} + options_.length;
  std::map<int, SimWorker> workers_;  // that live, by id
  int starts_ = 0, deaths_ = 0;
  Duration all_served_{0}, any_served_{0}, ran_{0};
  bool reloaded_ = false, over_ = false;
  std::string text_;
  cluster::SupervisorQueue queue_{{.now = [this] { return now_; },
                                   .carry_out = [this](const auto& wanted) { carry_out(wanted); }}};
};

}  // namespace

std::string timeline(const SimOptions& options) { return Simulated{options}.run(); }

int run(const SimOptions& options) {
  std::fputs(timeline(options).c_str(), stdout);
  return 0;
}

}  // namespace cohort::cli
