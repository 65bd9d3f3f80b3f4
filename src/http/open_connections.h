// The open connections of one server: counted, published, and asked in turn.
//
// A member of the Service. Loop's executor only.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "net/load.h"

namespace cohort::http {

class Connection;

class OpenConnections {
 public:
  /// What a connection keeps for this list.
  struct Seat {
    std::size_t index = 0;
    bool busy = false;  // counted as in flight
  };

  std::size_t size() const { return connections_.size(); }
  bool empty() const { return connections_.empty(); }
  /// As a busy one: it brings its first request.
  void join(Connection& connection);
  /// Before it dies.
  void leave(Connection& connection);
  /// A request of it arrives, is being answered, or its answer is being sent.
  void set_busy(Seat& seat, bool busy);
  /// A request of one was answered.
  void count_answer() { net::Load::set(load_->requests, net::Load::get(load_->requests) + 1); }
  /// There are none yet.
  void publish_to(const std::shared_ptr<net::Load>& load);

  void drain();
  void check_timeouts();
  void abandon();

 private:
  void publish_open();
  void publish_in_flight() { net::Load::set(load_->in_flight, in_flight_); }

  std::vector<Connection*> connections_;
  int in_flight_ = 0;
  std::shared_ptr<net::Load> load_ = std::make_shared<net::Load>();  // shared with its publisher
};

}  // namespace cohort::http
