// What happens to workers and their places: the moves that the steps of the Supervisor, and of its
// rollouts, are made of. Pure, and the Supervisor's own.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "cluster/supervisor.h"

namespace cohort::cluster {

struct Moves {
  Supervisor& state;
  const TimePoint now;
  std::vector<SupervisorAction> actions{};

  void act(SupervisorAction action) { actions.push_back(std::move(action)); }

  /// Tells it, once.
  void end(int worker, action::End::Why why);
  /// Whether it leaves, or closed a port for good, where that is known by now.
  void decide(int worker, Supervisor::Live& live);
  /// One that left. One that never used a port may do anything else.
  void end_if_idle(int worker, const Supervisor::Live& live);

  /// It has the place from now on.
  void have(std::size_t at, int worker, const Supervisor::Live& live);
  /// It has the place no more: its successor has, or one will be forked, unless it is closed.
  void vacate(std::size_t at, int worker, const Supervisor::Live& live);
  /// A successor is forked beside the worker of the place.
  void succeed(std::size_t at);
  /// From the worker of the place, which serves, to its successor.
  void pass_on(std::size_t at);
  /// The successor of a place that is free has it.
  void take_over(std::size_t at);
  /// Who is held has its place again.
  void take_back(std::size_t at, int worker);
  /// Who is held is retired.
  void let_go(int worker);
  /// It gets nothing more, and is told to end when it is dry. It has no place any more.
  void retire(int worker, bool succeeded);

  /// Its ports stay open for the next one of the place.
  void remember(std::size_t at, int worker, const Supervisor::Live& live);
  void release_predecessors(Supervisor::Place& place);
};

}  // namespace cohort::cluster
