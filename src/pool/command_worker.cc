#include "pool/command_worker.h"

#include <algorithm>
#include <csignal>
#include <utility>
#include <vector>

#include "ipc/message.h"
#include "ipc/rpc.h"

namespace cohort::pool {
namespace {

// A worker that can be spoken to no more, or was told to end, has so long to do it.
constexpr std::chrono::seconds kLost{1};
constexpr std::chrono::seconds kGoodbye{5};

std::vector<std::string> arguments_of(const PoolOptions& options) {
  return {options.command.begin() + 1, options.command.end()};
}

// stdin is no terminal that several workers would read from; stderr, and stdout if it has no other
// use, are this program's unless the options say otherwise.
StdioList stdio_of(const PoolOptions& options, bool by_lines) {
  const StdioList& given = options.spawn.stdio;
  if (given.given() && !by_lines) return given;
  std::vector<ChildStdio> entries = given.entries();
  while (entries.size() < 3) entries.emplace_back(Stdio::Inherit);
  entries[0] = by_lines ? Stdio::Pipe : Stdio::Ignore;
  if (by_lines)
    entries[1] = Stdio::Pipe;
  else
    entries.emplace_back(Ipc{});
  return StdioList{std::move(entries)};
}

}  // namespace

CommandWorker::CommandWorker(const Loop& loop, int number, const PoolOptions& options)
    : PoolWorker{number},
      options_{options},
      by_lines_{options.protocol == PoolOptions::Protocol::Lines},
      timer_{loop.context()},
      lines_{options.spawn.message_size_max.value_or(ipc::kMessageSizeMax)} {}

Result<std::unique_ptr<PoolWorker>> CommandWorker::start(const Loop& loop, int number,
                                                         const PoolOptions& options,
                                                         std::function<void()> came, Ended ended) {
  if (options.command.empty())
    return make_error(Errc::InvalidArgument, "start a worker of the pool " + options.name,
                      "PoolOptions::command says which program it is");
  std::unique_ptr<CommandWorker> worker{new CommandWorker(loop, number, options)};
  worker->launch(loop, std::move(came), std::move(ended));
  return std::unique_ptr<PoolWorker>{std::move(worker)};
}

void CommandWorker::launch(const Loop& loop, std::function<void()> came, Ended ended) {
  child_.emplace(start_child(loop));
  // Of a channel, what it broke; of one that could not be started, why.
  const auto problem = std::make_shared<std::optional<Error>>();
  child_->on_error([problem, complaint = complaint_](const Error& error) {
    *problem = error;
    if (complaint->empty()) *complaint = error.message();
  });
  child_->on_close([problem, ended = std::move(ended)](const Exit& exit) {
    ended(exit, exit.cause() == ExitCause::NotStarted ? *problem : std::nullopt);
  });
  // What it left behind may hold its stdout.
  child_->on_exit([this](const Exit&) { kill_after(kLost, *complaint_); });
  if (by_lines_) {
    child_->stdout_().on_data([this, came](std::string_view bytes) {
      if (is_malformed_) return;
      const bool is_good = lines_.feed(bytes, [this](std::string_view line) {
        auto message = message_of_line(line);
        if (message && take(*std::move(message))) return true;
        malformed(message ? "it answered what it was not asked: " + beginning_of(line)
                          : message.error().detail);
        return false;
      });
      if (!is_good) malformed("it wrote a line that is too long");
      came();
    });
    child_->stdout_().on_end([this] { kill_after(kLost, "it closed its stdout and went on"); });
    child_->stdin_().on_error(
        [this](const Error&) { kill_after(kLost, "it closed its stdin and went on"); });
  } else {
    child_->on_message([this, came](const Value& value) {
      if (is_malformed_) return;
      auto message = message_of_channel(value);
      if (message && !take(*std::move(message)))
        malformed("it answered what it was not asked: " + beginning_of(to_json(value)));
      came();
    });
    child_->on_disconnect([this] { kill_after(kLost, "it closed its channel and went on"); });
  }
}

ChildProcess CommandWorker::start_child(const Loop& loop) const {
  SpawnOptions spawning = options_.spawn;
  spawning.stdio = stdio_of(options_, by_lines_);
  // The terminal's Ctrl-C is for the one who has the pool; and what it starts is killed with it.
  if (!spawning.process_group) spawning.process_group = 0;
  const auto start = by_lines_ ? spawn : fork;
  return start(LoopRef{loop}, options_.command[0], arguments_of(options_), spawning);
}

// --- calls

Result<bool> CommandWorker::give(const Job& job) {
  if (ends_) return false;
  given_.push_back({.id = job.id, .name = job.name, .inputs = job.inputs, .next = job.first});
  call_next(given_.back());
  return true;
}

void CommandWorker::call_next(Given& given) {
  for (; given.next < given.inputs.size(); ++given.next) {
    given.call = ++last_call_;
    given.since = Clock::now();
    const auto problem = send(given.call, given);
    if (!problem) return;
    // It cannot be sent: as if it had answered so.
    answers_.push_back({.id = given.id, .input = given.next, .result = *problem});
  }
}

std::optional<Error> CommandWorker::send(std::uint64_t call, const Given& given) const {
  const Value& arguments = given.inputs[given.next];
  if (by_lines_) {
    const auto line = line_of_call(call, given.name, arguments);
    if (!line) return line.error();
    child_->stdin_().write(*line);
    return std::nullopt;
  }
  const auto request = ipc::rpc_request(static_cast<std::int64_t>(call), given.name, arguments);
  const auto sent = child_->send(request);
  // Where the channel is closed, its end says more.
  const bool is_over = sent.error() && sent.error()->code == Errc::ChannelClosed;
  return is_over ? std::nullopt : sent.error();
}

// False: it is about nothing that was asked.
bool CommandWorker::take(CommandMessage message) {
  const auto found = std::find_if(given_.begin(), given_.end(), [&](const Given& each) {
    return each.call == message.call && each.next < each.inputs.size();
  });
  if (found == given_.end()) return false;
  Answer answer{.id = found->id, .input = found->next, .result = std::move(message.content)};
  if (message.kind == CommandMessage::Kind::Progress) {
    answer.is_progress = true;
    answers_.push_back(std::move(answer));
    return true;
  }
  has_worked_ = true;
  const auto now = Clock::now();
  const auto since = std::max(found->since, std::exchange(idle_since_, now));
  answer.time_ns = static_cast<std::uint64_t>((now - since).count());
  if (!answer.result) {
    Error error = answer.result.error();
    error.op += ' ' + found->name;
    answer.result = std::move(error);
  }
  answers_.push_back(std::move(answer));
  ++found->next;
  call_next(*found);
  if (!found->is_wanted) given_.erase(found);
  drop_if_unwanted();
  return true;
}

void CommandWorker::malformed(std::string why) {
  if (std::exchange(is_malformed_, true)) return;
  *complaint_ = std::move(why);
}

std::optional<PoolWorker::Answer> CommandWorker::next_answer() {
  if (answers_.empty()) return std::nullopt;
  Answer answer = std::move(answers_.front());
  answers_.pop_front();
  return answer;
}

void CommandWorker::forget(std::uint64_t id) {
  std::erase_if(given_, [id](const Given& each) { return each.id == id; });
}

// The one whose call it has had for longest.
const CommandWorker::Given* CommandWorker::oldest() const {
  const Given* oldest = nullptr;
  for (const Given& each : given_) {
    if (each.next == each.inputs.size()) continue;
    if (oldest == nullptr || each.call < oldest->call) oldest = &each;
  }
  return oldest;
}

std::optional<std::uint64_t> CommandWorker::begun() const {
  const Given* const given = oldest();
  return given == nullptr ? std::nullopt : std::optional{given->id};
}

bool CommandWorker::take_back(std::uint64_t id) {
  if (begun() == id) return false;
  for (Given& each : given_)
    if (each.id == id) each.is_wanted = false;
  return true;
}

// Nobody waits for what it has begun, and it may take for ever.
void CommandWorker::drop_if_unwanted() {
  const Given* const given = oldest();
  if (given != nullptr && !given->is_wanted) kill();
}

// --- its end

void CommandWorker::end() {
  ends_ = true;
  by_lines_ ? child_->stdin_().end() : void(child_->disconnect());
  kill_after(kGoodbye, {});
}

void CommandWorker::kill() {
  ends_ = true;
  if (!std::exchange(is_killed_, true)) child_->kill_tree(SIGKILL);
}

void CommandWorker::kill_after(std::chrono::seconds time, std::string why) {
  timer_.expires_after(time);
  // This worker may be gone by then.
  timer_.async_wait([child = *child_, complaint = complaint_,
                     why = std::move(why)](boost::system::error_code cancelled) {
    if (cancelled) return;
    *complaint = why;
    child.kill_tree(SIGKILL);
    child.stdout_().destroy();
  });
}

}  // namespace cohort::pool
