#include "cli/verify_reload.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sstream>

#include "cli/applications.h"
#include "cli/control_client.h"
#include "cli/load_client.h"
#include "cli/own_application.h"
#include "cli/progress.h"
#include "cli/verify_report.h"
#include "cli/verify_target.h"
#include "net/sockaddr.h"

namespace cohort::cli {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kLook = 100ms;         // How often is looked whether something has happened.
constexpr auto kBetween = 300ms;      // Load without a reload, to compare with.
constexpr auto kReadyWithin = 120s;   // For an application of our own.
constexpr auto kOldEndWithin = 30s;   // After that the next reload begins beside old workers.
constexpr auto kProbePatience = 10s;  // Of the first request of each kind.
constexpr auto kHurry = 2s;           // After Ctrl-C: for requests that are under way.

class Verification {
 public:
  explicit Verification(const VerifyOptions& options) : options_{options} {
    report_.connections = options.connections;
    report_.reloads_wanted = options.reloads;
  }

  int run() {
    if (options_.run.empty()) {
      auto found = find_application(options_.name);
      if (const auto* answer = std::get_if<Answer>(&found))
        return std::fputs(answer->text.c_str(), stderr), answer->code;
      application_ = std::get<Running>(std::move(found));
    }
    await_signal();
    asio::co_spawn(io_, course(), [this](const std::exception_ptr& failure) {
      io_.stop();
      if (failure) std::rethrow_exception(failure);
    });
    io_.run();
    return code_;
  }

 private:
  // --- what is said

  void complain(int code, const std::string& text) {
    progress_.clear();
    std::fputs(text.c_str(), stderr);
    code_ = code;
  }
  // False.
  bool refuse(int code, const std::string& text) {
    complain(code, "cohort: " + text + '\n');
    return false;
  }
  void print_report() {
    progress_.clear();
    code_ = exit_code(report_);
    const std::string text =
        options_.json ? to_json(report_value(report_)) + '\n' : report_text(report_);
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }

  // --- the course of it

  asio::awaitable<void> course() {
    std::optional<OwnApplication> own;
    if (!options_.run.empty()) own.emplace(io_, options_.run);
    // GCC 12 evaluates a co_await behind && and || always.
    bool goes_on = true;
    if (own) goes_on = co_await is_ready(*own);
    if (goes_on) goes_on = co_await find_server();
    if (goes_on) {
      co_await verify();
      print_report();
    }
    if (own) co_await end(*own);
  }

  asio::awaitable<bool> is_ready(OwnApplication& own) {
    progress_.show("waiting for cohort run");
    for (const auto limit = Clock::now() + kReadyWithin; Clock::now() < limit;
         co_await pause(kLook)) {
      if (report_.interrupted) co_return refuse(kExitInterrupted, "interrupted");
      if (own.has_ended()) break;
      if (auto running = own.serving()) {
        application_ = std::move(*running);
        co_return true;
      }
    }
    co_return refuse(kExitTemporary, "cohort run does not serve:\n" + own.last_words());
  }

  asio::awaitable<void> end(OwnApplication& own) {
    progress_.show("stopping it");
    const bool ended_before = own.has_ended();
    const Exit exit = co_await own.stop();
    if (exit.success() && !ended_before) co_return;
    std::ostringstream text;
    text << "cohort run " << exit << ":\n" << own.last_words();
    if (code_ == 0)
      refuse(kExitTemporary, text.str());
    else if (!report_.cut_short.empty())
      complain(code_, "cohort: " + text.str());
  }

  asio::awaitable<void> verify() {
    for (int i = 0; i < options_.connections; ++i)
      asio::co_spawn(io_, drive(kinds_[static_cast<std::size_t>(i) % kinds_.size()], i),
                     asio::detached);
    co_await pause(kBetween);
    for (int i = 1; i <= options_.reloads; ++i) {
      const bool goes_on = co_await reload(i);
      if (!goes_on) break;
      co_await pause(kBetween);
    }
    moment_.reload = 0;
    stopping_ = true;
    // Each has a deadline of its own.
    for (const auto since = Clock::now(); clients_ > 0; co_await pause(kLook))
      if (report_.interrupted && Clock::now() - since > kHurry) break;
  }

  // --- the server

  asio::awaitable<bool> find_server() {
    report_.application = application_.name;
    moment_.generation = static_cast<int>(application_.status["generation"].int64_or(0));
    const auto addresses =
        options_.address ? std::vector{*options_.address} : addresses_to_ask(application_.status);
    if (addresses.empty())
      co_return refuse(kExitPermanent, application_.name +
                                           " serves no port that cohort knows of; say where it "
                                           "does: --url http://HOST:PORT");
    std::string why_not;
    for (const Address& address : addresses) {
      const auto resolved = net::resolve(address);
      if (!resolved) why_not = to_string(address) + ": " + resolved.error().code.message();
      for (std::size_t i = 0; resolved && i < resolved->size(); ++i) {
        target_ = {(*resolved)[i], host_header(address), options_.path, options_.expect};
        report_.url = (address.is_unix() ? "unix:" : "http://") + to_string(address) +
                      (address.is_unix() ? " " : "") + options_.path;
        const LoadOutcome outcome = co_await probe(LoadKind::Get);
        if (outcome.answered) co_return co_await choose_kinds();
        if (why_not.empty() || outcome.status != 0) why_not = report_.url + ": " + outcome.what;
        if (outcome.status != 0)
          co_return refuse(kExitPermanent, why_not + " (another --path, or --expect " +
                                               std::to_string(outcome.status) + "?)");
      }
    }
    co_return refuse(kExitPermanent, "no HTTP server to ask: " + why_not);
  }

