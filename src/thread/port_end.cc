#include "thread/port_end.h"

#include <tuple>
#include <utility>

#include "base/recycled_memory.h"
#include "base/sys.h"
#include "thread/spin.h"

namespace cohort::thread {
namespace {

using Clock = std::chrono::steady_clock;

const char* const kPost = "post a message";

}  // namespace

PortEnd::PortEnd(PortPair& pair, std::size_t queue_max) : pair_{pair}, queue_max_{queue_max} {}

PortEnd::~PortEnd() {
  closed_here_ = false;  // this is what drops
  for (std::unique_ptr<Letter> letter; take(letter);) letter.reset();
}

PortEnd& PortEnd::peer() const { return this == &pair_.first ? pair_.second : pair_.first; }

bool PortEnd::is_open() const { return !pair_.closed.load(std::memory_order_seq_cst); }

std::size_t PortEnd::waiting() const {
  const auto taken = taken_.load(std::memory_order_relaxed);
  const auto posted = posted_.load(std::memory_order_relaxed);
  return posted > taken ? posted - taken : 0;
}

SendResult PortEnd::post(std::unique_ptr<Letter> letter) {
  if (!is_open()) return SendResult::failed(make_error(Errc::ChannelClosed, kPost));
  PortEnd& to = peer();
  // Counted before it is there: who takes it never counts more than were posted.
  if (to.posted_.fetch_add(1, std::memory_order_relaxed) -
          to.taken_.load(std::memory_order_relaxed) >=
      to.queue_max_) {
    to.posted_.fetch_sub(1, std::memory_order_relaxed);
    return SendResult::failed(make_error(Errc::ChannelFull, kPost,
                                         std::to_string(to.queue_max_) + " wait at the other end"));
  }
  if (to.inbox_.push(letter.release())) to.tell_taker();
  return SendResult::queued(true);
}

void PortEnd::ring() {
  if (BellPull* const pull = pull_.load(std::memory_order_seq_cst))
    pull->bell->ring({pair_.shared_from_this(), pull});
}

void PortEnd::tell_taker() {
  ring();
  const Reader reader = reader_.load(std::memory_order_seq_cst);
  if (reader == Reader::Looks) spin_rule().encourage();
  if (reader == Reader::Sleeps) {
    calls_.fetch_add(1, std::memory_order_release);
    sys::futex_wake(calls_, 1, false);
  }
}

bool PortEnd::take(std::unique_ptr<Letter>& letter) {
  if (closed_here_.load(std::memory_order_relaxed)) drop_all();
  if (batch_ == nullptr) {
    taken_.store(given_, std::memory_order_relaxed);
    batch_ = inbox_.take_all();
  }
  if (batch_ == nullptr) return false;
  letter.reset(std::exchange(batch_, batch_->next));
  ++given_;
  if (batch_ == nullptr) taken_.store(given_, std::memory_order_relaxed);
  return true;
}

void PortEnd::drop_all() {
  do {
    while (batch_ != nullptr) {
      const std::unique_ptr<Letter> dropped{std::exchange(batch_, batch_->next)};
      ++given_;
    }
    batch_ = inbox_.take_all();
  } while (batch_ != nullptr);
}

std::unique_ptr<Letter> PortEnd::receive() {
  std::unique_ptr<Letter> letter;
  take(letter);
  return letter;
}

std::unique_ptr<Letter> PortEnd::receive_for(std::chrono::nanoseconds timeout) {
  std::unique_ptr<Letter> letter;
  if (take(letter)) return letter;
  const auto deadline = Clock::now() + timeout;
  reader_.store(Reader::Looks, std::memory_order_relaxed);
  if (timeout.count() > 0 && is_open())
    spin_until([this] { return !inbox_.empty() || !is_open(); });
  reader_.store(Reader::Sleeps, std::memory_order_seq_cst);
  for (;;) {
    const auto calls = calls_.load(std::memory_order_acquire);
    const bool open = is_open();
    const auto left = deadline - Clock::now();
    if (take(letter) || !open || left.count() <= 0) break;
    sys::futex_wait(calls_, calls, left, false);
  }
  reader_.store(Reader::None, std::memory_order_relaxed);
  return letter;
}

void PortEnd::attach(const Loop& loop, std::shared_ptr<PortEnd> kept) {
  const auto bell = Doorbell::of(loop);
  if (bell == nullptr) return close();  // no descriptor is left: it cannot be heard
  const BellPull* const before = pull_.load(std::memory_order_relaxed);
  if (before == nullptr || before->bell != bell) {
    const auto handlers = std::pair{std::move(handler_), std::move(close_handler_)};
    detach();
    std::tie(handler_, close_handler_) = handlers;
    BellPull& pull = *pulls_.emplace_back(std::make_unique<BellPull>(*this, bell));
    pull_.store(&pull, std::memory_order_seq_cst);
    bell->move_in(&pull);
  }
  kept_ = std::move(kept);
  count_ref();
  // What was posted before anybody listened, or the end.
  if (!is_empty() || !is_open()) ring();
}

void PortEnd::on_letter(const Loop& loop, std::shared_ptr<PortEnd> kept,
                        detail::Port::Handler handler) {
  handler_ = std::make_shared<detail::Port::Handler>(std::move(handler));
  attach(loop, std::move(kept));
}

void PortEnd::on_close(const Loop& loop, std::shared_ptr<PortEnd> kept,
                       std::function<void()> handler) {
  close_handler_ = std::move(handler);
  attach(loop, std::move(kept));
}

void PortEnd::set_ref(bool ref) {
  wants_ref_ = ref;
  count_ref();
}

// One that waits for the end only keeps nothing running.
void PortEnd::count_ref() {
  BellPull* const pull = pull_.load(std::memory_order_relaxed);
  const bool counts = pull != nullptr && wants_ref_ && handler_ != nullptr;
  if (pull != nullptr && counts != is_counted_) pull->bell->count_ref(counts ? 1 : -1);
  is_counted_ = counts;
}

void PortEnd::detach() {
  BellPull* const pull = pull_.load(std::memory_order_relaxed);
  if (pull == nullptr) return;
  if (std::exchange(is_counted_, false)) pull->bell->count_ref(-1);
  pull->bell->move_out(pull);
  pull_.store(nullptr, std::memory_order_seq_cst);
  handler_.reset();
  close_handler_ = nullptr;
  const auto kept = std::move(kept_);
}

void PortEnd::close() {
  closed_here_.store(true, std::memory_order_relaxed);
  if (pair_.closed.exchange(true, std::memory_order_seq_cst)) return;
  for (PortEnd* end : {this, &peer()}) end->tell_taker();
}

void BellPull::answered() { end.answered(*this); }
void BellPull::abandoned() { end.abandoned(); }

void PortEnd::answered(const BellPull& by) {
  if (pull_.load(std::memory_order_relaxed) == &by) deliver();
}

void PortEnd::abandoned() {
  is_counted_ = false;
  close();
  detach();
}

void PortEnd::deliver() {
  // Whatever a handler throws, and whatever comes meanwhile, has its turn later.
  struct Later {
    PortEnd& end;
    const BellPull* pull;
    ~Later() {
      // The one who takes now is another thread, or this is still it.
      if (end.pull_.load(std::memory_order_relaxed) != pull) return;
      if (end.batch_ != nullptr || !end.is_open()) end.ring();
    }
  };
  const BellPull* const pull = pull_.load(std::memory_order_relaxed);
  const Later later{*this, pull};
  const auto handler = handler_;
  if (handler != nullptr) {
    std::unique_ptr<Letter> letter;
    // Those that were there when it began.
    for (bool more = take(letter); more; more = batch_ != nullptr && take(letter)) {
      (*handler)(*letter);
      letter.reset();
      // It may have moved, or have another handler.
      if (pull_.load(std::memory_order_relaxed) != pull || handler_ != handler) return;
    }
    taken_.store(given_, std::memory_order_relaxed);
  }
  if (pair_.closed.load(std::memory_order_seq_cst) && (handler == nullptr || is_empty())) ended();
}

void PortEnd::ended() {
  const auto handler = std::exchange(close_handler_, nullptr);
  detach();
  if (handler) handler();
}

}  // namespace cohort::thread

