// What all workers of a program need and none of them changes, loaded once: a large table, a model.
//
//   Table table;
//   const cohort::Preload load_table{"table", [] { table.read("table.bin"); }};
//
//   cluster.setup_primary({.preload = load_table.name()});                       // a cluster's, or
//   cohort::Pool pool{{.isolation = cohort::Isolation::Process, .preload = load_table.name()}};
//
// A process of its own loads it, once for all workers of that cluster or pool. Workers are forks of
// that process: they have its memory, shared until one of them writes to it (copy-on-write), and
// start in milliseconds, however long the loading took.
//
// That process is this program again. It runs what a worker would up to the constructor of the
// Cluster, or up to `run_as_pool_worker`; there it loads, and waits. Each worker goes on from
// there. So what `main` does before that is done once, for all workers.
//
// - A process with threads cannot be forked: whoever needs some starts them in the worker. Else the
//   workers fail to start, with an error that names the threads.
// - Handlers of `pthread_atfork` do not run.
// - Descriptors that it has opened are shared by the workers, as after any fork(2).
// - In a pool of threads it is loaded by the Pool's constructor, in this process.
// - A reload of a cluster loads again. If that fails, the reload does, and who serves stays.
#pragma once

#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include "cohort/error.h"

namespace cohort {

/// A function with a name. Make it before `main`, at namespace scope.
class Preload {
 public:
  struct Options {
    /// Moves what was loaded into huge pages, where it is long enough: a fork copies page tables,
    /// and those of 4 GB take 50 ms, or 2 ms so. Needs Linux 6.1, and some time once.
    bool huge_pages = false;
  };

  /// `load` runs in that process only. It fails by an exception, or returns Result<void>.
  template <class F>
  Preload(std::string name, F load) : Preload{std::move(name), std::move(load), Options{}} {}
  template <class F>
  Preload(std::string name, F load, Options options)
      : Preload{std::move(name), as_result(std::move(load)), options, {}} {}
  Preload(const Preload&) = delete;
  Preload& operator=(const Preload&) = delete;

  const std::string& name() const { return name_; }

 private:
  struct Known {};
  using Load = std::function<Result<void>()>;

  // The name has to be new, or std::abort says so.
  Preload(std::string name, Load load, Options options, Known);

  template <class F>
  static Load as_result(F load) {
    if constexpr (std::is_void_v<std::invoke_result_t<F&>>)
      return [load = std::move(load)]() mutable -> Result<void> {
        load();
        return {};
      };
    else
      return load;
  }

  std::string name_;
};

}  // namespace cohort
