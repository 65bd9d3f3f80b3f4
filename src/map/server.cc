#include "map/server.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

#include "base/sys.h"
#include "map/command_template.h"
#include "map/job_output.h"
#include "map/job_source.h"
#include "map/serve_book.h"
#include "process/child_watch.h"
#include "process/spawn.h"

extern "C" char** environ;

namespace cohort::map {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto kLookEvery = 100ms;
constexpr auto kSilentFor = 10s;  // Then it is named.
constexpr int kVainMax = 10;      // Ends before there was any answer.
constexpr std::size_t kReadSize = std::size_t{64} << 10;
constexpr std::size_t kHeldAnswersMax = 100'000;

std::string shortened(std::string_view line) {
  constexpr std::size_t kShown = 40;
  return std::string{line.substr(0, kShown)} + (line.size() > kShown ? "..." : "");
}

struct Server {
  unsigned number = 0;
  std::unique_ptr<process::ChildWatch> child{};
  std::unique_ptr<Watch> input{}, output{};  // ours: what it reads, what it writes
  std::string to_write{}, unfinished{};
  SteadyClock::time_point since{};  // its last answer, or it got work
  bool is_named = false, is_late = false;
};

class LineServer {
 public:
  LineServer(const MapOptions& options, CommandTemplate command, const RunnerVoice& voice)
      : options_{options},
        command_{std::move(command)},
        voice_{voice},
        loop_{io_, io_.get_executor()},
        book_{options.tries, options.keep_order} {
    for (char** variable = environ; *variable != nullptr; ++variable)
      environment_.emplace_back(*variable);
  }

  Result<int> run() {
    // One that has died is no end of ours.
    struct sigaction ignored{};
    ignored.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignored, nullptr);
    auto source = JobSource::open(loop_, options_, [this] { pump(); });
    if (!source) return source.error();
    source_ = *std::move(source);
    await_signal();
    look();
    loop_.post([this] { pump(); });
    io_.run();
    if (options_.progress) voice_.clear();
    constexpr int kSignalled = 128;
    if (failure_ && failure_->code.value() == EPIPE) return kSignalled + SIGPIPE;
    if (failure_) return *failure_;
    constexpr std::uint64_t kMany = 101;
    return signal_ != 0 ? kSignalled + signal_ : static_cast<int>(std::min(book_.failed(), kMany));
  }

 private:
  // --- lines to workers

  std::optional<ServedLine> next_line() {
    if (auto line = book_.take_again()) return line;
    if (signal_ != 0 || book_.held() >= kHeldAnswersMax) return std::nullopt;
    auto input = source_->next();
    if (!input) return std::nullopt;
    std::string text = input->values.empty() ? "" : std::move(input->values.front());
    return ServedLine{++last_number_, std::move(text) + '\n', 0};
  }

  Server* freest() {
    Server* best = nullptr;
    for (const auto& [number, server] : servers_) {
      if (!server->input || book_.outstanding(number) >= options_.window) continue;
      if (best == nullptr || book_.outstanding(number) < book_.outstanding(best->number))
        best = server.get();
    }
    return best;
  }

  void pump() {
    if (failure_ || is_pumping_) return;
    is_pumping_ = true;
    while (!failure_) {
      Server* server = freest();
      const bool one_more =
          servers_.size() < options_.jobs && (server == nullptr || book_.has_lines(server->number));
      if (server == nullptr && !one_more) break;
      auto line = next_line();
      if (!line) break;
      if (one_more) server = start();
      if (server == nullptr) break;
      if (!book_.has_lines(server->number)) server->since = SteadyClock::now();
      server->to_write += line->text;
      book_.give(server->number, *std::move(line));
    }
    if (options_.progress && signal_ == 0) source_->look_ahead();
    for (const auto& [number, server] : servers_) write(*server);
    is_pumping_ = false;
    if (source_->failure() && !failure_) fail(*source_->failure());
    end_if_done();
  }

