#include "process/helpers_test.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/sys.h"
#include "process/exit_record.h"

namespace cohort::process {
namespace {

constexpr std::chrono::seconds kDeadline{30};

std::vector<std::string> environment() {
  std::vector<std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) env.emplace_back(*entry);
  return env;
}

}  // namespace

SpawnRequest program_request(const std::string& file, const std::vector<std::string>& args) {
  SpawnRequest request;
  request.file = file;
  request.argv = {file};
  request.argv.insert(request.argv.end(), args.begin(), args.end());
  request.env = environment();
  request.fds = {-1, -1, 2};
  return request;
}

SpawnRequest role_request(const std::string& role, const std::vector<std::string>& args) {
  SpawnRequest request =
      program_request(std::filesystem::read_symlink("/proc/self/exe").string(), args);
  request.argv.insert(request.argv.begin() + 1, "--role=" + role);
  return request;
}

bool ends_within(int pidfd, std::chrono::milliseconds deadline) {
  return sys::poll(pidfd, POLLIN, static_cast<int>(deadline.count())) > 0;
}

Exit wait_exit(const Child& child) {
  if (!ends_within(child.pidfd.get(), kDeadline)) {
    ADD_FAILURE() << "process " << child.pid << " does not end";
    sys::signal_process(child.pidfd.get(), SIGKILL);
    ends_within(child.pidfd.get(), kDeadline);
  }
  return try_reap(child.pidfd.get()).value_or(Exit::exited(Exit::kUnknownCode));
}

Output run(SpawnRequest request) {
  OwnFd ends[2];
  if (sys::pipe(ends) == -1) return {};
  if (request.fds.size() < 2) request.fds.resize(2, -1);
  request.fds[1] = ends[1].get();
  const auto child = spawn(request);
  ends[1].reset();
  if (!child) {
    ADD_FAILURE() << child.error();
    return {};
  }
  Output output;
  output.text = read_all(ends[0].get());
  output.exit = wait_exit(*child);
  return output;
}

std::string read_line(int fd) {
  std::string line;
  for (char byte = 0; sys::read(fd, &byte, 1) == 1 && byte != '\n';) line += byte;
  return line;
}

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t size = 0; (size = sys::read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(size));
  return text;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "cohort-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "no temporary directory";
  ::chmod(name.c_str(), 0755);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::string TemporaryDirectory::write(const std::string& name, const std::string& text,
                                      unsigned mode) const {
  const std::string path = path_ + '/' + name;
  std::ofstream{path} << text;
  ::chmod(path.c_str(), mode);
  return path;
}

}  // namespace cohort::process
