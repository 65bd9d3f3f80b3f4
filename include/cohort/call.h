// Calls between a primary and its workers: a method, its parameters, and one answer.
//
//   cluster.handle("add", [](const cohort::Value& n) -> cohort::Value { return 1 + n.number_or(0);
//   }); cohort::Value sum = co_await worker.async_call("add", 41, asio::use_awaitable);
//
// On the channel a call is an ordinary message in the form of JSON-RPC 2.0, so that a Node process
// answers and calls with plain `process.send` (docs/calls.md). A process that neither handles a
// method nor called one gets such messages as any other, through `on_message`.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "cohort/callback.h"
#include "cohort/error.h"
#include "cohort/value.h"

namespace cohort {

struct CallOptions {
  /// How long the answer may take; then the call fails with ETIMEDOUT, and the other side is told
  /// that it is cancelled. Zero: for ever. Default: 30 s.
  std::chrono::milliseconds timeout{std::chrono::seconds{30}};
};

/// The answer to one call. A handle: copies answer the same call, the first one wins. If the last
/// copy goes unanswered, the caller gets an error that says so. The cluster's executor only.
class Reply {
 public:
  class Impl;
  explicit Reply(std::shared_ptr<Impl> impl) : impl_{std::move(impl)} {}

  /// Answers. `undefined` arrives as null, since JSON has no undefined.
  void operator()(Value result) const;
  /// Answers with a failure: the caller gets Errc::CallFailed with `message` as its detail.
  void fail(const std::string& message) const;
  /// The id of the worker that called; 0 for this process's primary or parent.
  int caller() const;
  /// Whether the caller has given up, or is gone. An answer is then dropped.
  bool cancelled() const;
  /// Called when that happens; not after an answer.
  void on_cancel(Callback<void()> handler) const;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace cohort