  // Nothing more can be given, unless a worker dies.
  bool is_out_of_lines() const {
    const bool no_more = (source_->saw_end() && source_->ready() == 0) || signal_ != 0;
    return no_more && book_.again() == 0;
  }

  void write(Server& server) {
    while (server.input && !server.to_write.empty()) {
      const ssize_t size =
          sys::write(server.input->fd(), server.to_write.data(), server.to_write.size());
      if (size > 0) {
        server.to_write.erase(0, static_cast<std::size_t>(size));
      } else if (errno == EAGAIN) {
        if (!server.input->waiting_writable())
          server.input->wait_writable([this, &server] { write(server); });
        return;
      } else if (errno != EINTR) {
        server.input.reset();  // it has closed its stdin, or is dead: its end tells
        return;
      }
    }
    // The end of its input: also for one that answers only then.
    if (server.input && is_out_of_lines()) server.input.reset();
  }

  // --- answers

  void readable(Server& server) {
    if (read(server) && server.output)
      server.output->wait_readable([this, &server] { readable(server); });
    pump();
    print();
  }

  // All that is there. False: its end.
  bool read(Server& server) {
    std::array<char, kReadSize> bytes;
    while (server.output && !failure_) {
      const ssize_t size = sys::read(server.output->fd(), bytes.data(), bytes.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno == EAGAIN) return true;
      if (size <= 0) return false;
      take_answers(server, {bytes.data(), static_cast<std::size_t>(size)});
      if (static_cast<std::size_t>(size) < bytes.size()) return true;
    }
    return false;
  }

  void take_answers(Server& server, std::string_view bytes) {
    for (auto end = bytes.find('\n'); end != bytes.npos && !failure_; end = bytes.find('\n')) {
      server.unfinished += bytes.substr(0, end + 1);
      bytes.remove_prefix(end + 1);
      answered(server, std::exchange(server.unfinished, {}));
    }
    server.unfinished += bytes;
  }

  void answered(Server& server, std::string answer) {
    const auto line = book_.answered(server.number);
    // Which line is which answer's is not known any more.
    if (!line)
      return fail(make_error(Errc::MalformedMessage, "serve lines by " + command_.shown({}),
                             "it has to write one line for each, and has said more than it was "
                             "asked: " +
                                 shortened(answer.substr(0, answer.size() - 1))));
    has_answers_ = true;
    server.since = SteadyClock::now();
    if (options_.tag) answer.insert(0, line->text.substr(0, line->text.size() - 1) + '\t');
    book_.done(line->number, std::move(answer));
  }

  void print() {
    const std::string output = book_.take_output();
    if (output.empty() || failure_) return;
    voice_.clear();
    if (const auto done = write_all(STDOUT_FILENO, output); !done) fail(done.error());
  }

  // --- workers

  Server* start() {
    OwnFd in[2], out[2];
    if (sys::pipe(in) == -1 || sys::pipe(out) == -1 ||
        sys::set_nonblocking(in[1].get(), true) == -1 ||
        sys::set_nonblocking(out[0].get(), true) == -1) {
      fail(errno_error("make pipes for a worker"));
      return nullptr;
    }
    unsigned number = 1;
    while (servers_.contains(number)) ++number;
    process::SpawnRequest request;
    request.argv = command_.argv({.number = ++started_, .place = number});
    request.file = request.argv.front();
    request.env = environment_;
    request.new_session = true;
    request.die_with_parent = true;
    request.fds = {in[0].get(), out[1].get(), STDERR_FILENO};
    auto child = process::spawn(request);
    if (!child) {
      fail(child.error());
      return nullptr;
    }
    auto server = std::make_unique<Server>();
    Server& one = *server;
    one.number = number;
    one.input = std::make_unique<Watch>(loop_, std::move(in[1]));
    one.output = std::make_unique<Watch>(loop_, std::move(out[0]));
    one.since = SteadyClock::now();
    one.child = std::make_unique<process::ChildWatch>(
        loop_, *std::move(child), [this, number](const Exit& exit) { ended(number, exit); });
    one.output->wait_readable([this, &one] { readable(one); });
    servers_.emplace(number, std::move(server));
    return &one;
  }

