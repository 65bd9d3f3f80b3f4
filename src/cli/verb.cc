#include "cli/verb.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>

#include "base/sys.h"
#include "cli/applications.h"
#include "cli/colour.h"
#include "cli/control_client.h"
#include "cli/doctor.h"
#include "cli/doctor_facts.h"
#include "cli/fail.h"
#include "cli/progress.h"
#include "cli/serving.h"
#include "cli/tables.h"

namespace cohort::cli {
namespace {

using Verb = VerbOptions::Verb;

constexpr int kMoment = 100;  // ms
constexpr std::int64_t kDeathsMax = 5;
constexpr int kTries = 6;  // of 5 s each

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

class Command {
 public:
  explicit Command(const VerbOptions& options) : options_{options} {}

  int run() {
    if (options_.verb == Verb::Ls) return ls();
    if (const auto code = find()) return *code;
    switch (options_.verb) {
      case Verb::Status:
        return status();
      case Verb::Events:
        return events();
      case Verb::Why:
        return why();
      case Verb::Reload:
        return reload();
      case Verb::Rollback:
        return rollback();
      case Verb::Scale:
        return scale();
      case Verb::Restart:
        return restart();
      case Verb::Kill:
        return kill();
      case Verb::Recycle:
        return recycle();
      default:
        return stop();
    }
  }

 private:
  // Which application is meant; or the exit code, and it is said why.
  std::optional<int> find() {
    auto found = find_application(options_.name);
    if (const auto* answer = std::get_if<Answer>(&found)) return say(*answer);
    const auto& running = std::get<Running>(found);
    directory_ = running.directory;
    name_ = running.name;
    pid_ = running.pid;
    primary_ = sys::pidfd_open(pid_);
    return std::nullopt;
  }
  static int say(const Answer& answer) {
    std::fputs(answer.text.c_str(), stderr);
    return answer.code;
  }

  // It was there a moment ago.
  int lost(const Error& why) const {
    if (why.code == std::errc::timed_out)
      return fail(kExitTemporary, name_ + " does not answer any more: its primary (pid " +
                                      std::to_string(pid_) + ") is stopped, or stuck");
    return fail(kExitTemporary, name_ + " has ended meanwhile (" + why.message() + ')');
  }
  // What the application answered if that is an error.
  static int refused(const Answered& answered) {
    return fail(answered.status == 400 ? kExitPermanent : kExitTemporary,
                std::string{answered.body["error"].string_or("it refused")});
  }
  Result<Answered> ask(std::string_view method, const std::string& target,
                       const std::string& body = {}) const {
    return cli::ask(directory_, name_, method, target, body);
  }
  // Shorter if the application ends.
  void wait_a_moment() const { sys::poll(primary_.get(), POLLIN, kMoment); }
  // Not that of one which has taken its name meanwhile.
  Result<Value> status_now() const {
    auto answered = ask("GET", "/v1/status");
    if (!answered) return answered.error();
    if (answered->peer != pid_)
      return system_error(ESRCH, "status",
                          "pid " + std::to_string(answered->peer) + " is called " + name_ + " now");
    if (answered->status != 200)
      return system_error(EPROTO, "status", "it answers " + std::to_string(answered->status));
    return std::move(answered->body);
  }

  // Of one that is waited for: a machine that is busy is no reason to give up.
  Result<Value> next_status() const {
    auto now = status_now();
    for (int i = 1; i < kTries && !now && now.error().code == std::errc::timed_out; ++i)
      now = status_now();
    return now;
  }

  int ls() const {
    std::vector<Value> all;
    for (Running& each : applications()) {
      if (each.status.is_undefined())
        say(does_not_answer(each.name));
      else
        all.push_back(std::move(each.status));
    }
    if (!options_.json) {
      print(ls_text(all));
      return 0;
    }
    Value list = Value::array();
    for (const Value& each : all) list.push_back(each);
    print(to_json(Value::object({{"applications", std::move(list)}})) + '\n');
    return 0;
  }

