// exec, exec_file and the blocking functions: a child whose output is collected.
#include <unistd.h>

#include <boost/asio/append.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <sstream>

#include "base/parking.h"
#include "base/standard_stdio.h"
#include "base/sys.h"
#include "process/child_impl.h"

namespace cohort {

namespace asio = boost::asio;
using boost::system::error_code;
using process::LaunchKind;
using ExecDone = std::function<void(const Output&)>;

namespace {

// One child, and what it prints. Kept by the child's handlers until `close`.
class Collector : public std::enable_shared_from_this<Collector> {
 public:
  Collector(const Loop& loop, const std::string& op, const SpawnOptions& options, ExecDone done)
      : child_{std::make_shared<ChildImpl>(loop)},
        op_{op},
        size_max_{options.max_buffer},
        timeout_{options.timeout},
        done_{std::move(done)} {}

  void start(LaunchKind kind, const std::string& file, const std::vector<std::string>& args,
             const SpawnOptions& options) {
    child_->cut_output_when_ended();
    child_->start(kind, file, args, options);
    const auto self = shared_from_this();
    child_->events.error.on([self](const Error& error) {
      if (!self->output_.error) self->output_.error = error;
    });
    child_->events.close.on([self](const Exit& exit) { self->closed(exit); });
    texts_.resize(child_->streams().size());
    for (std::size_t i = 1; i < texts_.size(); ++i)
      child_->streams().handle(i).on_data(
          [self, i](std::string_view data) { self->append(i, data); });
  }

  /// All that the child's stdin has.
  void give(const std::string& input) {
    const ChildStream& to_child = child_->streams().handle(0);
    if (!input.empty())
      to_child.write(input, [self = shared_from_this()](const std::optional<Error>& error) {
        self->input_left_ = error.has_value();
      });
    to_child.end();
  }

  const std::shared_ptr<ChildImpl>& child() const { return child_; }

 private:
  std::string how_timed_out(const Exit& exit) const {
    const std::string after = "after " + std::to_string(timeout_.count()) + " ms, ";
    if (exit.signal() != 0) return after + "killed with " + exit.signal_name();
    // It has a handler, or had just ended.
    return after + "ended with code " + std::to_string(exit.code());
  }

  void append(std::size_t index, std::string_view data) {
    std::string& text = texts_[index];
    const std::size_t room = size_max_ - std::min(size_max_, text.size());
    text += data.substr(0, room);
    if (data.size() <= room || output_.error) return;
    const std::string name = index == 1   ? "stdout"
                             : index == 2 ? "stderr"
                                          : "stdio " + std::to_string(index);
    output_.error = make_error(Errc::OutputTooLarge, op_,
                               name + " has more than " + std::to_string(size_max_) + " bytes");
    child_->end_because(ExitCause::MaxBuffer);
  }

  void closed(const Exit& exit) {
    output_.pid = child_->pid();
    output_.exit = exit;
    const auto take = [&](std::size_t i) {
      return i < texts_.size() ? std::move(texts_[i]) : std::string{};
    };
    output_.stdout_ = take(1);
    output_.stderr_ = take(2);
    for (std::size_t i = 3; i < texts_.size(); ++i) output_.more.push_back(take(i));
    if (!output_.error && exit.cause() == ExitCause::Timeout)
      output_.error = system_error(ETIMEDOUT, op_, how_timed_out(exit));
    if (!output_.error && exit.cause() == ExitCause::Cancelled)
      output_.error = system_error(ECANCELED, op_);
    if (!output_.error && input_left_)
      output_.error = system_error(EPIPE, op_, "the child did not take all of its input");
    if (done_) std::exchange(done_, nullptr)(output_);
  }

