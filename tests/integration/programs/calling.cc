// A primary and two workers that call each other, publish and broadcast, with --exec FILE two
// workers of another make that do the same (tests/interop/workers/calling.js). Prints what happens.
#include <cohort/cohort.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iostream>
#include <stdexcept>

#include "flags.h"

namespace asio = boost::asio;
using cohort::Value;

namespace {

std::string failure_of(const cohort::Result<Value>& result) {
  return result ? "no failure: " + cohort::to_json(*result) : result.error().message();
}

// Waits until every worker said that it is ready, then talks to them.
class Primary {
 public:
  Primary(cohort::Cluster& cluster, const std::string& exec) : cluster_{cluster} {
    if (!exec.empty()) cluster.setup_primary({.exec = exec});
    cluster.handle("square",
                   [](const Value& n) -> Value { return n.number_or(0) * n.number_or(0); });
    cluster.handle("ready", [this](const Value& square, const cohort::Reply& reply) {
      std::cout << "ready " << square << '\n';
      ready_.push_back(reply);
      if (ready_.size() == 2)
        for (const cohort::Reply& waiting : ready_) waiting(waiting.caller());
    });
    // The first news are the first worker's; its subscribers have them before we do.
    cluster.subscribe("news", [this, talks = false](const Value& news) mutable {
      std::cout << "primary: " << news << '\n';
      if (!std::exchange(talks, true))
        asio::co_spawn(cluster_.io_context(), talk(), asio::detached);
    });
    for (int i = 0; i < 2; ++i) cluster.fork();
  }

 private:
  asio::awaitable<void> talk() {
    const cohort::Worker first = cluster_.workers()[0];
    const cohort::Worker second = cluster_.workers()[1];
    // g++ 12 takes no braced list within a co_await: named beforehand.
    const Value numbers = {1, 2};
    const Value words = {"a", "b"};
    std::cout << co_await first.async_call("add", numbers, asio::use_awaitable) << '\n';
    std::cout << co_await second.async_call("add", words, asio::use_awaitable) << '\n';
    first.call("fail", {}, [](const auto& result) { std::cout << failure_of(result) << '\n'; });
    first.call("missing", {}, [](const auto& result) { std::cout << failure_of(result) << '\n'; });
    // In the order of the channel, so that the first two are answered.
    std::cout << co_await first.async_call("add", numbers, asio::use_awaitable) << '\n';
    std::cout << "broadcast to " << cluster_.broadcast({{"say", "hello"}}) << '\n';
    cluster_.publish("news", "from the primary");
    for (const cohort::Worker& worker : {first, second})
      std::cout << "heard: " << co_await worker.async_call("heard", Value(), asio::use_awaitable)
                << '\n';
    try {
      const cohort::CallOptions impatient{.timeout = std::chrono::milliseconds{20}};
      co_await first.async_call("wait", Value(), asio::use_awaitable, impatient);
    } catch (const std::exception& error) {
      std::cout << error.what() << '\n';
    }
    // A worker that dies while it is asked.
    second.call("wait", {}, [this](const auto& result) {
      std::cout << failure_of(result).substr(0, 41) << '\n';
      cluster_.disconnect();
    });
    second.kill(SIGKILL);
  }

  cohort::Cluster& cluster_;
  std::vector<cohort::Reply> ready_;
};

void be_worker(cohort::Cluster& cluster, std::vector<std::string>& heard) {
  cluster.handle("add", [](const Value& two) -> Value {
    if (two[0].is_string())
      return std::string{two[0].string_or("")} + std::string{two[1].string_or("")};
    return two[0].number_or(0) + two[1].number_or(0);
  });
  cluster.handle("fail", [](const Value&) -> Value { throw std::runtime_error{"on purpose"}; });
  cluster.handle("wait", [](const Value&, cohort::Reply reply) {
    // Holds its own handle until the caller gives up.
    reply.on_cancel([reply] {});
  });
  cluster.handle("heard", [&heard](const Value&) -> Value {
    std::sort(heard.begin(), heard.end());
    Value all = Value::array();
    for (const std::string& line : heard) all.push_back(line);
    return all;
  });
  const auto note = [&heard](const Value& text) { heard.emplace_back(text.string_or("?")); };
  cluster.subscribe("news", note);
  cluster.worker().on_message([note](const Value& message) { note(message["say"]); });
  cluster.worker().call("square", 12, [&cluster](const cohort::Result<Value>& square) {
    cluster.worker().call("ready", *square, [&cluster](const cohort::Result<Value>& id) {
      if (*id == 1) cluster.publish("news", "from a worker");
    });
  });
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  std::vector<std::string> heard;
  std::optional<Primary> primary;
  if (cluster.is_primary())
    primary.emplace(cluster, flags.text("--exec", ""));
  else
    be_worker(cluster, heard);
  return cluster.run();
}
