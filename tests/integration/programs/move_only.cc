// Every kind of handler as a lambda that owns something that cannot be copied; prints those that
// were called.
#include <cohort/cohort.h>

#include <iostream>
#include <memory>
#include <set>
#include <string>

namespace {

using cohort::Value;

std::set<std::string> called;

// Such a handler, with this name.
auto owning(std::string name) {
  return
      [name = std::make_unique<std::string>(std::move(name))](auto&&...) { called.insert(*name); };
}

void be_worker(cohort::Cluster& cluster) {
  cluster.handle("double", [two = std::make_unique<int>(2)](const Value& n) -> Value {
    return n.number_or(0) * *two;
  });
  cluster.handle("triple", [three = std::make_unique<int>(3)](const Value& n, cohort::Reply reply) {
    reply(n.number_or(0) * *three);
  });
  cluster.set_timeout(std::chrono::milliseconds{0}, [&, own = std::make_unique<int>(1)] {
    cluster.worker().send({{"number", *own}}, [&cluster, more = std::make_unique<int>(2)](
                                                  const auto&) { cluster.worker().send(*more); });
  });
}

int be_primary(cohort::Cluster& cluster) {
  auto web = cohort::http::create_server(
      cluster, [own = std::make_unique<int>(0)](const auto&, auto& res) { res.end("hello"); });
  web.on_error(owning("http error"));
  web.listen(cohort::Address{"127.0.0.1", 0}, owning("http listening"));
  auto server = cohort::net::create_server(cluster, owning("connection"));
  server.listen(cohort::Address{"127.0.0.1", 0}, owning("net listening"));

  cohort::Worker worker = cluster.fork();
  cluster.on_online(owning("cluster online"));
  worker.on_online(owning("online"));
  worker.on_message([owner = owning("message"), worker, web, server](const Value& message) mutable {
    owner(message);
    if (message != 2) return;
    worker.call(
        "double", 21, [=, owner = owning("call")](const cohort::Result<Value>& result) mutable {
          owner();
          worker.call("triple", *result, [=, owner = owning("second call")](const auto&) mutable {
            owner();
            worker.disconnect();
            web.close(owning("http closed"));
            server.close(owning("net closed"));
          });
        });
  });
  worker.on_exit(owning("worker exit"));
  const auto child = cohort::exec(cluster, "echo words", {}, owning("exec"));
  child.on_exit(owning("child exit"));
  child.stdout_().on_data(owning("data"));
  const int code = cluster.run();
  for (const std::string& name : called) std::cout << name << '\n';
  return code;
}

}  // namespace

int main() {
  cohort::Cluster cluster;
  if (cluster.is_primary()) return be_primary(cluster);
  be_worker(cluster);
  return cluster.run();
}
