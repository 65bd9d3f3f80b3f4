#include "process/signals.h"

#include <strings.h>

#include <csignal>

namespace cohort::process {
namespace {

struct Name {
  int number;
  std::string_view name;  // without SIG
};

// For each number the first name is the one that is printed.
constexpr Name kNames[] = {
    {SIGHUP, "HUP"},       {SIGINT, "INT"},   {SIGQUIT, "QUIT"},     {SIGILL, "ILL"},
    {SIGTRAP, "TRAP"},     {SIGABRT, "ABRT"}, {SIGIOT, "IOT"},       {SIGBUS, "BUS"},
    {SIGFPE, "FPE"},       {SIGKILL, "KILL"}, {SIGUSR1, "USR1"},     {SIGSEGV, "SEGV"},
    {SIGUSR2, "USR2"},     {SIGPIPE, "PIPE"}, {SIGALRM, "ALRM"},     {SIGTERM, "TERM"},
    {SIGSTKFLT, "STKFLT"}, {SIGCHLD, "CHLD"}, {SIGCONT, "CONT"},     {SIGSTOP, "STOP"},
    {SIGTSTP, "TSTP"},     {SIGTTIN, "TTIN"}, {SIGTTOU, "TTOU"},     {SIGURG, "URG"},
    {SIGXCPU, "XCPU"},     {SIGXFSZ, "XFSZ"}, {SIGVTALRM, "VTALRM"}, {SIGPROF, "PROF"},
    {SIGWINCH, "WINCH"},   {SIGIO, "IO"},     {SIGPOLL, "POLL"},     {SIGPWR, "PWR"},
    {SIGSYS, "SYS"},
};

bool same_letters(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

std::string signal_name(int number) {
  for (const Name& entry : kNames)
    if (entry.number == number) return "SIG" + std::string{entry.name};
  return "signal " + std::to_string(number);
}

std::optional<int> signal_number(std::string_view name) {
  if (same_letters(name.substr(0, 3), "SIG")) name.remove_prefix(3);
  for (const Name& entry : kNames)
    if (same_letters(entry.name, name)) return entry.number;
  return std::nullopt;
}

}  // namespace cohort::process