  const std::shared_ptr<ChildImpl> child_;  // shared with the loop
  const std::string op_;
  const std::size_t size_max_;
  const std::chrono::milliseconds timeout_;
  ExecDone done_;
  std::vector<std::string> texts_;
  bool input_left_ = false;
  Output output_;
};

// The command failed, as Node's exec sees it: with the end of what it said.
void fail_unless_success(const std::string& op, Output& output) {
  if (output.error || output.exit.success()) return;
  constexpr std::size_t kTextMax = 1000;
  std::string text =
      output.stderr_.substr(output.stderr_.size() - std::min(kTextMax, output.stderr_.size()));
  while (text.ends_with('\n')) text.pop_back();
  std::ostringstream detail;
  if (output.exit.signal() != 0)
    detail << "killed by " << output.exit.signal_name();
  else
    detail << "exited with code " << output.exit.code();
  if (!text.empty()) detail << "; " << text;
  output.error = make_error(Errc::CommandFailed, op, detail.str());
}

std::string op_of(const char* function, const std::string& file,
                  const std::vector<std::string>& args) {
  std::string op = std::string{function} + ' ' + file;
  for (const std::string& arg : args) op += ' ' + arg;
  return op;
}

SpawnOptions with_pipes(SpawnOptions options) {
  options.stdio = {};
  return options;
}

std::shared_ptr<ChildImpl> collect(const LoopRef& loop, const std::string& op,
                                   const std::string& file, const std::vector<std::string>& args,
                                   const SpawnOptions& options, ExecDone done) {
  auto judged = [op, done = std::move(done)](Output output) {
    fail_unless_success(op, output);
    if (done) done(output);
  };
  const auto collector = std::make_shared<Collector>(loop.loop(), op, options, std::move(judged));
  collector->start(LaunchKind::Spawn, file, args, with_pipes(options));
  return collector->child();
}

Output run_sync(const std::string& op, const std::string& file,
                const std::vector<std::string>& args, const SpawnOptions& options) {
  sys::open_standard_descriptors();  // before the loop's own
  // One thread: Asio then needs no locks.
  asio::io_context io{1};
  const Loop loop{io, io.get_executor()};
  Output result;
  const auto collector = std::make_shared<Collector>(
      loop, op, options, [&result](const Output& output) { result = output; });
  collector->start(LaunchKind::Sync, file, args, options);
  collector->give(options.input);
  io.run();
  return result;
}

void copy_to_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = sys::write(STDERR_FILENO, text.data(), text.size());
    if (size <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
}

}  // namespace

ChildProcess exec(const LoopRef& loop, const std::string& command, const SpawnOptions& options,
                  OnOutput done) {
  return ChildProcess{collect(loop, op_of("exec", command, {}), command, {},
                              detail::with_shell(options), std::move(done))};
}

ChildProcess exec_file(const LoopRef& loop, const std::string& file,
                       const std::vector<std::string>& args, const SpawnOptions& options,
                       OnOutput done) {
  return ChildProcess{
      collect(loop, op_of("exec", file, args), file, args, options, std::move(done))};
}

namespace detail {

SpawnOptions with_shell(SpawnOptions options) {
  const auto* path = std::get_if<std::string>(&options.shell);
  if (path == nullptr || path->empty()) options.shell = true;
  return options;
}

void start_exec(const LoopRef& loop_ref, const std::string& file,
                const std::vector<std::string>& args, const SpawnOptions& options,
                OutputHandler handler) {
  struct Waiting {
    Parking<> parking;
    Output output;
  };
  asio::dispatch(loop_ref.loop().executor(), [=, handler = std::move(handler)]() mutable {
    const Loop& loop = loop_ref.loop();
    const auto waiting = std::make_shared<Waiting>();
    const auto child = collect(loop_ref, op_of("exec", file, args), file, args, options,
                               [waiting](const Output& output) {
                                 waiting->output = output;
                                 waiting->parking.wake_all();
                               });
    waiting->parking.park(
        loop, std::move(handler), [loop, waiting, child](OutputHandler parked, bool woken) {
          Output& output = waiting->output;
          error_code error;
          if (!woken) {
            child->end_because(ExitCause::Cancelled);
            error = asio::error::operation_aborted;
          } else if (output.exit.cause() == ExitCause::NotStarted ||
                     output.exit.cause() == ExitCause::Cancelled) {
            error = output.error->code;
          }
          asio::post(loop.executor(), asio::append(std::move(parked), error, std::move(output)));
        });
  });
}

}  // namespace detail

Output spawn_sync(const std::string& file, const std::vector<std::string>& args,
                  const SpawnOptions& options) {
  return run_sync(op_of("spawn", file, {}), file, args, options);
}

Output exec_file_sync(const std::string& file, const std::vector<std::string>& args,
                      const SpawnOptions& options) {
  const std::string op = op_of("exec", file, args);
  Output output = run_sync(op, file, args, options);
  if (!options.stdio.given()) copy_to_stderr(output.stderr_);
  fail_unless_success(op, output);
  return output;
}

Output exec_sync(const std::string& command, const SpawnOptions& options) {
  return exec_file_sync(command, {}, detail::with_shell(options));
}

}  // namespace cohort