  int status() const {
    const auto now = status_now();
    if (!now) return lost(now.error());
    print(options_.json ? to_json(*now) + '\n' : status_text(*now));
    return 0;
  }

  int events() const {
    const std::string target =
        "/v1/events?last=" + std::to_string(options_.last) + (options_.follow ? "" : "&follow=0");
    const auto done = follow(directory_, name_, target, [this](const Value& event) {
      print(options_.json ? to_json(event) + '\n' : event_text(event));
      std::fflush(stdout);
      return true;
    });
    return done ? 0 : lost(done.error());
  }

  int why() const {
    const auto answered = ask("GET", "/v1/ends");
    if (!answered) return lost(answered.error());
    std::vector<Value> ends;
    for (const Value& end : answered->body["ends"].elements())
      if (!options_.slot || end["slot"].int64_or(-1) == *options_.slot) ends.push_back(end);
    const auto too_many = ends.size() - std::min<std::size_t>(ends.size(), options_.last);
    ends.erase(ends.begin(), ends.begin() + static_cast<std::ptrdiff_t>(too_many));
    if (options_.json) {
      Value list = Value::array();
      for (const Value& end : ends) list.push_back(end);
      print(to_json(Value::object({{"ends", std::move(list)}})) + '\n');
      return 0;
    }
    if (ends.empty()) print("No worker has ended.\n");
    const auto now = status_now();
    for (const Value& end : ends)
      print(end_text(end, now ? sequel_text(end, ends, *now) : std::string{}));
    if (const std::string text = now ? missing_text(*now) : std::string{}; !text.empty())
      print(text);
    return 0;
  }

  int changes() const {
    const auto answered = ask("GET", "/v1/changes");
    if (!answered) return lost(answered.error());
    if (answered->status != 200) return refused(*answered);
    if (options_.json) return print(to_json(answered->body) + '\n'), 0;
    std::string text;
    for (const Value& change : answered->body["changes"].elements())
      text += (text.empty() ? "" : "; ") + std::string{change.string_or("")};
    print(name_ +
          (text.empty() ? ": no option has changed; the program's files are read anew"
                        : ": " + text) +
          '\n');
    return 0;
  }

  Value reload_wish() const {
    Value wish = Value::object();
    if (!options_.canary.empty()) wish["canary"] = options_.canary;
    if (!options_.batch.empty()) wish["batch"] = options_.batch;
    if (!options_.max_surge.empty()) wish["max_surge"] = options_.max_surge;
    return wish;
  }

  int reload() const {
    if (options_.dry_run) return changes();
    const auto started = ask("POST", "/v1/reload?wait=0", to_json(reload_wish()));
    if (!started) return lost(started.error());
    if (started->status != 202) return refused(*started);
    const auto generation = started->body["generation"].int64_or(0);
    if (!options_.wait) {
      print(options_.json
                ? to_json(started->body) + '\n'
                : name_ + " is being reloaded: generation " + std::to_string(generation) + '\n');
      return 0;
    }
    const auto verdict = wait_for_verdict(generation);
    if (!verdict) return lost(verdict.error());
    const bool reached = (*verdict)["outcome"] == "reached";
    if (options_.json) {
      print(to_json(*verdict) + '\n');
    } else {
      // What the worker wrote follows the first line.
      std::string text = "generation " + std::to_string(generation) + ": ";
      for (const char c : (*verdict)["text"].string_or(""))
        text += c == '\n' ? "\n  " : std::string{c};
      if (!reached) return fail(kExitTemporary, name_ + " is not reloaded: " + text);
      print(name_ + " is reloaded: " + text + '\n');
    }
    return reached ? 0 : kExitTemporary;
  }

