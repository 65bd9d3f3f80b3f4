#include "net/accept_loop.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/notices.h"
#include "base/sys.h"
#include "net/bind.h"
#include "net/sockaddr.h"

namespace cohort::net {
namespace {

// Enough that a burst costs one wake-up, few enough that connections are served in between.
constexpr int kAtOnceMaxAlone = 64;
constexpr int kGrowsAfter = 4;  // batches that were full
constexpr std::chrono::milliseconds kPause{100};

// Failures of the connection, not of the listener: accept(2), "Error handling".
bool is_about_connection(int errno_value) {
  switch (errno_value) {
    case ECONNABORTED:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ETIMEDOUT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::shared_ptr<AcceptLoop> AcceptLoop::start(const Loop& loop, OwnFd fd,
                                              std::weak_ptr<ListenerUser> user, Sharing sharing,
                                              std::shared_ptr<Load> load) {
  std::shared_ptr<AcceptLoop> listener{
      new AcceptLoop{loop, std::move(fd), std::move(user), sharing, std::move(load)}};
  listener->wait();
  return listener;
}

AcceptLoop::AcceptLoop(const Loop& loop, OwnFd fd, std::weak_ptr<ListenerUser> user,
                       Sharing sharing, std::shared_ptr<Load> load)
    : loop_{loop},
      watch_{std::make_unique<Watch>(loop_, std::move(fd))},
      user_{std::move(user)},
      at_once_max_{sharing == Sharing::Alone ? kAtOnceMaxAlone : 1},
      load_{load ? std::move(load) : std::make_shared<Load>()},
      pause_{loop_.executor()} {}

void AcceptLoop::close() {
  watch_.reset();
  pause_.cancel();
}

void AcceptLoop::wait() {
  if (!watch_ || pausing_ || watch_->waiting_readable()) return;
  const auto user = user_.lock();
  if (!user || user->full()) return;
  watch_->wait_readable([this] { accept_ready(); });
}

// An accept that finds nothing is dear, since the kernel makes a socket first. So it stops at as
// many as there were the last time, and now and then tries for more.
void AcceptLoop::accept_ready() {
  const auto self = shared_from_this();  // a connection's handler may drop the listener
  int taken = 0;
  while (taken < at_once_ && accept_one()) ++taken;
  full_batches_ = taken == at_once_ ? full_batches_ + 1 : 0;
  if (full_batches_ == 0) {
    at_once_ = std::max(taken, 1);
  } else if (full_batches_ == kGrowsAfter) {
    at_once_ = std::min(2 * at_once_, at_once_max_);
    full_batches_ = 0;
  }
  wait();
}

// False: nothing more to accept now.
bool AcceptLoop::accept_one() {
  const auto user = user_.lock();
  if (!watch_ || !user || user->full()) return false;
  Load::set(load_->arriving, 1);
  if (OwnFd connection = sys::accept(watch_->fd())) {
    Load::set(load_->accepted, Load::get(load_->accepted) + 1);
    // Closed here if it was refused: a user says so beforehand, by full(), if it wants it to wait.
    user->connection(connection);
    Load::set(load_->arriving, 0);
    return true;
  }
  Load::set(load_->arriving, 0);
  if (errno == EAGAIN) return false;
  if (is_about_connection(errno)) return true;
  pause(errno);
  return false;
}

// The connection stays in the queue, so the descriptor stays readable: waiting for it would spin.
void AcceptLoop::pause(int errno_value) {
  if (!complained_) {
    const auto address = local_address(watch_->fd());
    Error error = error_for(address ? *address : Address{}, errno_value);
    error.op.replace(0, std::string_view{"listen"}.size(), "accept");
    say(loop_, {"accept_failed",
                error.message() + "; connections wait",
                {{"errno", std::int64_t{errno_value}}}});
    complained_ = true;
  }
  pausing_ = true;
  pause_.expires_after(kPause);
  pause_.async_wait([weak = weak_from_this()](const auto&) {
    const auto self = weak.lock();
    if (!self) return;
    self->pausing_ = false;
    self->wait();
  });
}

}  // namespace cohort::net
