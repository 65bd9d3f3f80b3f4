#include "cluster/settling.h"

namespace cohort::cluster {
namespace {

SettlingRule::TimePoint now() { return SettlingRule::TimePoint::clock::now(); }

}  // namespace

void Settling::start() {
  rule_.start(now());
  arm_timer();
}

void Settling::turned() {
  if (rule_.turned(now(), user_.any_waiting)) user_.probe();
}

void Settling::stop() {
  rule_.stop();
  timer_.cancel();
}

void Settling::arm_timer() {
  const auto at = rule_.next();
  if (!at) return;
  timer_.expires_at(*at);
  timer_.async_wait(callbacks_.wrap([this](boost::system::error_code error) {
    if (!error) time_passed();
  }));
}

void Settling::time_passed() {
  const auto due = rule_.time_passed(now());
  arm_timer();
  if (due == SettlingRule::Due::Probe) user_.probe();
  if (due == SettlingRule::Due::Late) user_.late();
}

}  // namespace cohort::cluster
