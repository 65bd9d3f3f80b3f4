#include "cluster/settling.h"

#include <utility>

namespace cohort::cluster {
namespace {

constexpr std::chrono::milliseconds kSettleMin{100};
constexpr std::chrono::milliseconds kSettleMax{2000};
constexpr int kTurnsToSettle = 2;

}  // namespace

void Settling::start() {
  turns_left_ = kTurnsToSettle;
  earliest_ = std::chrono::steady_clock::now() + kSettleMin;
  after(kSettleMin, [this] {
    user_.probe();
    after(kSettleMax - kSettleMin, [this] {
      turns_left_ = 0;
      user_.late();
    });
  });
}

void Settling::turned() {
  if (!under_way() || std::chrono::steady_clock::now() < earliest_) return;
  --turns_left_;
  if (user_.any_waiting()) turns_left_ = kTurnsToSettle;
  if (under_way()) user_.probe();
}

void Settling::stop() {
  turns_left_ = 0;
  timer_.cancel();
}

void Settling::after(std::chrono::milliseconds time, std::function<void()> task) {
  timer_.expires_after(time);
  timer_.async_wait(callbacks_.wrap([task = std::move(task)](boost::system::error_code error) {
    if (!error) task();
  }));
}

}  // namespace cohort::cluster