  int rollback() const {
    const auto asked = ask("POST", "/v1/rollback");
    if (!asked) return lost(asked.error());
    if (asked->status != 202) return refused(*asked);
    const auto generation = asked->body["generation"].int64_or(0);
    Progress progress;
    for (; options_.wait; wait_a_moment()) {
      const auto now = next_status();
      if (!now) return lost(now.error());
      if ((*now)["generation"] != Value(generation))
        return fail(kExitTemporary, name_ + " was reloaded meanwhile");
      if (!(*now)["rollout"].is_object()) break;
      progress.show(name_ + ": " + progress_text(*now));
    }
    print(options_.json ? to_json(asked->body) + '\n'
                        : name_ + (options_.wait ? " is rolled back" : " is being rolled back") +
                              ": generation " + std::to_string(generation) + '\n');
    return 0;
  }

  Result<Value> wait_for_verdict(std::int64_t generation) const {
    Progress progress;
    for (;; wait_a_moment()) {
      const auto now = next_status();
      if (!now) return now.error();
      for (const Value& over : (*now)["rollouts"].elements())
        if (over["generation"].int64_or(0) == generation) return over;
      if ((*now)["rollout"].is_object()) progress.show(name_ + ": " + progress_text(*now));
    }
  }

  int scale() const {
    const auto before = status_now();
    if (!before) return lost(before.error());
    const bool is_auto = options_.workers == "auto";
    const bool is_change = options_.workers.front() == '+' || options_.workers.front() == '-';
    const std::int64_t number = is_auto ? 0 : std::stol(options_.workers);
    if (!is_auto && !is_change && number < 1)
      return fail(kExitPermanent, "one worker has to stay; to end it: cohort stop");
    const auto done = ask("POST", "/v1/scale",
                          to_json(Value::object({{is_change ? "change" : "workers",
                                                  is_auto ? Value("auto") : Value(number)}})));
    if (!done) return lost(done.error());
    if (done->status != 202) return refused(*done);
    const auto workers = done->body["workers"].int64_or(0);
    if (options_.wait)
      if (const auto code = wait_for_workers(workers, *before)) return *code;
    print(options_.json
              ? to_json(done->body) + '\n'
              : name_ + (options_.wait ? " has " : " is to have ") + std::to_string(workers) +
                    (workers == 1 ? " worker\n" : " workers\n"));
    return 0;
  }

  // Until all of them serve, and nobody else is there; or why that does not come, as an exit code.
  std::optional<int> wait_for_workers(std::int64_t wanted, const Value& before) const {
    Progress progress;
    for (;; wait_a_moment()) {
      const auto now = next_status();
      if (!now) return lost(now.error());
      if ((*now)["deaths"].int64_or(0) - before["deaths"].int64_or(0) > kDeathsMax)
        return they_die(*now);
      const auto [places, serve, others, closed] = serving(*now);
      if (places != wanted)
        return fail(kExitTemporary, "somebody else has changed how many workers there are");
      if (serve == wanted - closed && others == 0) return std::nullopt;
      progress.show(name_ + ": " + std::to_string(serve) + " of " + std::to_string(wanted) +
                    " workers serve");
    }
  }

  int stop() const {
    const auto before = status_now();
    if (!before) return lost(before.error());
    const auto done = ask("POST", "/v1/stop");
    if (!done) return lost(done.error());
    if (options_.wait) {
      Progress progress;
      progress.show(name_ + ": stopping");
      while (primary_ ? sys::poll(primary_.get(), POLLIN, kMoment) == 0 : bool{status_now()})
        if (!primary_) wait_a_moment();
    }
    print(options_.json ? to_json(done->body) + '\n'
                        : name_ + (options_.wait ? " has stopped\n" : " is stopping\n"));
    return 0;
  }

