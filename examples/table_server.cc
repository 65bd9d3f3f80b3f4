// A server with a large table: one process loads it, once, and every worker is a fork of that
// process. So each has the whole table, in memory that all of them share, and starts in
// milliseconds. GET /KEY answers from it, GET /process says which worker answers, and GET /reload
// reads the file again. Try `kill -9` on a worker, or GET /crash.
//
//   table_server --table FILE [--port N] [--workers N]        FILE: a key and a value in each line
#include <cohort/cohort.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "flags.h"

std::string file;
std::unordered_map<std::string, std::string> table;

const cohort::Preload load_table{"table", [] {
                                   std::ifstream lines{file};
                                   if (!lines) throw std::runtime_error{"cannot open " + file};
                                   std::string key, value;
                                   while (lines >> key >> value) table.emplace(key, value);
                                   std::clog << "process " << getpid() << " has loaded "
                                             << table.size() << " entries\n";
                                 }};

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  file = flags.text("--table", "table.txt");
  cohort::Cluster cluster;  // what loads goes on from here in every worker

  if (cluster.is_primary()) {
    cluster.setup_primary({.preload = load_table.name()});
    cluster.keep(flags.number("--workers", cohort::available_parallelism()));
    cluster.on_exit([](cohort::Worker worker, const cohort::Exit& exit) {
      std::clog << "worker " << worker.id() << ": " << exit << '\n';
    });
    cluster.on_message([&](cohort::Worker, const cohort::Value& message) {
      if (message != "reload") return;
      cluster.reload({}, [](const cohort::RolloutResult& result) {
        std::clog << "reload: " << result.text << '\n';
      });
    });
  } else {
    cohort::http::create_server(cluster, [&](const auto& req, auto& res) {
      const std::string key{req.url().substr(1)};
      if (key == "crash") std::abort();
      if (key == "reload") cluster.worker().send("reload");
      const auto found = table.find(key);
      if (key == "process")
        res.end(std::to_string(getpid()) + '\n');
      else
        res.end((found == table.end() ? "no such key" : found->second) + '\n');
    }).listen(flags.port(8000));
  }
  return cluster.run();
}
