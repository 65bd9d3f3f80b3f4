#include "process/zygote_main.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/descriptor_messages.h"
#include "base/signals_blocked.h"
#include "base/sys.h"
#include "process/fork_order.h"
#include "process/preload.h"
#include "process/zygote.h"

namespace cohort::process {
namespace {

// The name of what this process is to load: it is a zygote.
std::optional<std::string>& asked() {
  static std::optional<std::string> name = []() -> std::optional<std::string> {
    const char* const given = std::getenv(kZygoteVariable);
    struct stat status{};
    if (given == nullptr || ::fstat(kOrderDescriptor, &status) == -1 || !S_ISSOCK(status.st_mode))
      return std::nullopt;
    std::string copy = given;
    // What this process starts is none, and has nothing of it.
    ::unsetenv(kZygoteVariable);
    for (int fd = kFirstFreeDescriptor; fd < kDescriptorsOfZygote; ++fd) sys::set_cloexec(fd, true);
    return copy;
  }();
  return name;
}

void reply(const ForkReply& what) { sys::send(kOrderDescriptor, &what, sizeof what); }

void reply_text(ForkReply::Kind kind, const std::string& text, int number = 0) {
  ForkReply what{.kind = kind, .number = number};
  std::strncpy(what.text, text.c_str(), sizeof what.text - 1);
  reply(what);
}

// Beside the one that asks.
std::vector<std::string> other_threads() {
  struct stat status{};
  constexpr nlink_t kWithoutThreads = 2;
  if (sys::stat("/proc/self/task", status) == -1 || status.st_nlink <= kWithoutThreads + 1)
    return {};
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& each : std::filesystem::directory_iterator{"/proc/self/task", error}) {
    if (each.path().filename() == std::to_string(::getpid())) continue;
    std::string name = "?";
    std::getline(std::ifstream{each.path() / "comm"}, name);
    names.push_back(name);
  }
  return names;
}

Result<void> without_threads() {
  const auto names = other_threads();
  if (names.empty()) return {};
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return make_error(Errc::PreloadFailed, "fork a worker",
                    "threads run in the process that has loaded (" + list +
                        "), and they would not be in its forks: start them in the worker");
}

// --- orders

struct Order {
  std::unique_ptr<ForkOrder> order;
  std::vector<OwnFd> fds;
};

// Nothing: nobody gives orders any more.
std::optional<Result<Order>> next_order() {
  char byte = 0;
  iovec bytes{&byte, 1};
  DescriptorSpace<kForkedDescriptorsMax + 2> space;  // the order itself, and a cgroup
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = space.bytes;
  message.msg_controllen = sizeof space.bytes;
  if (sys::recvmsg(kOrderDescriptor, message) <= 0) return std::nullopt;
  Order result;
  result.fds = take_descriptors(message);
  const auto malformed = [](const char* why) {
    return make_error(Errc::MalformedMessage, "read an order", why);
  };
  if (result.fds.empty() || (message.msg_flags & MSG_CTRUNC) != 0)
    return malformed("descriptors are missing");
  struct stat status{};
  std::string text;
  if (::fstat(result.fds[0].get(), &status) == 0)
    text.resize(static_cast<std::size_t>(status.st_size));
  if (::pread(result.fds[0].get(), text.data(), text.size(), 0) !=
      static_cast<ssize_t>(text.size()))
    return malformed("it cannot be read");
  std::vector<int> beside;
  for (auto fd = result.fds.begin() + 1; fd != result.fds.end(); ++fd) beside.push_back(fd->get());
  auto order = decode_order(text, beside);
  if (!order) return order.error();
  result.order = *std::move(order);
  return result;
}

// A child of whoever is this process's parent, which reaps it and hears of its end as of any other.
// glibc's fork() cannot do that; what it does besides is done here: the id of the thread that it
// keeps, and the list of robust mutexes. Without other threads none of its locks is held.
pid_t fork_sibling() {
  int* thread_id = nullptr;
  if (::prctl(PR_GET_TID_ADDRESS, &thread_id) == -1) return -1;
  void* robust = nullptr;
  std::size_t size = 0;
  ::syscall(SYS_get_robust_list, 0, &robust, &size);
  constexpr unsigned long kFlags = CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
#if defined(__x86_64__)
  const long pid = ::syscall(SYS_clone, kFlags, nullptr, nullptr, thread_id, nullptr);
#else
  const long pid = ::syscall(SYS_clone, kFlags, nullptr, nullptr, nullptr, thread_id);
#endif
  if (pid == 0 && robust != nullptr) ::syscall(SYS_set_robust_list, robust, size);
  return static_cast<pid_t>(pid);
}

// Instead of what there was.
void set_environment(std::vector<std::string> env) {
  static std::vector<std::string> strings;
  static std::vector<char*> pointers;
  strings = std::move(env);
  pointers.clear();
  for (std::string& each : strings) pointers.push_back(each.data());
  pointers.push_back(nullptr);
  environ = pointers.data();
}

// In the new process. False: it cannot be what it should.
bool settle(Order& given, const char* name) {
  ChildPlan& plan = given.order->plan;
  const bool settled = settle_child(plan);
  const bool parent_is_gone = !settled && plan.failed_step == SpawnStep::None;
  ForkReply what{.kind = settled ? ForkReply::Kind::Settled : ForkReply::Kind::Unfit,
                 .pid = ::getpid(),
                 .step = static_cast<int>(plan.failed_step),
                 .number = plan.failed_errno};
  what.detail =
      plan.failed_step == SpawnStep::Limit ? plan.failed_resource : plan.failed_descriptor;
  if (!parent_is_gone) reply(what);
  if (!settled) return false;
  given.fds.clear();
  for (int fd = plan.source_count; fd < kDescriptorsOfZygote; ++fd) OwnFd{fd}.reset();
  ::prctl(PR_SET_NAME, name);
  set_environment(std::move(given.order->env));
  return true;
}

// Output that waits here would come once from each worker.
void flush_output() {
  std::cout.flush();
  std::fflush(nullptr);
}

// True: this is the worker.
bool carry_out(Order& order, const char* name, boost::asio::execution_context* loop) {
  using boost::asio::execution_context;
  if (const auto alone = without_threads(); !alone) {
    reply_text(ForkReply::Kind::Failed, alone.error().detail);
    return false;
  }
  flush_output();
  if (loop != nullptr) loop->notify_fork(execution_context::fork_prepare);
  const pid_t pid = fork_sibling();
  if (pid == 0) {
    if (!settle(order, name)) ::_exit(1);
    if (loop != nullptr) loop->notify_fork(execution_context::fork_child);
    return true;
  }
  const int problem = errno;
  if (loop != nullptr) loop->notify_fork(execution_context::fork_parent);
  if (pid == -1)
    reply_text(
        ForkReply::Kind::Failed,
        problem == EINVAL ? "this kernel has no PR_GET_TID_ADDRESS (CHECKPOINT_RESTORE)" : "",
        problem);
  else
    reply({.kind = ForkReply::Kind::Forked, .pid = pid});
  return false;
}

}  // namespace

void greet_if_asked_for(const std::string& preload) {
  if (asked() == preload) reply({.kind = ForkReply::Kind::Hello});
}

void become_worker_if_zygote(boost::asio::execution_context* loop) {
  if (!asked()) return;
  const std::string name = *std::exchange(asked(), std::nullopt);
  // What ends a service is often sent to all of its processes. This one ends with whoever gives it
  // orders.
  const SignalsBlocked held{SIGINT, SIGTERM, SIGHUP};
  char called[16] = {};
  ::prctl(PR_GET_NAME, called);
  ::prctl(PR_SET_NAME, ("load " + name).c_str());
  const auto loaded = load(name);
  const auto ready = loaded ? without_threads() : loaded;
  if (!ready) {
    flush_output();
    reply_text(ForkReply::Kind::Failed, ready.error().detail);
    ::_exit(1);
  }
  reply({.kind = ForkReply::Kind::Ready});
  while (auto order = next_order()) {
    if (!*order)
      reply_text(ForkReply::Kind::Failed, order->error().message());
    else if (carry_out(**order, called, loop))
      return;
  }
  ::_exit(0);
}

}  // namespace cohort::process