  // The process stays, and so does its name. It has begun anew when its time has.
  int restart() const {
    const auto before = status_now();
    if (!before) return lost(before.error());
    const auto asked = ask("POST", "/v1/restart");
    if (!asked) return lost(asked.error());
    if (asked->status != 202) return refused(*asked);
    if (options_.wait)
      if (const auto code = wait_for_restart((*before)["started"])) return *code;
    print(options_.json ? to_json(asked->body) + '\n'
                        : name_ + (options_.wait ? " has restarted\n" : " is restarting\n"));
    return 0;
  }

  std::optional<int> wait_for_restart(const Value& started) const {
    Progress progress;
    for (;; wait_a_moment()) {
      if (primary_ && sys::poll(primary_.get(), POLLIN, 0) != 0)
        return lost(system_error(ESRCH, "restart"));
      const auto now = next_status();
      const bool anew = now && (*now)["started"] != started;
      progress.show(name_ + (anew ? ": starting" : ": stopping"));
      if (!anew) continue;
      if (serving(*now).all()) return std::nullopt;
      if ((*now)["deaths"].int64_or(0) > kDeathsMax) return they_die(*now);
    }
  }

  int they_die(const Value& now) const {
    const auto why = now["why_missing"].string_or("");
    return fail(kExitTemporary,
                why.empty() ? "workers of " + name_ + " die; see: cohort why " + name_
                            : "a worker of " + name_ +
                                  " cannot be started, and is tried again: " + std::string{why});
  }

  int kill() const {
    const auto asked =
        ask("POST", "/v1/kill",
            to_json(Value::object({{"slot", *options_.slot}, {"signal", options_.signal}})));
    if (!asked) return lost(asked.error());
    if (asked->status != 202) return refused(*asked);
    print(options_.json ? to_json(asked->body) + '\n'
                        : options_.signal + " is sent to slot " + std::to_string(*options_.slot) +
                              " of " + name_ + '\n');
    return 0;
  }

  int recycle() const {
    const auto asked =
        ask("POST", "/v1/recycle", to_json(Value::object({{"slot", *options_.slot}})));
    if (!asked) return lost(asked.error());
    if (asked->status != 202) return refused(*asked);
    if (options_.wait)
      if (const auto code = wait_for_successor(asked->body["worker"].int64_or(0))) return *code;
    print(options_.json ? to_json(asked->body) + '\n'
                        : "slot " + std::to_string(*options_.slot) + " of " + name_ +
                              (options_.wait ? " has" : " is to have") + " a new worker\n");
    return 0;
  }

  // Until it serves, and whom it replaces is gone.
  std::optional<int> wait_for_successor(std::int64_t wanted) const {
    Progress progress;
    for (;; wait_a_moment()) {
      const auto now = next_status();
      if (!now) return lost(now.error());
      bool lives = false, has_it = false, alone = true;
      for (const Value& worker : (*now)["workers"].elements()) {
        const bool is_it = worker["id"].int64_or(0) == wanted;
        lives = lives || is_it;
        has_it = has_it || (is_it && worker["kept"].bool_or(false));
        if (!is_it && worker["slot"].int64_or(-1) == *options_.slot) alone = false;
      }
      if (!lives)
        return fail(kExitTemporary,
                    "the new worker has ended, and the old one serves on; see: "
                    "cohort why " +
                        name_);
      if (has_it && alone) return std::nullopt;
      progress.show(name_ + ": the new worker " + (has_it ? "serves" : "starts"));
    }
  }

  const VerbOptions& options_;
  std::string directory_;
  std::string name_;
  pid_t pid_ = 0;
  OwnFd primary_;
};

int doctor(bool json) {
  const auto findings = examine(doctor_facts());
  print(json ? to_json(findings_value(findings)) + '\n'
             : findings_text(findings, wants_colour(STDOUT_FILENO)));
  return any_problem(findings) ? kExitTemporary : 0;
}

}  // namespace

int run(const VerbOptions& options) {
  return options.verb == Verb::Doctor ? doctor(options.json) : Command{options}.run();
}

}  // namespace cohort::cli