namespace cohort::detail {

void* Letter::operator new(std::size_t size) { return take_recycled(size); }
void Letter::operator delete(void* memory, std::size_t size) { give_recycled(memory, size); }

using thread::PortEnd;
using thread::PortPair;

std::pair<Port, Port> Port::make_pair(std::size_t queue_max) {
  const auto pair = std::make_shared<PortPair>(queue_max);
  // Each has a count of its own: that of those who could still post or take.
  const auto handle = [&pair](PortEnd& end) {
    return Port{std::shared_ptr<PortEnd>{&end, [pair](PortEnd* last) { last->close(); }}};
  };
  return {handle(pair->first), handle(pair->second)};
}

SendResult Port::post(std::unique_ptr<Letter> letter) const {
  if (end_ != nullptr) return end_->post(std::move(letter));
  return SendResult::failed(make_error(Errc::ChannelClosed, "post a message", "no port"));
}

std::unique_ptr<Letter> Port::receive() const { return end_ ? end_->receive() : nullptr; }

std::unique_ptr<Letter> Port::receive_for(std::chrono::nanoseconds timeout) const {
  return end_ ? end_->receive_for(timeout) : nullptr;
}

void Port::on_letter(const LoopRef& loop, Handler handler) const {
  if (end_) end_->on_letter(loop.loop(), end_, std::move(handler));
}

void Port::on_close(const LoopRef& loop, std::function<void()> handler) const {
  if (end_) end_->on_close(loop.loop(), end_, std::move(handler));
}

void Port::set_ref(bool ref) const {
  if (end_) end_->set_ref(ref);
}

void Port::close() const {
  if (end_) end_->close();
}

bool Port::is_open() const { return end_ && end_->is_open(); }

std::size_t Port::waiting() const { return end_ ? end_->waiting() : 0; }

bool Port::is_peer_of(const Port& other) const {
  return end_ && other.end_ && &end_->peer() == other.end_.get();
}

std::size_t Port::waiting_at_peer() const { return end_ ? end_->peer().waiting() : 0; }

void Port::detach() const {
  if (end_) end_->detach();
}

}  // namespace cohort::detail
