#include "cluster/worker_end.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "process/signals.h"

namespace cohort::cluster {
namespace {

std::optional<std::size_t> count_in(const Value& value) {
  const std::int64_t count = value.int64_or(-1);
  return count < 0 ? std::nullopt : std::optional{static_cast<std::size_t>(count)};
}

}  // namespace

bool NodeReport::take(const Value& message) {
  const Value& act = message["act"];
  if (act == "listeners") {
    there = true;
    signals.clear();
    for (std::size_t i = 0; i < message["signals"].size(); ++i)
      if (const auto number = process::signal_number(message["signals"][i].string_or("")))
        signals.insert(*number);
    minds_disconnect = message["disconnect"].bool_or(false);
  } else if (act == "serving") {
    requests = count_in(message["requests"]);
    connections = count_in(message["connections"]);
  } else {
    return false;
  }
  return true;
}

int signal_for(int stop_signal, const std::function<bool(int)>& handles) {
  if (handles(stop_signal)) return stop_signal;
  for (const int other : {SIGTERM, SIGINT})
    if (handles(other)) return other;
  return stop_signal;
}

WorkerEnd::WorkerEnd(const Loop& loop, Hands hands)
    : hands_{std::move(hands)}, timer_{loop.executor()} {}

void WorkerEnd::begin(const EndingRules& rules) {
  stop_signal_ = rules.stop_signal;
  ending_.emplace(rules.start, rules.grace);
}

void WorkerEnd::stop() {
  timer_.cancel();
  ending_.reset();
}

void WorkerEnd::look() {
  if (!ending_) return;
  const auto before = Ending::Clock::now();
  const EndingFacts facts = hands_.facts(stop_signal_);
  const auto now = Ending::Clock::now();
  // Where looking takes long, a tenth of the time goes into it.
  look_later(std::max<Ending::Clock::duration>(kEndingLook, 9 * (now - before)));
  for (const EndingAct act : ending_->step(facts, now)) hands_.act(act, facts.signal);
}

void WorkerEnd::look_later(Ending::Clock::duration after) {
  timer_.expires_after(after);
  timer_.async_wait(callbacks_.wrap([this](boost::system::error_code error) {
    if (!error) look();
  }));
}

}  // namespace cohort::cluster
