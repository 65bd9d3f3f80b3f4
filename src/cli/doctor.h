// `cohort doctor`: what this kernel, container and user allow, and what to do about what they do
// not. Pure: the facts come from doctor_facts.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cohort/error.h"
#include "cohort/value.h"

namespace cohort::cli {

/// What was found. An Error in place of a fact: it could not be known, or it does not work.
struct DoctorFacts {
  Result<std::string> kernel = std::string{};  ///< `6.1.0-13-amd64`.
  Result<void> child{};                        ///< One was started, and its end was seen.

  Result<void> port{};    ///< One was opened on 127.0.0.1.
  Result<void> queues{};  ///< With a queue for each worker, as adaptive needs them.
  Result<void> ebpf{};    ///< Which is chosen by the eBPF program.
  bool ebpf_turned_off = false;
  bool may_bpf = false;  ///< CAP_BPF and CAP_PERFMON, or what includes them.
  bool user_namespace = false;
  bool btf = false;

  Result<void> cgroups{};  ///< Their files can be read.
  unsigned cpus = 1;       ///< Of the machine.
  unsigned cpus_allowed = 1;
  std::optional<unsigned> cpu_quota{};
  unsigned workers = 1;  ///< Of `-w auto`.
  std::optional<std::uint64_t> memory_max{};
  std::uint64_t memory_of_machine = 0;
  Result<void> memory_groups{};  ///< Each worker can have a cgroup: process::plan_cgroups.
  std::optional<std::uint64_t> pids_left{};  ///< Of the cgroup's pids.max.
  std::optional<std::uint64_t> user_processes_max{};

  std::optional<std::uint64_t> descriptors{}, descriptors_hard{};  ///< None: no limit.
  Result<std::uint64_t> backlog_max = std::uint64_t{0};
  Result<std::uint64_t> folders_watched_max = std::uint64_t{0};  ///< Of this user, by inotify.

  std::string directory{};  ///< Of the control sockets.
  Result<void> directory_usable{};
  Result<void> proc{};
  bool proc_hides = false;  ///< Processes of other users.
  int pid = 0;
  Result<void> low_port{};
  unsigned listen_fds = 0;  ///< Sockets that this process was started with.
  bool notify_socket = false;

  std::string node{};  ///< Its path; empty: there is none.
  Result<std::string> node_version = std::string{};
  Result<void> preload{};
};

/// Note: cohort works, and this could be better. Warning: something will be missed. Problem: cohort
/// cannot run properly.
enum class Level : std::uint8_t { Ok, Note, Warning, Problem };
const char* to_string(Level level);

struct Finding {
  std::string check;
  Level level = Level::Ok;
  std::string found;
  std::string means{};              ///< For cohort; empty if Ok.
  std::vector<std::string> todo{};  ///< Each a line: `Docker: docker run ...`.
};

/// One for each check, always in the same order.
std::vector<Finding> examine(const DoctorFacts& facts);

bool any_problem(const std::vector<Finding>& findings);
std::string findings_text(const std::vector<Finding>& findings, bool colour);
Value findings_value(const std::vector<Finding>& findings);

}  // namespace cohort::cli