  void ended(unsigned number, const Exit& exit) {
    const auto taken = servers_.extract(number);
    Server& server = *taken.mapped();
    read(server);  // what it has written counts
    const bool was_busy = book_.has_lines(number);
    const auto failed = book_.died(number);
    if (failed) {
      std::ostringstream how;
      how << exit;
      voice_.clear();
      voice_.say("line " + std::to_string(failed->number) + " (" +
                 shortened(failed->text.substr(0, failed->text.size() - 1)) + "): " +
                 (server.is_late ? "no answer in time, its worker was ended"
                                 : "its worker died: " + how.str()));
      book_.done(failed->number, {});
    }
    if (was_busy && !has_answers_ && !server.is_late && ++vain_ >= kVainMax)
      fail(make_error(Errc::WorkerDied, "serve lines by " + command_.shown({}),
                      "it ends again and again before it answers a line"));
    print();
    pump();
  }

  // Those that take too long, and the bar.
  void look() {
    const auto now = SteadyClock::now();
    for (const auto& [number, server] : servers_) {
      if (!book_.has_lines(number)) continue;
      const auto silent = now - server->since;
      if (options_.timeout.count() > 0 && silent >= options_.timeout && !server->is_late) {
        server->is_late = true;
        server->child->signal_group(SIGKILL);
      }
      if (silent < kSilentFor || server->is_named) continue;
      server->is_named = true;
      voice_.clear();
      voice_.say("worker " + std::to_string(number) + " (pid " +
                 std::to_string(server->child->pid()) +
                 ") has not answered for 10 s: it has to write a line for each, and to flush it");
    }
    if (options_.progress) {
      MapProgress progress{.done = book_.lines_done(), .failed = book_.failed()};
      progress.elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(now - begin_);
      if (source_->saw_end()) progress.total = last_number_ + source_->ready();
      voice_.show(progress);
    }
    look_again_.expires_after(kLookEvery);
    look_again_.async_wait([this](boost::system::error_code error) {
      if (!error) look();
    });
  }

  // --- the end

  void end_if_done() {
    if (failure_ || (servers_.empty() && is_out_of_lines())) io_.stop();
  }

  void fail(const Error& error) {
    if (!failure_) failure_ = error;
    for (const auto& [number, server] : servers_) server->child->signal_group(SIGKILL);
    io_.stop();
  }

  void await_signal() {
    signals_.async_wait([this](boost::system::error_code error, int number) {
      if (error) return;
      signal_ = number;
      ++signals_seen_;
      std::size_t waiting = 0;
      for (const auto& [each, server] : servers_) {
        waiting += book_.outstanding(each);
        if (signals_seen_ > 1) server->child->signal_group(SIGKILL);
      }
      voice_.clear();
      if (signals_seen_ == 1 && waiting > 0)
        voice_.say("no more lines are taken, " + std::to_string(waiting) +
                   " are answered; once more ends it");
      pump();
      await_signal();
    });
  }

  const MapOptions& options_;
  const CommandTemplate command_;
  const RunnerVoice& voice_;
  asio::io_context io_{1};
  const Loop loop_;
  std::unique_ptr<JobSource> source_;
  ServeBook book_;
  std::vector<std::string> environment_;
  std::map<unsigned, std::unique_ptr<Server>> servers_;
  std::uint64_t last_number_ = 0, started_ = 0;
  int vain_ = 0;
  bool is_pumping_ = false, has_answers_ = false;
  asio::signal_set signals_{io_, SIGINT, SIGTERM};
  int signal_ = 0, signals_seen_ = 0;
  std::optional<Error> failure_;
  const SteadyClock::time_point begin_ = SteadyClock::now();
  asio::steady_timer look_again_{io_};
};

}  // namespace

Result<int> serve_lines(const MapOptions& options, const RunnerVoice& voice) {
  auto command = CommandTemplate::parse(options.command, false, false);
  if (!command) return command.error();
  LineServer server{options, *std::move(command), voice};
  return server.run();
}

}  // namespace cohort::map
