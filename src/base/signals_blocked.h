// Signals that this thread does not take for a while, nor what it starts meanwhile.
#pragma once

#include <pthread.h>

#include <csignal>
#include <initializer_list>

namespace cohort {

class SignalsBlocked {
 public:
  /// All but those of its own faults: a thread of ours takes none, so that handlers run where they
  /// did before there were threads.
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS})
      ::sigdelset(&all, fault);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  /// These, too.
  SignalsBlocked(std::initializer_list<int> more) {
    sigset_t added;
    ::sigemptyset(&added);
    for (const int number : more) ::sigaddset(&added, number);
    ::pthread_sigmask(SIG_BLOCK, &added, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace cohort
