#include "cluster/hand_offs.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/sys.h"
#include "cluster/wire.h"

namespace cohort::cluster {
namespace {

// A cohort worker may hold this many connections unanswered: enough to keep it busy while the
// primary does other things, few enough that little waits behind a handler that blocks.
constexpr unsigned kCohortCredits = 8;
// Node's own primary never has more than one; its workers are tested with that.
constexpr unsigned kNodeCredits = 1;
// The key of no port.
constexpr const char* kProbe = "";

}  // namespace

unsigned HandOffs::credits() const { return peer_.is_cohort() ? kCohortCredits : kNodeCredits; }

void HandOffs::hand_off(const std::string& key, std::span<const HandoffPeer::Offer> connections) {
  if (connections.size() > 1 && one_at_a_time_) {
    for (std::size_t i = 0; i < connections.size(); ++i) hand_off(key, connections.subspan(i, 1));
    return;
  }
  HandOff& hand_off = unanswered_.emplace_back(HandOff{user_.next_seq(), key, {}});
  std::vector<int> fds;
  for (const HandoffPeer::Offer& offer : connections) {
    hand_off.connections.push_back(offer.connection);
    fds.push_back(offer.fd);
  }
  send(hand_off, std::move(fds));
}

void HandOffs::send(const HandOff& hand_off, std::vector<int> fds) {
  const std::int64_t seq = hand_off.seq;
  Value message = cluster_message("newconn");
  message["key"] = hand_off.key;
  message["seq"] = seq;
  // Once it has the descriptor, the worker answers by itself; if it ends, the listeners know.
  const auto delivered = callbacks_.wrap([this, seq](ipc::Channel::Delivery delivery) {
    if (delivery != ipc::Channel::Delivery::Refused) return;
    one_at_a_time_ = true;
    answer(seq, 0);
  });
  const Value wrapped = ipc::wrap_descriptors(fds.size(), std::move(message));
  if (peer_.send_descriptors(wrapped, std::move(fds), delivered, ipc::Lane::Control)) return;
  // Not now: the listeners are in the middle of handing off.
  loop_.post(callbacks_.wrap([this, seq] { answer(seq, 0); }));
}

// Without numbers: the port knows nothing of it.
bool HandOffs::hand_own(const std::string& key, int fd) {
  const auto is_own = [](const HandOff& hand_off) { return hand_off.connections.empty(); };
  if (std::any_of(unanswered_.begin(), unanswered_.end(), is_own)) return false;
  send(unanswered_.emplace_back(HandOff{user_.next_seq(), key, {}}), {fd});
  return true;
}

// A hand-off for a port that nobody has is refused as soon as the worker's loop turns, and needs no
// help from it. It comes with a socket, which the worker closes: other kinds would harm Node's.
bool HandOffs::probe() {
  const auto is_probe = [](const HandOff& hand_off) { return hand_off.key == kProbe; };
  // It answers that one.
  if (std::any_of(unanswered_.begin(), unanswered_.end(), is_probe)) return true;
  OwnFd ends[2];
  if (sys::socketpair(AF_UNIX, SOCK_STREAM, true, ends) == -1) return false;
  const HandoffPeer::Offer offer{0, ends[0].get()};
  hand_off(kProbe, {&offer, 1});
  return true;
}

bool HandOffs::ping(std::function<void()> turned) {
  if (!probe()) return false;
  pings_.push_back(std::move(turned));
  return true;
}

bool HandOffs::await_sign(std::function<void()> given) {
  if (gives_signs_) pings_.push_back(std::move(given));
  return gives_signs_;
}

void HandOffs::gave_sign() {
  gives_signs_ = true;
  for (const auto& given : std::exchange(pings_, {})) given();
}

void HandOffs::answer(std::int64_t seq, std::size_t accepted) {
  const auto found = std::find_if(unanswered_.begin(), unanswered_.end(),
                                  [seq](const HandOff& h) { return h.seq == seq; });
  if (found == unanswered_.end()) return;
  const HandOff done = std::move(*found);
  unanswered_.erase(found);
  if (accepted > 0) one_at_a_time_ = false;
  if (done.key == kProbe) {
    for (const auto& turned : std::exchange(pings_, {})) turned();
    return user_.turned();
  }
  if (!done.connections.empty())
    user_.answered(done.key, done.connections, std::min(accepted, done.connections.size()));
}

}  // namespace cohort::cluster
