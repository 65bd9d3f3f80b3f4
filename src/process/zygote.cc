#include "process/zygote.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <sstream>
#include <utility>

#include "base/descriptor_messages.h"
#include "base/sys.h"
#include "process/exit_record.h"

namespace cohort::process {
namespace {

// From its start to the constructors before its `main`.
constexpr std::chrono::seconds kGreetsWithin{10};
// A fork of very much memory takes some 100 ms.
constexpr std::chrono::seconds kAnswersWithin{5};
// Whether the new process has died meanwhile.
constexpr std::chrono::milliseconds kLooksEvery{20};

std::string op_of(const std::string& preload) { return "preload " + preload; }

}  // namespace

SpawnOptions options_of_loader(SpawnOptions options) {
  options.memory_max = options.memory_high = options.processes_max = std::nullopt;
  options.cpu_max = std::nullopt;
  options.stdio = {};
  options.silent = false;
  options.stderr_lines = 0;
  return options;
}

Zygote::Zygote(const Loop& loop, std::string preload, std::function<void()> changed)
    : loop_{loop},
      preload_{std::move(preload)},
      changed_{std::move(changed)},
      greets_within_{loop.executor()} {}

Result<std::unique_ptr<Zygote>> Zygote::start(const Loop& loop, const SpawnRequest& worker,
                                              const std::string& preload,
                                              std::function<void()> changed) {
  OwnFd ends[2];
  if (sys::socketpair(AF_UNIX, SOCK_SEQPACKET, false, ends) == -1 ||
      sys::set_nonblocking(ends[0].get(), true) == -1)
    return errno_error(op_of(preload));
  const OwnFd nothing = sys::open("/dev/null", O_RDWR);
  if (!nothing) return errno_error(op_of(preload) + ": /dev/null");

  SpawnRequest request = worker;
  // The numbers that workers have from the start are kept for them.
  request.fds.assign(kOrderDescriptor, nothing.get());
  request.fds[STDOUT_FILENO] = STDOUT_FILENO;
  request.fds[STDERR_FILENO] = STDERR_FILENO;
  request.fds.push_back(ends[1].get());
  request.env.push_back(std::string{kZygoteVariable} + '=' + preload);
  request.pid_variable.clear();
  request.cgroup_procs = -1;
  request.new_session = false;
  request.process_group.reset();
  request.die_with_parent = true;
  request.death_signal.reset();
  request.lifeline_in_env = false;
  auto child = process::spawn(request);
  if (!child) return child.error();

  std::unique_ptr<Zygote> zygote{new Zygote(loop, preload, std::move(changed))};
  zygote->orders_.emplace(loop, std::move(ends[0]));
  zygote->watch_.emplace(loop, *std::move(child),
                         [raw = zygote.get()](const Exit& exit) { raw->ended(exit); });
  zygote->greets_within_.expires_after(kGreetsWithin);
  zygote->greets_within_.async_wait([raw = zygote.get()](boost::system::error_code error) {
    if (error || raw->greeted_) return;
    raw->kill();
    raw->become(State::Gone,
                make_error(Errc::PreloadFailed, op_of(raw->preload_),
                           "the program does not answer: it has no cohort::Preload of that name"));
  });
  zygote->listen();
  return zygote;
}

Zygote::~Zygote() {
  if (watch_) watch_->kill_and_reap();
}

void Zygote::kill() {
  constexpr int kNow = SIGKILL;
  std::ignore = watch_->signal(kNow);
}

// Found out by an order, before its watch has told.
Error Zygote::lost(const char* how) {
  state_ = State::Ending;
  return make_error(Errc::PreloadFailed, op_of(preload_), how);
}

void Zygote::listen() {
  orders_->wait_readable([this] { heard(); });
}

// A reply, or nothing: none now, or never again.
std::optional<ForkReply> Zygote::read() {
  ForkReply reply;
  const ssize_t size = sys::recv(orders_->fd(), &reply, sizeof reply, 0);
  if (size != static_cast<ssize_t>(sizeof reply)) return std::nullopt;
  reply.text[sizeof reply.text - 1] = '\0';
  return reply;
}

void Zygote::heard() {
  while (const auto reply = read()) {
    greeted_ = true;
    if (reply->kind == ForkReply::Kind::Ready) {
      greets_within_.cancel();
      orders_->set_ref(false);
      watch_->set_ref(false);
      // From here on it speaks when it is spoken to.
      return become(State::Ready);
    }
    if (reply->kind == ForkReply::Kind::Failed)
      return become(State::Gone, make_error(Errc::PreloadFailed, op_of(preload_), reply->text));
  }
  // At its end: how it ended says more.
  if (errno == EAGAIN) listen();
}

void Zygote::ended(const Exit& exit) {
  greets_within_.cancel();
  watch_.reset();
  std::ostringstream how;
  how << exit;
  const char* const when = has_loaded_ ? "it ended: " : "it ended before it was done: ";
  become(State::Gone, make_error(Errc::PreloadFailed, op_of(preload_), when + how.str()));
}

void Zygote::become(State state, std::optional<Error> why) {
  if (state_ == State::Gone) return;
  state_ = state;
  has_loaded_ = has_loaded_ || state == State::Ready;
  why_ = std::move(why);
  const auto changed = changed_;
  changed();  // which may destroy this
}

// The order in a file: an environment may be longer than a message of a socket.
Result<void> Zygote::send(const SpawnRequest& request, const PreparedSpawn& prepared) {
  std::vector<int> fds{-1};
  const std::string text = encode_order(prepared, fds);
  const OwnFd file = sys::memfd_create("order", MFD_CLOEXEC);
  if (!file ||
      sys::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return no_child(request, errno);
  fds[0] = file.get();

  char byte = 0;
  iovec bytes{&byte, 1};
  DescriptorSpace<kForkedDescriptorsMax + 2> space;
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  lend_descriptors(message, space.bytes, fds);
  if (sys::sendmsg(orders_->fd(), message) != -1) return {};
  if (errno == EPIPE || errno == ECONNRESET) return lost("it has ended");
  return no_child(request, errno);
}

// Two replies: of the one that forks, and of the one that it has forked.
Result<Child> Zygote::answered(const SpawnRequest& request, PreparedSpawn& prepared) {
  using Kind = ForkReply::Kind;
  const auto until = std::chrono::steady_clock::now() + kAnswersWithin;
  Child child;
  std::optional<ForkReply> forked, settled;
  const auto give_up = [&](Error error) {
    if (child.pidfd) {
      sys::signal_process(child.pidfd.get(), SIGKILL);
      sys::wait_for(child.pidfd.get(), POLLIN, until);
      std::ignore = try_reap(child.pidfd.get());
    }
    return error;
  };
  const auto is_dead = [&] { return child.pidfd && sys::poll(child.pidfd.get(), POLLIN, 0) > 0; };
  while (!forked || !settled) {
    const auto now = std::chrono::steady_clock::now();
    if (!sys::wait_for(orders_->fd(), POLLIN, std::min(until, now + kLooksEvery))) {
      if (is_dead() && sys::poll(orders_->fd(), POLLIN, 0) <= 0)
        return give_up(
            make_error(Errc::PreloadFailed, op_of(preload_), "its fork was killed at once"));
      if (now < until) continue;
      // Whatever it does now, nobody waits for it.
      kill();
      return give_up(lost("it does not fork a worker, and was killed"));
    }
    const auto reply = read();
    if (!reply && settled) break;  // it has ended since
    if (!reply) return give_up(lost("it ended as it was to fork"));
    if (reply->kind == Kind::Failed)
      return reply->text[0] == '\0' ? no_child(request, reply->number)
                                    : make_error(Errc::PreloadFailed, op_of(preload_), reply->text);
    (reply->kind == Kind::Forked ? forked : settled) = reply;
    if (child.pidfd) continue;
    // It is ours, and nobody else reaps it: the number is no other's.
    child.pid = reply->pid;
    child.pidfd = sys::pidfd_open(reply->pid);
    if (!child.pidfd) return no_child(request, errno);
  }
  if (settled->kind == Kind::Unfit) {
    ChildPlan& plan = prepared.plan;
    plan.failed_step = static_cast<SpawnStep>(settled->step);
    plan.failed_errno = settled->number;
    plan.failed_descriptor = plan.failed_resource = settled->detail;
    return give_up(child_failure(request, prepared.files, plan));
  }
  child.lifeline = std::move(prepared.lifeline_write);
  return child;
}

Result<Child> Zygote::spawn(const SpawnRequest& request) {
  if (state_ == State::Gone) return why();
  if (state_ == State::Ending) return lost("it has ended");
  auto prepared = prepare_spawn(request);
  if (!prepared) return prepared.error();
  if ((*prepared)->plan.source_count > kForkedDescriptorsMax)
    return make_error(Errc::InvalidArgument, op_of(preload_),
                      "a worker of it can have " + std::to_string(kForkedDescriptorsMax) +
                          " descriptors from the start at most");
  if (const auto sent = send(request, **prepared); !sent) return sent.error();
  return answered(request, **prepared);
}

}  // namespace cohort::process
