// What /proc knows of processes: relatives, descriptors, memory, wake-ups. Read at the moment of
// the call; a process that is gone has no children, no descriptors, and zeros.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

/// Direct children, zombies included.
std::vector<pid_t> children_of(pid_t pid);
/// Processes that live and have `entry` (NAME=VALUE) in their environment.
std::vector<pid_t> processes_marked(std::string_view entry);
bool is_zombie(pid_t pid);
/// Whether it exists and is no zombie.
bool is_alive(pid_t pid);
/// It waits for something.
bool is_asleep(pid_t pid);
/// SIGSTOP, until it has stopped: before that it may still accept a connection. False after a
/// minute.
bool stop(pid_t pid);
std::string command_of(pid_t pid);

/// Descriptor number -> what it is, as in /proc/PID/fd: `socket:[123]`, `/dev/null`.
std::map<int, std::string> fds_of(pid_t pid);
/// Memory, shared pages divided among their users.
long pss_kib(pid_t pid);
/// How often the process's threads went to sleep by themselves, which is how often they were woken.
long voluntary_switches(pid_t pid);
/// CPU time of the process (user and system), to the nanosecond where the kernel counts so.
std::chrono::nanoseconds cpu_time(pid_t pid);

}  // namespace harness
