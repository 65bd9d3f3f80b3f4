#include "cluster/worker_checks.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/assert.h"

namespace cohort::cluster {
namespace {

constexpr std::chrono::seconds kPatience{5};
constexpr std::chrono::milliseconds kAgain{500};
constexpr std::size_t kReasonsMax = 64;

}  // namespace

void WorkerChecks::expect(const Worker& worker, const Settings& settings) {
  const Readiness ready = settings.ready.value_or(Readiness{});
  const Check check = settings.check.value_or(Check{});
  if (ready.by == Readiness::By::Listening && !check) return;
  awaited_.emplace(worker.id(), Awaited{ready, check, boost::asio::steady_timer{loop_.executor()}});
  if (ready.by == Readiness::By::Time)
    after(worker, ready.after, [this, worker] { happened(worker, Readiness::By::Time); });
}

Result<Environment> WorkerChecks::open_socket(const Worker& worker, const Settings& settings) {
  const auto watchdog = settings.watchdog.value_or(std::chrono::milliseconds{0});
  const bool says_ready = settings.ready && settings.ready->by == Readiness::By::Notify;
  if (!says_ready && watchdog.count() == 0) return Environment{};
  auto socket = NotifySocket::open(loop_, settings.spawn.uid,
                                   callbacks_.wrap([this, worker](std::string_view line) {
                                     if (line == "READY=1") happened(worker, Readiness::By::Notify);
                                     if (line == "WATCHDOG=1") user_.lives(worker);
                                   }));
  if (!socket) return socket.error();
  Environment variables{{"NOTIFY_SOCKET", (*socket)->name()}};
  if (watchdog.count() > 0)
    variables.emplace_back("WATCHDOG_USEC",
                           std::to_string(std::chrono::microseconds{watchdog}.count()));
  sockets_.insert_or_assign(worker.id(), *std::move(socket));
  return variables;
}

void WorkerChecks::happened(const Worker& worker, Readiness::By what) {
  const auto found = awaited_.find(worker.id());
  if (found == awaited_.end() || found->second.ready.by != what || found->second.attempt > 0)
    return;
  if (!found->second.check) {
    awaited_.erase(found);
    return user_.well(worker, false);
  }
  found->second.attempt = 1;
  loop_.post(callbacks_.wrap([this, worker] { ask(worker); }));
}

void WorkerChecks::await_turn(const Worker& worker) {
  const auto turned = [this, worker] {
    if (awaited_.erase(worker.id()) == 0) return;
    reasons_.erase(worker.id());
    user_.well(worker, false);
  };
  awaited_.emplace(worker.id(), Awaited{{}, {}, boost::asio::steady_timer{loop_.executor()}, 1});
  reasons_[worker.id()] = "it listens, but its event loop does not turn";
  if (!worker.ping(callbacks_.wrap(turned))) turned();
}

std::string WorkerChecks::why_not(int worker) const {
  if (const auto said = reasons_.find(worker); said != reasons_.end()) return said->second;
  const auto found = awaited_.find(worker);
  if (found == awaited_.end() || found->second.attempt > 0) return {};
  switch (found->second.ready.by) {
    case Readiness::By::Message:
      return "it has not sent the message 'ready'";
    case Readiness::By::Notify:
      return "it has not sent READY=1";
    case Readiness::By::Time:
      return "it has not lived for long enough";
    case Readiness::By::Listening:
      break;
  }
  return {};
}

void WorkerChecks::gone(int worker) {
  const std::string why = why_not(worker);
  if (awaited_.erase(worker) > 0 && !why.empty()) {
    reasons_[worker] = why;
    forget_some();
  }
  sockets_.erase(worker);
}

void WorkerChecks::ask(const Worker& worker) {
  const auto found = awaited_.find(worker.id());
  if (found == awaited_.end()) return;
  const int attempt = ++found->second.attempt;
  const auto answer = [this, worker, attempt](const Result<void>& said) {
    answered(worker, attempt, said);
  };
  after(worker, kPatience, [answer] {
    answer(system_error(ETIMEDOUT, "check",
                        "no answer within " + std::to_string(kPatience.count()) + " s"));
  });
  // It may be well at once: then it is not in there any more.
  const Check check = found->second.check;
  check(worker, callbacks_.wrap(answer));
}

void WorkerChecks::answered(const Worker& worker, int attempt, const Result<void>& answer) {
  const auto found = awaited_.find(worker.id());
  if (found == awaited_.end() || found->second.attempt != attempt) return;
  if (answer) {
    awaited_.erase(found);
    return user_.well(worker, reasons_.erase(worker.id()) > 0);
  }
  ++found->second.attempt;  // what this one says later counts no more
  after(worker, kAgain, [this, worker] { ask(worker); });
  const Error& error = answer.error();
  const std::string why = error.detail.empty() ? error.message() : error.detail;
  if (std::exchange(reasons_[worker.id()], why) == why) return;
  forget_some();
  user_.not_well(worker, why);
}

// Of those that are gone.
void WorkerChecks::forget_some() {
  if (reasons_.size() <= awaited_.size() + kReasonsMax) return;
  const auto oldest = std::find_if(reasons_.begin(), reasons_.end(), [this](const auto& reason) {
    return !awaited_.contains(reason.first);
  });
  if (oldest != reasons_.end()) reasons_.erase(oldest);
}

void WorkerChecks::after(const Worker& worker, std::chrono::milliseconds time,
                         std::function<void()> task) {
  auto& timer = known(awaited_, worker.id()).timer;
  timer.expires_after(time);
  timer.async_wait(callbacks_.wrap([task = std::move(task)](boost::system::error_code error) {
    if (!error) task();
  }));
}

}  // namespace cohort::cluster
