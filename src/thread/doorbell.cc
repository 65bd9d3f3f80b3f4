#include "thread/doorbell.h"

#include <boost/asio/execution_context.hpp>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/sys.h"
#include "thread/spin.h"

namespace cohort::thread {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

// After so long other handlers of the loop come first.
constexpr std::chrono::microseconds kTurnMax{100};

// The doorbells of an io_context: one for each executor, of which there are one or two.
class Doorbells : public asio::execution_context::service {
 public:
  using key_type = Doorbells;
  inline static asio::execution_context::id id;
  explicit Doorbells(asio::execution_context& context)
      : asio::execution_context::service{context} {}

  std::shared_ptr<Doorbell> at(const Loop& loop) {
    const std::lock_guard lock{mutex_};
    for (const auto& [executor, bell] : bells_)
      if (executor == loop.executor()) return bell;
    OwnFd bell = sys::eventfd();
    OwnFd ours = bell ? sys::duplicate(bell.get()) : OwnFd{};
    if (!ours) return nullptr;
    const auto made = std::make_shared<Doorbell>(std::move(bell));
    made->start(loop, std::move(ours));
    return bells_.emplace_back(loop.executor(), made).second;
  }

 private:
  void shutdown() override {
    for (const auto& [executor, bell] : std::exchange(bells_, {})) bell->shut();
  }

  std::mutex mutex_;  // a thread that was given the loop may ask for it before the loop runs
  std::vector<std::pair<asio::any_io_executor, std::shared_ptr<Doorbell>>> bells_;
};

}  // namespace

std::shared_ptr<Doorbell> Doorbell::of(const Loop& loop) {
  return asio::use_service<Doorbells>(loop.context()).at(loop);
}

Doorbell::Doorbell(OwnFd bell) : bell_{std::move(bell)} {}
Doorbell::~Doorbell() = default;

void Doorbell::start(const Loop& loop, OwnFd bell) {
  loop_.emplace(loop);
  watch_ = std::make_unique<Watch>(loop, std::move(bell));
  watch_->set_ref(false);
  wait();
}

void Doorbell::ring(const std::shared_ptr<Visitor>& visitor) {
  if (visitor->rung_.exchange(true, std::memory_order_seq_cst)) return;
  visitor->self_ = visitor;
  rung_.push(visitor.get());
  if (!asleep_.load(std::memory_order_seq_cst))
    spin_rule().encourage();
  else if (asleep_.exchange(false))
    wake();
  if (shut_.load(std::memory_order_seq_cst)) drop_all();
}

void Doorbell::count_ref(int change) {
  refs_ += change;
  if (watch_) watch_->set_ref(refs_ > 0);
}

void Doorbell::shut() {
  shut_.store(true, std::memory_order_seq_cst);
  watch_.reset();
  while (!residents_.empty()) (*residents_.begin())->abandoned();
  // What an exception has left of a round.
  while (answering_ != nullptr) {
    Visitor* const visitor = std::exchange(answering_, answering_->next);
    const auto kept = std::move(visitor->self_);
    visitor->rung_.exchange(false, std::memory_order_seq_cst);
  }
  drop_all();
  loop_.reset();  // a strand of what is no more
}

void Doorbell::drop_all() {
  // They go after the lock: what they own may ring, too.
  std::vector<std::shared_ptr<Visitor>> dropped;
  const std::lock_guard lock{dropping_};
  for (Visitor* visitor = rung_.take_all(); visitor != nullptr;) {
    Visitor* const next = visitor->next;
    dropped.push_back(std::move(visitor->self_));
    visitor->rung_.exchange(false, std::memory_order_seq_cst);
    visitor = next;
  }
}

void Doorbell::woken() {
  std::uint64_t rings = 0;
  sys::read(watch_->fd(), &rings, sizeof rings);
  answer();
}

// Whatever a visitor throws, the others are answered later.
struct Doorbell::Rearm {
  Doorbell& bell;
  bool done = false;
  ~Rearm() {
    if (!done && bell.watch_)
      bell.loop_->post([self = bell.weak_from_this()] {
        if (const auto alive = self.lock(); alive && alive->watch_) alive->answer();
      });
  }
};

void Doorbell::answer() {
  const auto kept = shared_from_this();
  Rearm rearm{*this};
  const auto until = Clock::now() + kTurnMax;
  do {
    answer_all();
    if (!watch_) return;  // the io_context is ending
    if (Clock::now() > until) return;
  } while (!rung_.empty() || spin_until([this] { return !rung_.empty(); }));
  rearm.done = true;
  wait();
}

void Doorbell::answer_all() {
  if (answering_ == nullptr) answering_ = rung_.take_all();
  while (answering_ != nullptr) {
    Visitor* const visitor = std::exchange(answering_, answering_->next);
    const auto kept = std::move(visitor->self_);
    // From now on it may ring again.
    visitor->rung_.exchange(false, std::memory_order_seq_cst);
    visitor->answered();
  }
}

void Doorbell::wait() {
  watch_->wait_readable([this] { woken(); });
  asleep_.store(true, std::memory_order_seq_cst);
  // What came before that was seen rings itself.
  if (!rung_.empty() && asleep_.exchange(false)) wake();
}

void Doorbell::wake() const {
  const std::uint64_t one = 1;
  sys::write(bell_.get(), &one, sizeof one);
}

}  // namespace cohort::thread