  // Those that the server answers.
  asio::awaitable<bool> choose_kinds() {
    for (const LoadKind kind : kLoadKinds) {
      const LoadOutcome outcome = co_await probe(kind);
      if (outcome.answered)
        kinds_.push_back(kind);
      else
        report_.left_out.push_back({kind, outcome.what});
    }
    co_return !kinds_.empty() || refuse(kExitTemporary, "the server has ended meanwhile");
  }

  asio::awaitable<LoadOutcome> probe(LoadKind kind) {
    LoadClient client{io_, kind, target_, 0};
    co_return co_await client.request(kProbePatience);
  }

  // --- the load

  asio::awaitable<void> drive(LoadKind kind, int seed) {
    LoadClient client{io_, kind, target_, static_cast<std::uint32_t>(seed)};
    ++clients_;
    while (!stopping_) {
      const int reload_before = moment_.reload;
      const LoadOutcome outcome = co_await client.request();
      moment_.at = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - since_);
      LoadMoment moment = moment_;
      if (moment.reload == 0) moment.reload = reload_before;
      report_.tally.add(kind, moment, outcome);
      co_await client.pause(1, 10);
    }
    report_.tally.add_reopened(kind, client.reopened());
    --clients_;
  }

  // --- the reloads

  // False: there is no point in another one.
  asio::awaitable<bool> reload(int number) {
    moment_.reload = number;
    const auto since = Clock::now();
    const auto started = co_await ask("POST", "/v1/reload?wait=0");
    if (!started) co_return false;
    ReloadVerdict verdict;
    if (started->status == 202) {
      const auto generation = started->body["generation"].int64_or(0);
      moment_.generation = static_cast<int>(generation);
      const auto over = co_await wait_for_verdict(number, generation);
      if (!over) co_return false;
      verdict = {moment_.generation,
                 std::string{(*over)["outcome"].string_or("")},
                 std::string{(*over)["text"].string_or("")},
                 {}};
    } else {
      verdict = {
          moment_.generation, "refused", std::string{started->body["error"].string_or("")}, {}};
    }
    verdict.time = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - since);
    report_.reloads.push_back(std::move(verdict));
    const bool goes_on = co_await wait_for_old_workers(number);
    moment_.reload = 0;
    co_return goes_on;
  }

  asio::awaitable<std::optional<Value>> wait_for_verdict(int number, std::int64_t generation) {
    for (;; co_await pause(kLook)) {
      const auto now = co_await status(number);
      if (!now) co_return std::nullopt;
      for (const Value& over : (*now)["rollouts"].elements())
        if (over["generation"].int64_or(0) == generation) co_return over;
    }
  }

  // Their end is a part of the reload: it is where requests get lost.
  asio::awaitable<bool> wait_for_old_workers(int number) {
    for (const auto limit = Clock::now() + kOldEndWithin; Clock::now() < limit;
         co_await pause(kLook)) {
      const auto now = co_await status(number);
      if (!now) co_return false;
      moment_.generation = static_cast<int>((*now)["generation"].int64_or(0));
      if (is_settled(*now)) break;
    }
    co_return true;
  }

  // Nothing: it is over, by Ctrl-C or since the application has ended.
  asio::awaitable<std::optional<Value>> status(int number) {
    progress_.show(application_.name + ": " + course_text(report_, number));
    auto answered = co_await ask("GET", "/v1/status");
    if (!answered) co_return std::nullopt;
    co_return std::move(answered->body);
  }

  asio::awaitable<std::optional<Answered>> ask(std::string method, std::string target) {
    if (report_.interrupted) co_return std::nullopt;
    auto answered = co_await async_ask(application_.directory, application_.name, std::move(method),
                                       std::move(target));
    // Another one may have taken its name meanwhile.
    if (answered && answered->peer == application_.pid) co_return std::move(*answered);
    report_.cut_short = application_.name + " has ended meanwhile, or does not answer any more";
    co_return std::nullopt;
  }

  // --- the loop

  asio::awaitable<void> pause(Clock::duration time) {
    asio::steady_timer timer{io_, time};
    co_await timer.async_wait(asio::use_awaitable);
  }

  // The first one ends the load, and what has been found so far is said; the second one all.
  void await_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      if (report_.interrupted) std::_Exit(128 + signal);
      report_.interrupted = true;
      await_signal();
    });
  }

  const VerifyOptions& options_;
  asio::io_context io_;
  asio::signal_set signals_{io_, SIGINT, SIGTERM};
  const Clock::time_point since_ = Clock::now();
  Progress progress_;
  Running application_;
  LoadTarget target_;
  std::vector<LoadKind> kinds_;
  VerifyReport report_;
  LoadMoment moment_;
  int clients_ = 0;
  bool stopping_ = false;
  int code_ = 0;
};

}  // namespace

int run(const VerifyOptions& options) { return Verification{options}.run(); }

}  // namespace cohort::cli
