#include "process/stderr_relay.h"

#include <algorithm>
#include <boost/asio/execution_context.hpp>
#include <cerrno>
#include <set>
#include <utility>

#include "base/notices.h"
#include "base/sys.h"

namespace cohort::process {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::size_t kReadSize = 64 * 1024;
// At the end: a reader on a busy machine may take nothing for so long.
constexpr std::chrono::seconds kReaderPauses{5};

// Those of one io_context that have something to do yet.
class Relays : public asio::execution_context::service {
 public:
  using key_type = Relays;
  inline static asio::execution_context::id id;
  explicit Relays(asio::execution_context& context) : asio::execution_context::service{context} {}

  static Relays& of(asio::io_context& io) { return asio::use_service<Relays>(io); }

  void add(std::shared_ptr<StderrRelay> relay) { running_.insert(std::move(relay)); }
  void remove(StderrRelay* relay) {
    std::erase_if(running_, [relay](const auto& running) { return running.get() == relay; });
  }
  std::size_t left() const {
    std::size_t sum = 0;
    for (const auto& relay : running_) sum += relay->waiting();
    return sum;
  }
  void finish() {
    // Waited for once: an end has several places that call this.
    const bool waited = stuck_at_ > 0 && left() == stuck_at_;
    LastPatience patience = waited ? LastPatience{0ms} : LastPatience{kReaderPauses};
    for (const auto& relay : running_) relay->finish(patience);
    stuck_at_ = left();
  }

 private:
  void shutdown() override {
    finish();
    running_.clear();
  }

  std::set<std::shared_ptr<StderrRelay>> running_;  // shared with whoever wants the last lines
  std::size_t stuck_at_ = 0;
};

}  // namespace

std::shared_ptr<StderrRelay> StderrRelay::start(const Loop& loop, OwnFd source, int copy_to) {
  auto relay = std::make_shared<StderrRelay>(loop, std::move(source), copy_to);
  Relays::of(loop.context()).add(relay);
  relay->pump();
  return relay;
}

StderrRelay::StderrRelay(const Loop& loop, OwnFd source, int copy_to) : loop_{loop} {
  sys::set_nonblocking(source.get(), true);
  source_.emplace(loop_, std::move(source));
  source_->set_ref(false);
  if (copy_to < 0 || !(target_ = sys::duplicate(copy_to))) return;
  OwnFd room = readable_while_writable(target_.get());
  if (!room && errno != EPERM) return;
  if (room) room_.emplace(loop_, std::move(room)).set_ref(false);
  output_.emplace(target_.get());
}

// One piece in each turn: others have their turns too.
void StderrRelay::pump() {
  pass_on();
  if (!waiting_.empty()) return wait_for_room();
  if (!source_) return Relays::of(loop_.context()).remove(this);  // the last that is done here
  source_->wait_readable([this] {
    read_some(kReadSize);
    pump();
  });
}

void StderrRelay::pass_on() {
  std::size_t taken = 0;
  while (output_ && taken < waiting_.size()) {
    const ssize_t size = output_->write_some(std::string_view{waiting_}.substr(taken));
    if (size == -1 && errno == EAGAIN) break;
    if (size == -1)
      output_.reset();
    else
      taken += static_cast<std::size_t>(size);
  }
  // Nobody to pass it on to: as the child's own writes would fail.
  if (output_)
    waiting_.erase(0, taken);
  else
    waiting_.clear();
}

void StderrRelay::wait_for_room() {
  if (std::exchange(awaits_room_, true)) return;
  room_->wait_readable([this] {
    awaits_room_ = false;
    pump();
  });
}

bool StderrRelay::read_some(std::size_t size_max) {
  const std::size_t before = waiting_.size();
  waiting_.resize(before + std::min(size_max, kReadSize));
  const ssize_t size = sys::read(source_->fd(), waiting_.data() + before, waiting_.size() - before);
  const bool nothing_yet = size == -1 && errno == EAGAIN;
  waiting_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  lines_.append(std::string_view{waiting_}.substr(before));
  if (size <= 0 && !nothing_yet) source_.reset();
  return size > 0;
}

void StderrRelay::child_ended() {
  // Counted first: a grandchild that goes on writing does not keep us here.
  int there = 0;
  if (!source_ || sys::bytes_readable(source_->fd(), there) == -1) return;
  const std::size_t left = Relays::of(loop_.context()).left();
  const std::size_t room = kLeftMax - std::min(kLeftMax, left);
  std::size_t kept = 0, dropped = 0;
  for (auto rest = static_cast<std::size_t>(there); rest > 0 && source_;) {
    const std::size_t before = waiting_.size();
    if (!read_some(rest)) break;
    const std::size_t got = waiting_.size() - before;
    rest -= got;
    const std::size_t fits = std::min(got, room - kept);
    waiting_.resize(before + fits);
    kept += fits;
    dropped += got - fits;
    pass_on();
  }
  if (dropped > 0)
    say(loop_, {"stderr_dropped",
                std::to_string(dropped) +
                    " bytes of a worker's last words on stderr were dropped: nobody reads it",
                {{"bytes", static_cast<std::int64_t>(dropped)}}});
  if (!waiting_.empty()) wait_for_room();
}

void StderrRelay::finish(LastPatience& patience) {
  int there = 0;
  if (source_ && sys::bytes_readable(source_->fd(), there) == -1) there = 0;
  // What is there now: somebody may go on writing.
  for (auto rest = static_cast<std::size_t>(there);;) {
    const std::size_t taken = output_ ? write_out(*output_, waiting_, patience) : waiting_.size();
    waiting_.erase(0, taken);
    if (!waiting_.empty() || rest == 0 || !source_ || !read_some(rest)) return;
    rest -= waiting_.size();
  }
}

void finish_relays(asio::io_context& io) { Relays::of(io).finish(); }

}  // namespace cohort::process
