#include "http/open_connections.h"

#include <utility>

#include "http/connection.h"

namespace cohort::http {

void OpenConnections::join(Connection& connection) {
  set_busy(connection.seat, true);
  connection.seat.index = connections_.size();
  connections_.push_back(&connection);
  publish_open();
}

void OpenConnections::leave(Connection& connection) {
  Connection* const last = connections_.back();
  connections_[connection.seat.index] = last;
  last->seat.index = connection.seat.index;
  connections_.pop_back();
  set_busy(connection.seat, false);
  publish_open();
}

void OpenConnections::set_busy(Seat& seat, bool busy) {
  if (std::exchange(seat.busy, busy) == busy) return;
  in_flight_ += busy ? 1 : -1;
  publish_in_flight();
}

void OpenConnections::publish_to(const std::shared_ptr<net::Load>& load) {
  load_ = load;
  net::Load::set(load_->counts_open, 1);
  net::Load::set(load_->counts_requests, 1);
  publish_in_flight();
  publish_open();
}

void OpenConnections::publish_open() {
  net::Load::set(load_->connections, connections_.size());
  net::Load::set(load_->arriving, 0);
}

// Backwards: one that is given back leaves.
void OpenConnections::drain() {
  for (std::size_t i = connections_.size(); i-- > 0;) connections_[i]->drain();
}

// Backwards, as one may leave. It may end others, too, through its handlers.
void OpenConnections::check_timeouts() {
  for (std::size_t i = connections_.size(); i-- > 0;)
    if (i < connections_.size()) connections_[i]->check_timeouts();
}

void OpenConnections::abandon() {
  while (!connections_.empty()) connections_.back()->abandon();
}

}  // namespace cohort::http
