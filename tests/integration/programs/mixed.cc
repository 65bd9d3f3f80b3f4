// One good worker, which serves HTTP on --port, and garbage_worker beside it: its text is --text,
// with
// `\n` for a line end, --times over. The largest message is 1 MiB.
#include <cohort/cohort.h>

#include <iostream>
#include <string>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_worker()) {
    cohort::http::create_server(cluster, [](const auto&, auto& res) {
      res.end("hello world\n");
    }).listen(flags.port(8000));
    return cluster.run();
  }
  cluster.on_exit([](cohort::Worker worker, const cohort::Exit& exit) {
    std::cout << "worker " << worker.id() << ": " << exit << '\n';
  });
  cluster.fork().on_listening([&](const cohort::Address&) {
    std::string text = flags.text("--text", "");
    if (const auto at = text.find("\\n"); at != std::string::npos) text.replace(at, 2, 1, '\n');
    cluster.setup_primary({.exec = "garbage_worker",
                           .args = {text, flags.text("--times", "1")},
                           .spawn = {.message_size_max = 1 << 20}});
    cluster.fork();
  });
  return cluster.run();
}
