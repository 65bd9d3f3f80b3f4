// One child does the work; its answer, the return value of the work so to speak, comes back in
// three ways: as exit code, on stdout, and as a message. The child is this same program.
#include <cohort/cohort.h>

#include <cstdlib>
#include <iostream>
#include <string>

namespace {

int sum_of_squares(int count) {
  int sum = 0;
  for (int i = 1; i <= count; ++i) sum += i * i;
  return sum;
}

// In the child. What it returns is its exit code: 0 to 255.
int work(cohort::Cluster& cluster, const std::string& way, int count) {
  const int answer = sum_of_squares(count);
  if (way == "code") return answer;
  if (way == "stdout") std::cout << answer << '\n';
  if (way == "message") cluster.worker().send({{"count", count}, {"answer", answer}});
  return cluster.run();
}

}  // namespace

int main(int argc, char** argv) {
  cohort::Cluster cluster;
  if (argc == 3) return work(cluster, argv[1], std::atoi(argv[2]));

  const cohort::ChildProcess code = cohort::spawn(cluster, argv[0], {"code", "5"});
  code.on_exit([](const cohort::Exit& exit) { std::cout << "exit code: " << exit.code() << '\n'; });

  cohort::exec_file(cluster, argv[0], {"stdout", "50"}, {}, [](const cohort::Output& output) {
    std::cout << "stdout: " << output.stdout_;
  });

  const cohort::ChildProcess message = cohort::fork(cluster, argv[0], {"message", "500"});
  message.on_message(
      [](const cohort::Value& answer) { std::cout << "message: " << answer << '\n'; });

  return cluster.run();
}
