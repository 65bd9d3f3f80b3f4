#include "cohort/exit.h"

#include <csignal>
#include <cstdio>
#include <ostream>

#include "base/sys.h"
#include "cohort/error.h"
#include "cohort/value.h"
#include "process/exit_record.h"
#include "process/signals.h"

namespace cohort {
namespace {

std::chrono::microseconds to_duration(const timeval& time) {
  return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
}

std::string usage_text(const Exit& exit) {
  const std::chrono::duration<double> cpu = exit.user_time() + exit.system_time();
  const double megabytes = static_cast<double>(exit.peak_memory_bytes()) / 1e6;
  char text[80];
  std::snprintf(text, sizeof text, ", CPU %.2f s, peak memory %.1f MB", cpu.count(), megabytes);
  return text;
}

// `text` or null. (In braces, one value would be an array of it.)
Value known(const std::string& text) { return text.empty() ? Value(nullptr) : Value(text); }

double seconds(std::chrono::microseconds time) {
  return std::chrono::duration<double>{time}.count();
}

}  // namespace

std::string to_string(ExitCause cause) {
  switch (cause) {
    case ExitCause::Unknown:
      return {};
    case ExitCause::NotStarted:
      return "not started";
    case ExitCause::Killed:
      return "kill() was called";
    case ExitCause::Timeout:
      return "timeout";
    case ExitCause::MaxBuffer:
      return "more output than max_buffer";
    case ExitCause::Cancelled:
      return "cancelled";
    case ExitCause::OutOfMemory:
      return "out of memory";
    case ExitCause::Requested:
      return "disconnect() was called";
    case ExitCause::SigchldIgnored:
      return "SIGCHLD is ignored in this process, so the kernel keeps none; set it to SIG_DFL, "
             "without SA_NOCLDWAIT";
    case ExitCause::ReapedByOther:
      return "another part of this program took it, with wait() or waitpid(-1); it must wait for "
             "its own pids only";
  }
  return {};
}

Exit Exit::exited(int code) {
  Exit exit;
  exit.code_ = code;
  return exit;
}

Exit Exit::killed(int signal, bool core_dumped) {
  Exit exit;
  exit.signal_ = signal;
  exit.core_dumped_ = core_dumped;
  return exit;
}

Exit Exit::not_started(int errno_value) {
  return exited(-errno_value).with_cause(ExitCause::NotStarted);
}

Exit Exit::with_cause(ExitCause cause) const {
  Exit exit = *this;
  exit.cause_ = cause;
  return exit;
}

Exit Exit::with_stderr(std::vector<std::string> lines) const {
  Exit exit = *this;
  exit.stderr_lines_ = std::move(lines);
  return exit;
}

Exit Exit::with_usage(std::chrono::microseconds user_time, std::chrono::microseconds system_time,
                      std::uint64_t peak_memory_bytes) const {
  Exit exit = *this;
  exit.user_time_ = user_time;
  exit.system_time_ = system_time;
  exit.peak_memory_bytes_ = peak_memory_bytes;
  return exit;
}

std::string Exit::signal_name() const {
  return signal_ == 0 ? std::string{} : process::signal_name(signal_);
}

Value Exit::to_value() const {
  const bool exited = signal_ == 0 && cause_ != ExitCause::NotStarted && code_ != kUnknownCode;
  const bool measured = peak_memory_bytes_ != 0;
  Value lines = Value::array();
  for (const std::string& line : stderr_lines_) lines.push_back(line);
  return Value::object({{"code", exited ? Value(code_) : Value(nullptr)},
                        {"signal", known(signal_name())},
                        {"coreDumped", core_dumped_},
                        {"cause", known(to_string(cause_))},
                        {"userTime", measured ? Value(seconds(user_time_)) : Value(nullptr)},
                        {"systemTime", measured ? Value(seconds(system_time_)) : Value(nullptr)},
                        {"peakMemory", measured ? Value(peak_memory_bytes_) : Value(nullptr)},
                        {"stderr", std::move(lines)}});
}

std::ostream& operator<<(std::ostream& out, const Exit& exit) {
  if (exit.cause() == ExitCause::NotStarted)
    return out << "not started: " << system_error(-exit.code(), {}).message();
  if (exit.signal() != 0)
    out << "killed by " << exit.signal_name() << (exit.core_dumped() ? " (core dumped)" : "");
  else if (exit.code() == Exit::kUnknownCode)
    out << "ended, with an exit code that is not known";
  else
    out << "exited with code " << exit.code();
  if (exit.cause() != ExitCause::Unknown) out << ": " << to_string(exit.cause());
  if (exit.peak_memory_bytes() != 0) out << usage_text(exit);
  if (!exit.stderr_lines().empty()) out << "; stderr: " << exit.stderr_lines().back();
  return out;
}

namespace process {
namespace {

// The kernel reaps this process's children itself.
bool sigchld_ignored() {
  struct sigaction now{};
  return ::sigaction(SIGCHLD, nullptr, &now) == 0 &&
         (now.sa_handler == SIG_IGN || (now.sa_flags & SA_NOCLDWAIT) != 0);
}

}  // namespace

Exit to_exit(const siginfo_t& info, const rusage& usage) {
  const Exit exit = info.si_code == CLD_EXITED
                        ? Exit::exited(info.si_status)
                        : Exit::killed(info.si_status, info.si_code == CLD_DUMPED);
  return exit.with_usage(to_duration(usage.ru_utime), to_duration(usage.ru_stime),
                         static_cast<std::uint64_t>(usage.ru_maxrss) * 1024);
}

std::optional<Exit> try_reap(int pidfd) {
  siginfo_t info{};
  rusage usage{};
  switch (sys::reap(pidfd, info, usage)) {
    case 0:
      return std::nullopt;
    case 1:
      return to_exit(info, usage);
    default:
      return Exit::exited(Exit::kUnknownCode)
          .with_cause(sigchld_ignored() ? ExitCause::SigchldIgnored : ExitCause::ReapedByOther);
  }
}

}  // namespace process
}  // namespace cohort
